"""Makes `tests/vectors/policy.json` of the table: `python -m tests.policy_vectors`.

Each scenario carries the bytes that a proxy is sent for its documents, so that the reader in Rust judges what really
goes over the wire. The verdicts are the table's.
"""

import json
from pathlib import Path
from typing import Any

from tests.meshes import snapshot
from tests.policy_table import SCENARIOS, Row, Scenario
from weft.compile import InboundOf, answer
from weft.compile.answer import InboundPolicy
from weft.model.settings import Settings
from weft.serve.encode.inbound import server

FILE = Path(__file__).parent / "vectors" / "policy.json"
WHY = {
    "anonymous": "client has no mesh identity",
    "identity": "client {client} is not authorized",
    "network": "client address {address} is in no authorized network",
    "nobody": "nobody is authorized",
}


def vectors() -> list[dict[str, Any]]:
    """Return the whole table."""
    return [
        {
            "documents": list(scenario.documents),
            "port": scenario.port,
            "server": server(compiled(scenario)).SerializeToString(deterministic=True).hex(),
            "rows": [_row(row, spiffe=scenario.spiffe) for row in scenario.rows],
        }
        for scenario in SCENARIOS
    ]


def compiled(scenario: Scenario) -> InboundPolicy:
    """Return what the documents of a scenario mean for its port."""
    mesh = snapshot(*scenario.documents, settings=Settings(spiffe=scenario.spiffe))
    result, _ = answer(mesh, InboundOf("default", "api-0", scenario.port))
    assert isinstance(result, InboundPolicy)
    return result


def _row(row: Row, *, spiffe: bool) -> dict[str, Any]:
    what, client, address, asked, verdict = row
    client = identity(client, spiffe=spiffe)
    method, _, rest = asked.partition(" ")
    path, *headers = rest.split(" ")
    pairs = [tuple(each.split("=", 1)) for each in headers]
    result: dict[str, Any] = {
        "requirement": what,
        "client": client,
        "address": address,
        "request": {
            "method": method,
            "path": path,
            "host": next((value for name, value in pairs if name == "host"), ""),
            "headers": [list(pair) for pair in pairs if pair[0] != "host"],
        }
        if asked
        else None,
        "allowed": None,
        "audited": verdict.startswith("audit"),
        "route": None,
        "denied": None,
        "no_route": None,
    }
    if verdict.startswith(("allow", "audit")):
        grant, _, route = verdict.removeprefix("allow ").partition(" on ")
        return result | {"allowed": grant, "route": route or None}
    words, _, rule = verdict.rstrip(")").partition(" (")
    if words == "no route":
        return result | {"no_route": f"no route of {rule} matches {method} {path.partition('?')[0]}"}
    why = WHY[words.removeprefix("deny ")]
    plain = address.removeprefix("::ffff:") if "." in address else address
    return result | {"denied": why.format(client=client, address=plain) + f" ({rule})"}


def identity(name: str, *, spiffe: bool = False) -> str:
    """Return the whole identity of a short name: `-`: none, `tls`: TLS without one, `web`, `infra/web`, or itself."""
    if name in ("-", "tls") or "." in name or "://" in name:
        return name
    namespace, _, account = name.rpartition("/")
    if spiffe:
        return f"spiffe://cluster.local/ns/{namespace or 'default'}/sa/{account}"
    return f"{account}.{namespace or 'default'}.serviceaccount.identity.weft.cluster.local"


def text() -> str:
    """Return the file's text."""
    scenarios = []
    for each in vectors():
        rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in each.pop("rows"))
        scenarios.append(f'{json.dumps(each, ensure_ascii=False)[:-1]}, "rows": [\n  {rows}\n]}}')
    return "[\n" + ",\n".join(scenarios) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(text())
