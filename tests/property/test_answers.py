"""Properties of shared, incremental answers."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from weft.answers import Answers
from weft.compile import EndpointsOf, InboundOf, OutboundOf, ProfileOf, Question, answer
from weft.compile.answer import Address, Endpoints, Unanswerable
from weft.compile.authority import Authority
from weft.compile.targets import Target
from weft.gen import destination_pb2
from weft.model import (
    AuthorizationPolicy,
    Document,
    MeshTLSAuthentication,
    Meta,
    Namespace,
    NetworkAuthentication,
    ObjectId,
    Origin,
    Pod,
    Route,
    Server,
    ServerAuthorization,
    Service,
    ServiceProfile,
)
from weft.model.authorization import GROUP, Account, Network
from weft.model.clients import ANYONE, MESHED, named
from weft.model.pod import ContainerPort
from weft.model.profile import PathPattern, ProfileRoute
from weft.model.route import BackendRef, HttpMatch, ParentRef, Rule
from weft.model.server import ProxyProtocol, Selector
from weft.model.service import ServicePort
from weft.model.settings import Settings
from weft.model.snapshot import Snapshot, pod_label_key
from weft.serve import encode

NAMES, NAMESPACES, PORTS = ("a", "b"), ("x", "y"), (80, 81)
IPS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
OPAQUE, POLICY = "config.linkerd.io/opaque-ports", "config.linkerd.io/default-inbound-policy"
annotations = st.dictionaries(st.sampled_from((OPAQUE, POLICY)), st.sampled_from(("80", "deny", "")), max_size=2)


def meta(draw: Callable[[st.SearchStrategy[Any]], Any], group: str, kind: str, namespaced: bool = True) -> Meta:
    namespace = draw(st.sampled_from(NAMESPACES)) if namespaced else ""
    name = draw(st.sampled_from(NAMES if namespaced else NAMESPACES))
    labels = draw(st.dictionaries(st.sampled_from(("app", "tier")), st.sampled_from(NAMES)))
    if draw(st.booleans()):
        labels["linkerd.io/control-plane-ns"] = "weft"
    which = ObjectId(group, kind, namespace, name)
    return Meta(id=which, origin=Origin("m", 1), labels=labels, annotations=draw(annotations))


@st.composite
def grants(draw: Callable[[st.SearchStrategy[Any]], Any], *others: str) -> Document:
    """A document about access: one that grants, or of the `others`."""
    kind = draw(st.sampled_from(("AuthorizationPolicy", "ServerAuthorization", *others)))
    about = meta(draw, GROUP, kind)
    accounts = st.lists(st.builds(Account, st.sampled_from(NAMESPACES), st.sampled_from(NAMES)), max_size=1)
    networks = st.lists(st.builds(Network, st.sampled_from(("10.0.0.0/8", "::/0"))), min_size=1, max_size=2)
    if kind == "MeshTLSAuthentication":
        patterns = tuple(draw(st.lists(st.sampled_from(("*", "*.x", "a.x")), max_size=2)))
        return MeshTLSAuthentication(meta=about, identities=patterns, accounts=tuple(draw(accounts)))
    if kind == "NetworkAuthentication":
        return NetworkAuthentication(meta=about, networks=tuple(draw(networks)))
    if kind == "ServerAuthorization":
        server = draw(st.sampled_from(("a", "b", Selector(), Selector({"app": "a"}))))
        clients = draw(st.sampled_from((ANYONE, MESHED, named(("a.x",)))))
        return ServerAuthorization(meta=about, server=server, networks=tuple(draw(networks)), clients=clients)
    target = draw(st.sampled_from(("Server", "HTTPRoute", "GRPCRoute", "Namespace")))
    group = {"Server": GROUP, "Namespace": ""}.get(target, "gateway.networking.k8s.io")
    where = ("", about.namespace) if target == "Namespace" else (about.namespace, draw(st.sampled_from(NAMES)))
    kinds = st.sampled_from(("MeshTLSAuthentication", "NetworkAuthentication"))
    required = st.builds(ObjectId, st.just(GROUP), kinds, st.sampled_from(NAMESPACES), st.sampled_from(NAMES))
    return AuthorizationPolicy(
        meta=about,
        target=ObjectId(group, target, *where),
        required=(*draw(st.lists(required, max_size=1)), *draw(accounts)),
    )


@st.composite
def documents(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Document:
    if draw(st.booleans()):
        return draw(grants("MeshTLSAuthentication", "NetworkAuthentication"))
    kind = draw(
        st.sampled_from(
            ("Pod", "Pod", "Service", "Service", "Namespace", "HTTPRoute", "GRPCRoute", "Server", "ServiceProfile")
        )
    )
    if kind == "Pod":
        return Pod(
            meta=meta(draw, "", kind),
            ips=tuple(draw(st.lists(st.sampled_from(IPS), max_size=1))),
            ready=draw(st.booleans()),
            service_account="sa",
            hostname=draw(st.sampled_from(NAMES)),
            ports=tuple(ContainerPort("http", each) for each in draw(st.lists(st.sampled_from(PORTS), max_size=1))),
        )
    if kind == "Server":
        return Server(
            meta=meta(draw, "policy.linkerd.io", kind),
            pods=Selector(draw(st.dictionaries(st.just("app"), st.sampled_from(NAMES)))),
            port=draw(st.sampled_from((*PORTS, "http"))),
            protocol=draw(st.sampled_from(ProxyProtocol)),
            access_policy=draw(st.sampled_from(("deny", "all-unauthenticated"))),
        )
    if kind == "Service":
        return Service(
            meta=meta(draw, "", kind),
            ports=tuple(
                ServicePort("", port, draw(st.sampled_from((80, "http"))))
                for port in draw(st.lists(st.sampled_from(PORTS), unique=True))
            ),
            selector=draw(st.dictionaries(st.sampled_from(("app", "tier")), st.sampled_from(NAMES))),
            cluster_ips=tuple(draw(st.lists(st.sampled_from(IPS), max_size=1))),
            headless=draw(st.booleans()),
        )
    if kind == "ServiceProfile":
        about = meta(draw, "linkerd.io", kind)
        name = f"{about.name}.{draw(st.sampled_from(NAMESPACES))}.svc.cluster.local"
        routes = (ProfileRoute("all", PathPattern("/.*"), retryable=True),) if draw(st.booleans()) else ()
        opaque = draw(st.sampled_from(((), ((80, 80),))))
        about = replace(about, id=about.id._replace(name=name))
        return ServiceProfile(meta=about, routes=routes, opaque_ports=opaque)
    if kind == "Namespace":
        return Namespace(meta=meta(draw, "", kind, namespaced=False))
    about = meta(draw, "gateway.networking.k8s.io", kind)
    where = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(NAMES), st.sampled_from(PORTS))
    parents: tuple[ParentRef, ...] = tuple(
        ParentRef("", "Service", *each) for each in draw(st.lists(where, max_size=2))
    )
    if draw(st.booleans()):
        parents = (ParentRef(GROUP, "Server", about.namespace, draw(st.sampled_from(NAMES)), None),)
    backends = tuple(BackendRef("", "Service", *each, weight=1) for each in draw(st.lists(where, max_size=2)))
    rule = Rule(1, (HttpMatch(),) if kind == "HTTPRoute" else (), (), backends)
    return Route(meta=about, parents=parents, hostnames=(), rules=(rule,))


authorities = st.builds(
    Authority, st.sampled_from(NAMES), st.sampled_from(NAMESPACES), st.sampled_from(PORTS), st.sampled_from(("", "a"))
)
targets: st.SearchStrategy[Target] = st.one_of(
    authorities, st.builds(Address, st.sampled_from(IPS), st.sampled_from(PORTS))
)
questions: st.SearchStrategy[Question] = st.one_of(
    st.builds(EndpointsOf, authorities),
    st.builds(ProfileOf, targets, st.sampled_from((*NAMESPACES, ""))),
    st.builds(InboundOf, st.sampled_from(NAMESPACES), st.sampled_from(NAMES), st.sampled_from(PORTS)),
    st.builds(OutboundOf, st.sampled_from(NAMESPACES), targets),
)
meshes = st.lists(documents(), max_size=8, unique_by=lambda document: document.meta.id)


@settings(max_examples=50)
@given(st.lists(meshes, min_size=1, max_size=8), st.data(), st.lists(questions, min_size=1, max_size=6))
def test_changes_alone_equal_recomputed_from_nothing(
    edits: list[list[Document]], data: st.DataObject, asked: list[Question]
) -> None:
    """Requirement: the same holds when only changes are told: documents put in, changed, told again and taken out."""
    answers = Answers(Settings())
    in_force: dict[ObjectId, Document] = {}
    with ExitStack() as stack:
        for question in asked:
            stack.enter_context(answers.of(question))
        for edit in edits:
            changes: dict[ObjectId, Document | None] = {document.meta.id: document for document in edit}
            if in_force:
                changes |= dict.fromkeys(data.draw(st.sets(st.sampled_from(sorted(in_force)))))
            answers.change(changes)
            in_force |= {which: document for which, document in changes.items() if document is not None}
            in_force = {which: document for which, document in in_force.items() if changes.get(which, document)}
            fresh = Snapshot.of(Settings(), in_force.values())
            assert answers.snapshot == fresh
            for question in asked:
                assert answers.now(question) == answer(fresh, question)[0]


@settings(max_examples=50)
@given(st.lists(meshes, min_size=1, max_size=5), st.lists(questions, min_size=1, max_size=6))
def test_incremental_equals_recomputed_from_nothing(edits: list[list[Document]], asked: list[Question]) -> None:
    """Requirement: after any edits an answer that was kept is the one that a fresh Snapshot gives."""
    answers = Answers(Settings())
    watches = [answers.of(question).__enter__() for question in asked]
    for state in edits:
        answers.replace(state)
        fresh = Snapshot.of(Settings(), state)
        assert answers.snapshot == fresh
        for question in asked:
            assert answers.now(question) == answer(fresh, question)[0]
    for watch in watches:
        watch.__exit__(None, None, None)
    assert len(answers) == 0
    assert answers._concerned == {}


@settings(max_examples=50)
@given(st.lists(meshes, min_size=1, max_size=6), authorities)
def test_the_differences_of_a_stream_add_up_to_the_whole(states: list[list[Document]], authority: Authority) -> None:
    """Requirement: a proxy that applies every message has, at each version, the endpoints of the whole answer."""
    question = EndpointsOf(authority)
    held: dict[tuple[int, int], bytes] = {}
    before = None
    for state in states:
        now, _ = answer(Snapshot.of(Settings(), state), question)
        if not isinstance(now, Endpoints):
            continue
        for message in encode.messages(before, now):
            update = destination_pb2.Update.FromString(message)
            if update.WhichOneof("update") == "no_endpoints":
                held.clear()
            for one in update.add.addrs:
                held[one.addr.ip.ipv4, one.addr.port] = one.SerializeToString(deterministic=True)
            for gone in update.remove.addrs:
                del held[gone.ip.ipv4, gone.port]
        before = now
        whole = [destination_pb2.Update.FromString(each) for each in encode.messages(None, now)]
        expected = {
            (one.addr.ip.ipv4, one.addr.port): one.SerializeToString(deterministic=True)
            for update in whole
            for one in update.add.addrs
        }
        assert held == expected


@settings(max_examples=50)
@given(st.lists(meshes, min_size=1, max_size=4), questions)
def test_every_answer_can_be_written(states: list[list[Document]], question: Question) -> None:
    """Requirement: whatever the mesh holds, an answer becomes bytes."""
    for state in states:
        told, _ = answer(Snapshot.of(Settings(), state), question)
        if not isinstance(told, Unanswerable):
            assert encode.messages(None, told)


def test_a_slow_reader_skips_to_the_newest() -> None:
    """Requirement: versions that came while a reader was busy are never sent, only the newest is."""

    async def read() -> list[int]:
        answers = Answers(Settings())
        which = ObjectId("", "Namespace", "", "x")
        seen: list[int] = []
        with answers.of(InboundOf("x", "a", 80)) as watch:
            versions = watch.versions()
            seen.append((await anext(versions)).number)
            for policy in ("deny", "audit", "all-authenticated"):
                about = Meta(id=which, origin=Origin("m", 1), annotations={POLICY: policy})
                pod = Meta(id=ObjectId("", "Pod", "x", "a"), origin=Origin("m", 1))
                answers.replace([Namespace(meta=about), Pod(meta=pod, ips=(), ready=True, service_account="s")])
            seen.append((await anext(versions)).number)
        return seen

    assert asyncio.run(read()) == [1, 4]


def test_a_change_elsewhere_costs_nothing() -> None:
    """Requirement: an answer is made again only when a change touches its footprint, and once for all its readers."""
    answers = Answers(Settings())
    with answers.of(EndpointsOf(Authority("a", "x", 80))), answers.of(EndpointsOf(Authority("a", "x", 80))):
        assert answers.made == 1
        other = Meta(id=ObjectId("", "Service", "y", "b"), origin=Origin("m", 1))
        answers.replace([Service(meta=other, ports=(), selector={})])
        assert answers.made == 1
        own = Meta(id=ObjectId("", "Service", "x", "a"), origin=Origin("m", 1))
        answers.replace([Service(meta=own, ports=(), selector={}), Service(meta=other, ports=(), selector={})])
        assert answers.made == 2


def test_a_server_concerns_only_pods_with_its_label() -> None:
    """Requirement: editing one workload's Server asks nothing again about the other workloads of its namespace."""
    answers = Answers(Settings())

    def pod(name: str) -> Pod:
        about = Meta(id=ObjectId("", "Pod", "x", name), origin=Origin("m", 1), labels={"app": name})
        return Pod(meta=about, ips=(), ready=True, service_account="s")

    def server(access: str) -> Server:
        about = Meta(id=ObjectId(GROUP, "Server", "x", "a"), origin=Origin("m", 1))
        return Server(meta=about, pods=Selector({"app": "a"}), port=80, access_policy=access)

    answers.replace([pod("a"), pod("b")])
    with answers.of(InboundOf("x", "a", 80)), answers.of(InboundOf("x", "b", 80)):
        made = answers.made
        for access in ("deny", "all-authenticated"):
            answers.change({server(access).meta.id: server(access)})
        assert answers.made == made + 2


def test_a_label_of_many_pods_stays_sorted() -> None:
    """Requirement: what a key finds is by id, whether one document came or many, and however they left."""
    which = [ObjectId("", "Pod", "x", f"{number:03}") for number in range(100)]
    labels = {"app": "a"}
    pods: dict[ObjectId, Document | None] = {
        each: Pod(meta=Meta(id=each, origin=Origin("m", 1), labels=labels), ips=(), ready=True, service_account="s")
        for each in which
    }
    snapshot, _ = Snapshot(Settings()).changed({each: pods[each] for each in which[::2]})
    for each in (which[51], which[1], which[99]):
        snapshot, _ = snapshot.changed({each: pods[each]})
    snapshot, _ = snapshot.changed(dict.fromkeys(which[4:8:2]))
    left = sorted({*which[::2], which[51], which[1], which[99]} - {*which[4:8:2]})
    assert [pod.meta.id for pod in snapshot.found(pod_label_key("x", "app", "a"))] == left
