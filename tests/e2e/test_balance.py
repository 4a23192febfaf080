"""How calls over one gRPC connection are spread over three replicas, in real namespaces with real proxies."""

import pytest
import yaml

from weft.demo import build, verdict
from weft.demo.mesh_file import effective, workloads
from weft.demo.running import POLL_SECONDS, Mesh
from weft.demo.story import MESH_FILE

pytestmark = pytest.mark.e2e
REPLICAS = ["prices-0", "prices-1", "prices-2"]
DEADLINE_POLLS = round(120 / POLL_SECONDS)


@pytest.fixture(scope="module")
def shop() -> build.Shop:
    return build.build(build.cache_folder(), print)


def counted(shop: build.Shop, concurrency: int, meshed: bool) -> verdict.Balance:
    """What the client counts of 3,000 calls to prices, with only the two of them in the mesh."""
    text = MESH_FILE.read_text()
    others = set(workloads(text)) - {"prices", "loadgen"}
    documents = list(yaml.safe_load_all(effective(text, shop.fill, others, meshed=meshed)))
    for document in documents:
        if document["metadata"]["name"] == "loadgen":
            document["spec"]["env"]["CONCURRENCY"] = str(concurrency)
    with Mesh(f"balance-{concurrency}", yaml.safe_dump_all(documents)) as mesh:
        for _ in range(DEADLINE_POLLS):
            if (found := verdict.balance(mesh.log("loadgen"))) is not None:
                return found
            mesh.wait(POLL_SECONDS)
        raise mesh.failed("nothing was counted")


def test_without_the_mesh_one_connection_means_one_replica(shop):
    """Requirement: unmeshed, one replica takes all 3,000 calls of one connection."""
    found = counted(shop, concurrency=8, meshed=False)
    assert sorted(found.replicas.values()) == [3000]


@pytest.mark.parametrize(("concurrency", "points"), [(1, 10), (8, 5), (64, 5)])
def test_with_the_mesh_each_of_three_replicas_has_its_third(shop, concurrency, points):
    """Requirement: 33 % ± 5 at 8 or more concurrent calls, ± 10 with one at a time, and no call fails."""
    found = counted(shop, concurrency, meshed=True)
    assert found.failed == 0
    for name in REPLICAS:
        assert abs(found.share(name) - 100 / 3) <= points, found
