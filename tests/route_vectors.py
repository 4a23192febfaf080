"""Makes `tests/vectors/routes.json` of the table: `python -m tests.route_vectors`.

Each scenario carries the bytes of policy and profile that a proxy is sent for its documents; Rust routes the rows.
"""

import json
from pathlib import Path
from typing import Any

from tests.meshes import snapshot
from tests.route_table import SCENARIOS, SERVICES, Row, Scenario
from weft.compile import OutboundOf, ProfileOf, answer
from weft.compile.answer import OutboundPolicy, Profile
from weft.serve.encode.destination import profile
from weft.serve.encode.outbound import policy

FILE = Path(__file__).parent / "vectors" / "routes.json"


def vector(scenario: Scenario) -> dict[str, Any]:
    """Return one scenario with what a proxy is sent."""
    mesh = snapshot(*SERVICES, *scenario.documents)
    told, _ = answer(mesh, OutboundOf(scenario.asker, scenario.target))
    beside, _ = answer(mesh, ProfileOf(scenario.target, scenario.asker))
    assert isinstance(told, OutboundPolicy)
    assert isinstance(beside, Profile)
    return {
        "documents": list(scenario.documents),
        "asker": scenario.asker,
        "port": scenario.target.port,
        "policy": policy(told).SerializeToString(deterministic=True).hex(),
        "profile": profile(beside).SerializeToString(deterministic=True).hex(),
        "rows": [_row(row) for row in scenario.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    requirement, asked, comes = row
    method, path, *rest = asked.split(" ")
    chance = next((float(each[1:]) for each in rest if each.startswith("~")), 0.0)
    return {
        "requirement": requirement,
        "method": method,
        "path": path,
        "headers": [each.split("=", 1) for each in rest if not each.startswith("~")],
        "random": round(chance * (2**32 - 1)),
        "comes": comes,
    }


def text() -> str:
    """Return the file's text."""
    scenarios = []
    for each in map(vector, SCENARIOS):
        rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in each.pop("rows"))
        scenarios.append(f'{json.dumps(each, ensure_ascii=False)[:-1]}, "rows": [\n  {rows}\n]}}')
    return "[\n" + ",\n".join(scenarios) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(text())
