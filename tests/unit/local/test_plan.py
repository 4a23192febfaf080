"""Plans: what a mesh file means on one machine, and the smallest change that leads from one to the next."""

from collections.abc import Callable
from pathlib import Path

import pytest

from weft.lib.errors import WeftError
from weft.local import objects, plan, reading
from weft.local.listening import Listening
from weft.local.plan import Plan

SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: voting}
spec: {selector: {app: voting}, ports: [{port: 80, targetPort: grpc}]}
"""
UNMESHED = "labels: {app: voting}, annotations: {linkerd.io/inject: disabled}"


def test_each_replica_has_an_address_an_identity_and_a_directory(
    tmp_path: Path, mesh: str, planned: Callable[..., Plan]
) -> None:
    """Requirement: replicas are NAME-0, NAME-1 ... in 198.18.0.0/16; the service account defaults to the name."""
    made = planned(mesh)
    assert list(made.replicas) == ["default/voting-0", "default/voting-1", "default/cron-0"]
    voting, cron = made.replicas["default/voting-1"], made.replicas["default/cron-0"]
    assert voting.address == "198.18.1.2"
    assert voting.identity == "voting.default.serviceaccount.identity.weft.cluster.local"
    assert voting.meshed
    assert cron.service_account == "worker"
    assert not cron.meshed
    assert cron.working_directory == str(tmp_path / "jobs")


def test_a_service_of_the_same_name_is_made_unless_the_file_has_one(
    tmp_path: Path, mesh: str, planned: Callable[..., Plan]
) -> None:
    """Requirement: ports imply a Service; the user's own Service wins and gets an address too."""
    implied = planned(mesh).services["default/voting"]
    assert [(port.port, port.target) for port in implied.ports] == [(8080, 8080)]
    made = planned(mesh + SERVICE)
    written = made.services["default/voting"]
    assert [(port.port, port.target) for port in written.ports] == [(80, "grpc")]
    assert written.addresses == ("198.19.0.1", "fdb6:5e1f:9d2c:1::c613:1")
    assert [replica.name for replica in made.replicas_of(written)] == ["voting-0", "voting-1"]


def test_only_ready_replicas_are_balanced_over(tmp_path: Path, mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: a named target port is the port of that name of each ready replica."""
    made = planned(mesh + SERVICE)
    entry, _ = plan.balanced(made, {"default/voting-1"}, {})
    assert (entry.address, entry.port, entry.endpoints) == ("198.19.0.1", 80, (("198.18.1.2", 8080),))


def test_ipv6_leads_to_ipv6_endpoints(mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: a Service's IPv6 address is balanced over replicas that answer there: those with a proxy do."""
    made = planned(mesh + SERVICE)
    _, entry = plan.balanced(made, {"default/voting-1"}, {})
    assert entry.address == "fdb6:5e1f:9d2c:1::c613:1"
    assert entry.endpoints == (("fdb6:5e1f:9d2c::c612:102", 8080),)


UDP_SERVICE = SERVICE.replace("port: 80,", "port: 80, protocol: UDP,")
TAKES_IT = Listening(ipv6=frozenset({("TCP", 8080), ("UDP", 8080)}))
TAKES_OTHERS = Listening(ipv6=frozenset({("TCP", 8081)}))


@pytest.mark.parametrize(
    ("service", "listening", "reached"),
    [(SERVICE, TAKES_IT, True), (SERVICE, TAKES_OTHERS, False), (SERVICE, Listening(), False)],
)
def test_without_a_proxy_only_who_listens_on_ipv6_is_reached_by_it(
    mesh: str, planned: Callable[..., Plan], service: str, listening: Listening, reached: bool
) -> None:
    """Requirement: nobody is sent by IPv6 to an application that listens on 0.0.0.0 only."""
    made = planned(mesh.replace("labels: {app: voting}", UNMESHED) + service)
    _, entry = plan.balanced(made, {"default/voting-1"}, {"default/voting-1": listening})
    assert bool(entry.endpoints) == reached


@pytest.mark.parametrize(("listening", "reached"), [(TAKES_IT, True), (TAKES_OTHERS, False)])
def test_datagrams_pass_by_the_proxy(
    mesh: str, planned: Callable[..., Plan], listening: Listening, reached: bool
) -> None:
    """Requirement: UDP goes by IPv6 only where the application itself listens, with a proxy beside it or without."""
    made = planned(mesh + UDP_SERVICE)
    _, entry = plan.balanced(made, {"default/voting-1"}, {"default/voting-1": listening})
    assert bool(entry.endpoints) == reached


V4, V6 = "198.19.0.1", "fdb6:5e1f:9d2c:1::c613:1"


@pytest.mark.parametrize(
    ("spec", "addresses"),
    [
        ("", (V4, V6)),
        ("ipFamilyPolicy: SingleStack,", (V4,)),
        ("ipFamilyPolicy: SingleStack, ipFamilies: [IPv6],", (V6,)),
        ("ipFamilies: [IPv6],", (V6,)),
        ("ipFamilies: [IPv6, IPv4],", (V6, V4)),
        ("ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv6],", (V6, V4)),
        ("ipFamilyPolicy: RequireDualStack,", (V4, V6)),
        ("clusterIP: 198.19.7.7,", ("198.19.7.7", V6)),
        ("clusterIP: 'FDB6:5e1f:9d2c:1:0::9',", ("fdb6:5e1f:9d2c:1::9", V4)),
    ],
)
def test_families_are_as_the_service_says(
    mesh: str, planned: Callable[..., Plan], spec: str, addresses: tuple[str, ...]
) -> None:
    """Requirement: ipFamilies and ipFamilyPolicy mean what they mean in Kubernetes; without them both are given."""
    made = planned(mesh + SERVICE.replace("spec: {", f"spec: {{{spec} "))
    assert made.services["default/voting"].addresses == addresses
    document = objects.build(made, set(), {}, {})["service-default-voting.json"]
    assert isinstance(document, dict)
    assert document["spec"]["clusterIPs"] == list(addresses)
    assert document["spec"]["ipFamilies"] == ["IPv6" if ":" in each else "IPv4" for each in addresses]


def test_a_machine_without_ipv6_has_a_mesh_all_the_same(mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: IPv4 alone is given then; a Service that requires more is refused with its place in the file."""
    made = planned(mesh + SERVICE, dual=False)
    assert made.services["default/voting"].addresses == (V4,)
    assert made.replicas["default/voting-0"].address6 == ""
    for spec in ("ipFamilies: [IPv6]", "ipFamilyPolicy: RequireDualStack"):
        with pytest.raises(WeftError, match=r"Service voting \(.*mesh.yaml:17\) needs IPv6"):
            planned(mesh + SERVICE.replace("spec: {", f"spec: {{{spec}, "), dual=False)


def test_addresses_stay_when_the_file_changes(tmp_path: Path, mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: an edit moves no running replica, and no address is used twice."""
    before = planned(mesh)
    after = planned(mesh.replace("name: voting, labels", "name: other, labels"), before)
    assert after.replicas["default/cron-0"].address == before.replicas["default/cron-0"].address
    addresses = [replica.address for replica in after.replicas.values()]
    assert len(set(addresses)) == len(addresses)


def test_pods_are_written_as_kubernetes_shapes_them(tmp_path: Path, mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: a meshed pod carries the control plane's label, its origin and whether it is ready."""
    made = planned(mesh + SERVICE)
    written = objects.build(made, {"default/voting-0"}, {}, {})
    pod = written["pod-default-voting-0.json"]
    assert isinstance(pod, dict)
    assert pod["metadata"]["labels"]["linkerd.io/control-plane-ns"] == "weft"
    assert pod["metadata"]["annotations"]["mesh.weft.dev/origin"] == f"{tmp_path}/mesh.yaml:2"
    assert pod["status"]["podIP"] == "198.18.1.1"
    assert pod["status"]["podIPs"] == [{"ip": "198.18.1.1"}, {"ip": "fdb6:5e1f:9d2c::c612:101"}]
    assert pod["status"]["conditions"] == [{"type": "Ready", "status": "True"}]
    service = written["service-default-voting.json"]
    assert isinstance(service, dict)
    assert service["spec"]["clusterIP"] == "198.19.0.1"
    assert service["spec"]["selector"] == {"app": "voting"}


def test_bad_references_are_problems_with_a_place(tmp_path: Path, mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: dependsOn names a workload; ports are published once; `weft` is reserved; no workload, no mesh."""
    file = tmp_path / "mesh.yaml"
    file.write_text(mesh.replace("serviceAccount: worker", "dependsOn: [votin]"))
    problems = reading.read([file])
    assert isinstance(problems, list)
    assert [(problem.code, problem.line) for problem in problems] == [("unknown-workload", 14)]
    twin = mesh.replace("serviceAccount: worker", 'ports: [{port: 1}], publish: [{port: 1, listen: "127.0.0.1:9000"}]')
    file.write_text(twin)
    problems = reading.read([file])
    assert isinstance(problems, list)
    assert [problem.code for problem in problems] == ["published-twice"]
    file.write_text(mesh.replace("name: cron,", "name: cron, namespace: weft,"))
    problems = reading.read([file])
    assert isinstance(problems, list)
    assert [problem.code for problem in problems] == ["reserved-namespace"]
    file.write_text(SERVICE)
    problems = reading.read([file])
    assert isinstance(problems, list)
    assert [problem.code for problem in problems] == ["no-workloads"]


def test_skipped_ports_come_from_workload_and_namespace(mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: lists become ranges that nft takes; what the namespace configures is on the pod."""
    skip = "config.linkerd.io/skip-inbound-ports"
    namespace = (
        f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: default, annotations: {{{skip}: '20-30,25,31'}}}}\n"
    )
    made = planned(
        mesh.replace("inject: disabled", 'inject: disabled, config.linkerd.io/skip-outbound-ports: "80, 443"')
        + namespace
    )
    assert made.replicas["default/voting-0"].skip_inbound == ("20-31",)
    assert made.replicas["default/cron-0"].skip_outbound == ("80", "443")
    assert dict(made.labels["default/voting-0"].annotations)[skip] == "20-30,25,31"


def test_only_those_are_watched_whose_listening_matters(mesh: str, planned: Callable[..., Plan]) -> None:
    """Requirement: looking costs, so only those are looked at whose proxy does not carry all that others may send."""
    assert planned(mesh).watched == {"default/cron-0": frozenset({"TCP"})}
    assert planned(mesh + UDP_SERVICE).watched["default/voting-0"] == {"TCP", "UDP"}
    skipped = mesh.replace("labels: {app: voting}", "annotations: {config.linkerd.io/skip-inbound-ports: '25'}")
    assert planned(skipped).watched.keys() == {"default/cron-0", "default/voting-0", "default/voting-1"}
    assert planned(mesh, None, False).watched == {}


def test_who_reaches_the_hosts_network_is_said_by_workload_or_mesh(tmp_path: Path, mesh: str) -> None:
    """Requirement: what a workload says goes before what the mesh says, and closed is what nobody has opened."""
    file = tmp_path / "mesh.yaml"
    for written, by_mesh, opened in (("", "closed", False), ("", "host", True), ("host", "closed", True)):
        file.write_text(mesh.replace("serviceAccount: worker", f"egress: {written}" if written else "env: {}"))
        documents = reading.read([file])
        assert not isinstance(documents, list)
        assert plan.make(documents, egress=by_mesh).replicas["default/cron-0"].egress is opened
    file.write_text(mesh.replace("serviceAccount: worker", "egress: closed"))
    documents = reading.read([file])
    assert not isinstance(documents, list)
    assert not plan.make(documents, egress="host").replicas["default/cron-0"].egress
