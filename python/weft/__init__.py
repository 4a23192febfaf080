"""Weft, a service mesh: the control plane, local mode and the command line.

The data plane is a separate program, `weft-proxy`. This module holds the version and imports nothing, because
every command pays for what is imported here.
"""

__version__ = "0.1.0"
