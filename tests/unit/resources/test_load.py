"""Files become documents, and everything that is wrong with them has a line and a hint."""

from pathlib import Path

import pytest

from weft.lib.errors import Problem
from weft.model import Pod, Route, Service, Workload
from weft.model.family import Family
from weft.model.workload import ExecCheck, GrpcCheck, HttpCheck, Probe, Publish, TcpCheck, WorkloadPort
from weft.resources import Loaded, load_files, load_text


def workload(spec: str, name: str = "voting") -> str:
    return f"apiVersion: mesh.weft.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}}}\nspec:\n{spec}"


def said(loaded: Loaded) -> list[tuple[int, str]]:
    return [(problem.line, problem.code) for problem in loaded.problems]


def only(text: str) -> Problem:
    (problem,) = load_text(text, "mesh.yaml").problems
    return problem


def test_the_example_of_the_documentation_is_read_in_full() -> None:
    """Requirement: every field of a Workload arrives, with the defaults of those that are absent."""
    loaded = load_text(
        """
apiVersion: mesh.weft.dev/v1alpha1
kind: Workload
metadata: {name: voting, labels: {app: voting}}
spec:
  command: [python3, voting.py]
  replicas: 3
  ports: [{name: grpc, port: 8080}]
  env: {GREETING: hello}
  workingDir: .
  readiness: {tcpSocket: {port: 8080}}
  publish: [{port: 8080, listen: "127.0.0.1:9000"}]
""",
        "mesh.yaml",
    )
    assert loaded.problems == ()
    (one,) = loaded.documents
    assert isinstance(one, Workload)
    assert (one.meta.namespace, one.meta.name, str(one.meta.origin)) == ("default", "voting", "mesh.yaml:2")
    assert one.command == ("python3", "voting.py")
    assert (one.replicas, one.service_account, one.restart) == (3, "voting", "always")
    assert one.ports == (WorkloadPort("grpc", 8080),)
    assert one.readiness == Probe(TcpCheck(8080), 0, 1, 1, 3)
    assert one.publish == (Publish(8080, "127.0.0.1", 9000),)


@pytest.mark.parametrize(
    ("readiness", "check"),
    [
        ("httpGet: {port: web, path: /ready}", HttpCheck(8080, "/ready")),
        ("grpc: {port: 8080, service: a.B}", GrpcCheck(8080, "a.B")),
        ("exec: {command: [test, -f, ready]}", ExecCheck(("test", "-f", "ready"))),
    ],
)
def test_readiness_has_the_words_of_kubernetes_and_takes_named_ports(readiness: str, check: object) -> None:
    """Requirement: httpGet, grpc and exec as in a pod's probe."""
    text = workload(f"  command: [x]\n  ports: [{{name: web, port: 8080}}]\n  readiness: {{{readiness}}}")
    (one,) = load_text(text, "m").documents
    assert isinstance(one, Workload)
    assert one.readiness is not None
    assert one.readiness.check == check


def test_several_problems_are_told_at_once() -> None:
    """Requirement: a user sees everything that is wrong in one run, each with its line, in the file's order."""
    text = workload('  command: [x]\n  replica: 3\n  workingDir: 7\n  env: {A: 1, B: yes, C: "ok"}\n  restart: often\n')
    text += "---\nkind: Servic\napiVersion: v1\n"
    assert said(load_text(text, "m")) == [
        (6, "unknown-field"),
        (7, "wrong-value"),
        (9, "wrong-value"),
        (11, "unknown-kind"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "reason", "hint"),
    [
        (workload("  command: [x]\n  replica: 3"), 6, "`spec.replica` is not a field", "did you mean `replicas`?"),
        (workload("  replicas: 3"), 4, "`command` is missing in `spec`", ""),
        (workload("  command: [x]\n  ports: [{port: 80800}]"), 6, "`spec.ports[0].port`: expected", ""),
        (workload("  command: [x]\n  env: {A: 8}"), 6, "`spec.env.A`: expected a text, got a number", 'write "8"'),
        (workload("  command: [x]\n  ports: [{port: 1}, {port: 1}]"), 6, "port `1` is listed twice", ""),
        (workload("  command: [x]\n  readiness: {}"), 6, "readiness has 0 checks", "give one of tcpSocket"),
        (workload("  command: [x]\n  publish: [{port: 1, listen: '1'}]"), 6, "port 1 is not one of", "lists none"),
        (
            workload("  command: [x]\n  ports: [{port: 1}]\n  publish: [{port: 1, listen: 'here'}]"),
            7,
            "`here` is not an address and a port",
            "127.0.0.1:9000",
        ),
        (workload("  command: [x]", name="Vote_1"), 3, "`Vote_1` cannot be a name", "lower-case"),
        (
            "apiVersion: v1\nkind: Deploymint\n",
            2,
            "no kind is called `Deploymint`",
            "the kinds are AuthorizationPolicy, GRPCRoute",
        ),
        ("apiVersion: v1\nkind: HTTPRoute\n", 1, "no kind `HTTPRoute` in `v1`", "gateway.networking.k8s.io"),
        ("kind: Service\n", 1, "`apiVersion` is missing", ""),
        ("- a\n- b\n", 1, "this is not a mapping", "apiVersion and kind"),
        ("a: 1\nb: 2\na: 3\n", 3, "`a` is already on line 1", "keep one"),
        ("a: [1\nb: 2\n", 2, "not valid YAML", ""),
    ],
)
def test_a_problem_names_line_reason_and_hint(text: str, line: int, reason: str, hint: str) -> None:
    """Requirement: bad input gets file, line, reason and, where there is one, a hint."""
    problem = only(text)
    assert (problem.file, problem.line) == ("mesh.yaml", line)
    assert reason in problem.reason
    assert hint in problem.hint


def test_scalars_follow_yaml_1_2() -> None:
    """Requirement: `on` and `yes` are texts, also as keys; `9000:22` is no number in base 60."""
    text = workload("  command: [on, yes, 1:30, '3']\n  env: {on: off, y: no}\n")
    (one,) = load_text(text, "m").documents
    assert isinstance(one, Workload)
    assert one.command == ("on", "yes", "1:30", "3")
    assert one.env == {"on": "off", "y": "no"}


def test_aliases_and_merge_keys_work_and_cannot_explode() -> None:
    """Requirement: anchors are honoured, but a document that multiplies or contains itself is a Problem."""
    shared = workload("  command: &c [x]\n  env: &e {A: a}\n")
    other = workload("  command: &c [x]\n  env: {<<: {A: a, B: b}, B: mine}\n")
    assert load_text(shared, "m").problems == ()
    (one,) = load_text(other, "m").documents
    assert isinstance(one, Workload)
    assert one.env == {"A": "a", "B": "mine"}
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for depth in range(1, 9):
        bomb += f"a{depth}: &a{depth} [{', '.join([f'*a{depth - 1}'] * 9)}]\n"
    assert only(bomb).code == "too-large"
    assert only("a: &a [*a]\n").code == "too-large"


def test_files_and_directories_are_read_by_name_and_doubles_are_told(tmp_path: Path) -> None:
    """Requirement: several files are one mesh; a document written twice is a Problem of the second place."""
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
    (tmp_path / "a.yaml").write_text(service)
    (tmp_path / "b.yml").write_text("\n" + service)
    (tmp_path / "note.txt").write_text("not ours")
    loaded = load_files([tmp_path])
    assert [str(each.meta.id) for each in loaded.documents] == ["Service/default/web"]
    (problem,) = loaded.problems
    assert (problem.file, problem.line) == (str(tmp_path / "b.yml"), 2)
    assert str(tmp_path / "a.yaml") + ":1" in problem.reason
    assert load_files([tmp_path / "none.yaml"]).problems[0].code == "unreadable"


def test_an_origin_annotation_names_the_place_that_the_user_wrote() -> None:
    """Requirement: a document made by a program points to its user's line."""
    text = "{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {mesh.weft.dev/origin: 'mesh.yaml:14'}}}"
    (one,) = load_text(text, "objects/a.json").documents
    assert str(one.meta.origin) == "mesh.yaml:14"


def test_a_pod_is_read_as_the_kubernetes_api_writes_it() -> None:
    """Requirement: addresses, readiness, named probe ports and owner arrive; unknown fields are passed over."""
    (one,) = load_text(
        """
apiVersion: v1
kind: Pod
metadata:
  name: web-0
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-abc, uid: u}]
spec:
  dnsPolicy: ClusterFirst
  containers:
  - {name: c, ports: [{name: http, containerPort: 8080}], livenessProbe: {httpGet: {port: http, path: /healthz?x}}}
status:
  podIP: 10.0.0.1
  podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]
  conditions: [{type: Ready, status: "True"}]
""",
        "m",
    ).documents
    assert isinstance(one, Pod)
    assert one.ips == ("10.0.0.1", "fd00::1")
    assert one.ready
    assert [(probe.port, probe.path) for probe in one.probes] == [(8080, "/healthz")]
    assert one.owner is not None
    assert one.owner.name == "web-abc"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_ended_has_no_address(phase: str) -> None:
    """Requirement: an address is free for the next pod once its pod ended."""
    text = f"{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, status: {{podIP: 10.0.0.1, phase: {phase}}}}}"
    (one,) = load_text(text, "m").documents
    assert isinstance(one, Pod)
    assert one.ips == ()


def test_a_headless_service_has_no_address() -> None:
    """Requirement: clusterIP None is headless, not an address."""
    text = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None, clusterIPs: [None]}}"
    (one,) = load_text(text, "m").documents
    assert isinstance(one, Service)
    assert one.headless
    assert one.cluster_ips == ()


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("{matches: [{path: {value: a}}]}", "does not start with `/`"),
        ("{matches: [{path: {type: RegularExpression, value: '('}}]}", "is not a regular expression"),
        ("{matches: [{method: {service: a}}]}", "method is a text"),
        ("{backendRefs: [{name: a}]}", "has no port"),
        ("{timeouts: {request: 3 s}}", "`3 s` is not a duration"),
        ("{filters: [{type: RequestHeaderModifier}]}", "has no `requestHeaderModifier`"),
    ],
)
def test_a_route_that_cannot_mean_anything_is_refused_with_its_line(rule: str, reason: str) -> None:
    """Requirement: what a route gets wrong is said where it stands."""
    head = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  rules:\n"
    text = f"{head}  - {rule}\n"
    problem = only(text)
    assert problem.line == 6
    assert reason in problem.reason


def test_a_route_arrives_with_weights_and_times() -> None:
    """Requirement: backends, weights and the request timeout of a rule are read."""
    (one,) = load_text(
        """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: a}
spec:
  parentRefs: [{name: web, kind: Service, group: core, port: 80}]
  rules:
  - backendRefs: [{name: one, port: 80, weight: 90}, {name: two, port: 80, namespace: b, weight: 10}]
    timeouts: {request: 1m500ms}
""",
        "m",
    ).documents
    assert isinstance(one, Route)
    assert [(ref.group, ref.namespace, ref.name, ref.port) for ref in one.parents] == [("", "a", "web", 80)]
    (rule,) = one.rules
    assert rule.backends is not None
    assert [(ref.namespace, ref.name, ref.weight) for ref in rule.backends] == [("a", "one", 90), ("b", "two", 10)]
    assert rule.request_timeout == 60.5


@pytest.mark.parametrize(
    ("spec", "line", "code"),
    [
        ("clusterIP: 198.19.0.256", 5, "bad-address"),
        ("clusterIPs: [198.19.0.1,\n    'fd00::g']", 6, "bad-address"),
        ("ipFamilies: [IPv6, IPv6]", 5, "duplicate-family"),
        ("ipFamilyPolicy: SingleStack\n  ipFamilies: [IPv4, IPv6]", 6, "two-families"),
        ("ipFamilyPolicy: DualStack", 5, "wrong-value"),
        ("ipFamilies: [IPv5]", 5, "wrong-value"),
    ],
)
def test_addresses_and_families_of_a_service_are_checked(spec: str, line: int, code: str) -> None:
    """Requirement: what is no address or no family has its line."""
    text = f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec:\n  {spec}\n  ports: [{{port: 80}}]"
    problem = only(text)
    assert (problem.line, problem.code) == (line, code)


def test_an_address_has_one_form() -> None:
    """Requirement: a Service is found by its address however its document writes it, and IPv4 is not IPv6."""
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIPs: ['FD00:0::1', '::ffff:10.0.0.1']}"
    (service,) = load_text(text, "mesh.yaml").documents
    assert isinstance(service, Service)
    assert service.cluster_ips == ("fd00::1", "10.0.0.1")
    assert service.families == (Family.IPV6, Family.IPV4)
