"""A control plane with a small fixed mesh, for tests in other languages.

`python -m tests.control_plane [POLICY [SECONDS]]`: the default inbound policy, and how long certificates live.

Prints one line of JSON when it is ready (the ports, a token of `web-0`, the trust anchors) and ends when its standard
input does, so that it never outlives whoever started it. The mesh: two meshed pods behind the Services `web` and
`canary`, and an HTTPRoute that splits the traffic for `web` 90 to 10.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import yaml

from weft.identity import authority, files, tokens
from weft.identity.ca import Lifetimes
from weft.lib.clock import system
from weft.model.settings import Settings
from weft.serve import plane


async def main() -> None:
    """Serve until standard input ends."""
    with tempfile.TemporaryDirectory() as scratch:
        objects, issuer, token_key = (Path(scratch) / name for name in ("objects", "issuer", "token.pub"))
        objects.mkdir()
        (objects / "mesh.yaml").write_text(yaml.safe_dump_all(MESH))
        authority.create(issuer, "cluster.local", system())
        key = tokens.create_key()
        token_key.write_bytes(key.public)
        settings = Settings(
            control_namespace="weft",
            trust_domain="cluster.local",
            cluster_domain="cluster.local",
            default_inbound_policy=sys.argv[1] if len(sys.argv) > 1 else "all-authenticated",
        )
        options = plane.Options(
            objects=objects,
            issuer_directory=issuer,
            token_key=token_key,
            settings=settings,
            lifetimes=Lifetimes(timedelta(seconds=int(sys.argv[2])), timedelta(0))
            if len(sys.argv) > 2
            else Lifetimes(),
            listen="127.0.0.1",
            identity_port=0,
            destination_port=0,
            policy_port=0,
            admin_port=0,
        )
        async with plane.running(options, system) as ports:
            ready = {
                "identity": ports.identity,
                "destination": ports.destination,
                "policy": ports.policy,
                "token": tokens.mint(key.private, tokens.Bearer("default", "web", "web-0", "uid-0"), system()),
                "anchors": (issuer / files.ANCHORS).read_text(),
            }
            print(json.dumps(ready), flush=True)
            await asyncio.to_thread(sys.stdin.read)


def _pod(app: str, ip: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{app}-0",
            "namespace": "default",
            "uid": "uid-0",
            "labels": {"app": app, "linkerd.io/control-plane-ns": "weft"},
        },
        "spec": {
            "nodeName": "local",
            "serviceAccountName": app,
            "containers": [{"name": app, "ports": [{"name": "http", "containerPort": 8080}]}],
        },
        "status": {
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _service(app: str, ip: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": app, "namespace": "default"},
        "spec": {
            "clusterIP": ip,
            "selector": {"app": app},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    }


_ROUTE: dict[str, object] = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "split", "namespace": "default"},
    "spec": {
        "parentRefs": [{"group": "", "kind": "Service", "name": "web", "port": 80}],
        "rules": [
            {
                "backendRefs": [
                    {"name": "web", "port": 80, "weight": 90},
                    {"name": "canary", "port": 80, "weight": 10},
                ]
            }
        ],
    },
}

MESH = [
    _pod("web", "198.18.0.10"),
    _pod("canary", "198.18.0.11"),
    _service("web", "198.19.0.10"),
    _service("canary", "198.19.0.11"),
    _ROUTE,
]

if __name__ == "__main__":
    asyncio.run(main())
