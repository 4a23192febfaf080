"""The mesh file that the demo starts: placeholders, languages that are missing, and the mesh on or off."""

from pathlib import Path

import pytest
import yaml

from weft.demo.mesh_file import Fill, effective, workloads
from weft.demo.story import MESH_FILE
from weft.resources import load_text

TEXT = MESH_FILE.read_text()
FILL = Fill(
    {"shop": "/srv/shop", "python": "/usr/bin/python3", "node": "/usr/bin/node"}, {"python": {"PYTHONHOME": "/srv/py"}}
)


def documents(**options: object) -> list[dict]:
    return list(yaml.safe_load_all(effective(TEXT, FILL, **options)))


def by_name(kind: str, **options: object) -> dict[str, dict]:
    return {d["metadata"]["name"]: d for d in documents(**options) if d["kind"] == kind}


@pytest.mark.parametrize("meshed", [True, False])
def test_the_file_has_no_problem_in_the_loader_that_weft_up_uses(meshed):
    """Requirement: the shipped file is a correct mesh file, with and without the mesh."""
    assert load_text(effective(TEXT, FILL, meshed=meshed), "loom.yaml").problems == ()


def test_every_placeholder_is_filled_in():
    """Requirement: nothing that only the demo understands reaches `weft up`."""
    assert "${" not in effective(TEXT, FILL)


def test_the_interpreter_brings_its_environment_to_its_own_workloads_only():
    """Requirement: a copied Python is told where its library is; Go and Node.js are left alone."""
    made = by_name("Workload")
    assert made["web"]["spec"]["env"]["PYTHONHOME"] == "/srv/py"
    assert made["prices"]["spec"]["env"]["FAULTY"] == "prices-2"
    assert "PYTHONHOME" not in made["stock"]["spec"]["env"]
    assert "env" not in made["orders"]["spec"]


def test_without_the_mesh_every_workload_is_uninjected_and_nothing_else_differs():
    """Requirement: before and after are the same document but for one annotation."""
    before, after = documents(meshed=False), documents()
    for document in before:
        if document["kind"] == "Workload":
            assert document["metadata"].pop("annotations") == {"linkerd.io/inject": "disabled"}
    assert before == after


def test_the_front_page_is_published_where_asked():
    """Requirement: a browser on the host reaches the shop."""
    made = by_name("Workload", publish={"web": "127.0.0.1:9000"})
    assert made["web"]["spec"]["publish"] == [{"port": 8080, "listen": "127.0.0.1:9000"}]
    assert "publish" not in made["prices"]["spec"]
    assert load_text(effective(TEXT, FILL, publish={"web": "127.0.0.1:9000"}), "loom.yaml").problems == ()


def test_a_workload_that_is_left_out_takes_its_routes_with_it():
    """Requirement: a missing language leaves a smaller shop, without routes to a Service that is not there."""
    assert "orders" not in by_name("Workload", left_out=["orders"])
    assert set(by_name("GRPCRoute", left_out=["orders"])) == {
        "prices-quote",
        "prices-discount",
        "stock-reserve",
        "stock-levels",
    }
    assert by_name("Workload", left_out=["orders"])["loadgen"]["spec"]["dependsOn"] == ["prices", "web"]


def test_the_shop_has_four_services_and_three_replicas_of_the_one_that_is_counted():
    """Requirement: at least four services in three languages, one of them with three replicas."""
    assert workloads(TEXT) == {"prices": 3, "stock": 1, "orders": 1, "web": 1, "loadgen": 1, "poller": 1}
    folder = Path(MESH_FILE).parent / "services"
    assert (folder / "orders/go.sum").exists()
    assert (folder / "stock/package-lock.json").exists()
