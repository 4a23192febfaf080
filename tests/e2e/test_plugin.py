"""The pytest plugin, used by a project that is not ours."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
MESH = """\
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: shop, annotations: {linkerd.io/inject: disabled}}
spec:
  command: [python3, shop.py]
  ports: [{name: http, port: 8080}]
  readiness: {tcpSocket: {port: 8080}}
---
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: client, annotations: {linkerd.io/inject: disabled}}
spec: {command: [sleep, infinity]}
"""
SHOP = """\
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["HOSTNAME"].encode())
print("the shop opens", flush=True)
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
TESTS = """\
import pytest
GET = "r.urlopen('http://shop:8080/', timeout=10).read().decode()"
ASK = "import urllib.request as r; print({" + GET + " for _ in range(40)})"
names = []

@pytest.mark.weft_mesh("mesh.yaml")
def test_it_answers(weft_mesh):
    names.append(weft_mesh.name)
    assert weft_mesh.exec("client", "python3", "-c", ASK) == "{'shop-0'}\\n"

@pytest.mark.weft_mesh("mesh.yaml")
def test_it_is_scaled_in_the_same_mesh(weft_mesh, weft_meshes):
    assert names == [weft_mesh.name]
    weft_mesh.scale("shop", 2)
    assert eval(weft_mesh.exec("client", "python3", "-c", ASK)) == {"shop-0", "shop-1"}
    with pytest.raises(RuntimeError, match="no kind is called `Servce`"):
        weft_mesh.apply("kind: Servce\\napiVersion: v1\\n")

@pytest.mark.weft_mesh("mesh.yaml", fresh=True)
def test_a_fresh_one_fails(weft_mesh):
    assert weft_mesh.name in names

def test_no_marker(weft_mesh):
    pass
"""


def test_a_project_tests_its_services_in_a_mesh(tmp_path: Path) -> None:
    """Requirement: the installed plugin runs meshes for marked tests, shared or fresh, and shows logs with failures."""
    for directory in (tmp_path, *tmp_path.parents[:2]):  # applications run as somebody else
        directory.chmod(directory.stat().st_mode | 0o055)
    for name, text in {"mesh.yaml": MESH, "shop.py": SHOP, "test_shop.py": TESTS, "pytest.ini": "[pytest]\n"}.items():
        (tmp_path / name).write_text(text)
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", "-W", "error", "-q"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "2 passed" in said.stdout, said.stdout
    assert "1 failed, 2 passed, 1 error" in said.stdout, said.stdout
    assert "the shop opens" in said.stdout
    assert "@pytest.mark.weft_mesh" in said.stdout
