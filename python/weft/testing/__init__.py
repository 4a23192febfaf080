"""Meshes for tests: real namespaces, real proxies, the documents of the test, gone when the block ends.

    with Mesh(documents) as mesh:
        mesh.exec("client", "curl", "http://web:8080/")

Works without a test framework. Never asserts what a mesh should do: that is the test's part.
"""

from weft.testing.mesh import Mesh
from weft.testing.waiting import wait_until

__all__ = ["Mesh", "wait_until"]
