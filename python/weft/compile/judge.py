"""What a proxy that holds an answer says to one client: the same verdict, in the same words.

The proxy's own copy of these rules is `crates/weft-core/src/policy.rs` and `route.rs`; `tests/vectors/policy.json`
holds both to one table. Nothing here looks at documents: an answer is judged as it would be sent.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address, ip_network
from urllib.parse import unquote_plus

from weft.compile.answer import About, Authorization, InboundPolicy, InboundRoute, InboundRule, Protocol
from weft.model.clients import Clients, Proof
from weft.model.family import plain
from weft.model.route import Compare, GrpcMatch, HttpMatch, PathMatch, TextMatch


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, from where. `identity` is what a certificate proved; `tls`: mesh TLS, with or without one."""

    address: str
    identity: str = ""
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """The head of an HTTP request. `path` may carry a query."""

    method: str = "GET"
    path: str = "/"
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Outcome(Enum):
    """How a verdict ends."""

    ALLOWED = "allowed"
    AUDITED = "audited"
    """Let in only because the policy audits: a policy that enforces would refuse it."""
    DENIED = "denied"
    NO_ROUTE = "no route"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request, by which grant on which route, or why not."""

    outcome: Outcome
    authorization: About | None = None
    route: About | None = None
    reason: str = ""


def judge(policy: InboundPolicy, client: Client, request: Request | None) -> Verdict:
    """Judge a request, or (None) a connection whose bytes are passed on unread."""
    if request is None or policy.protocol in (Protocol.OPAQUE, Protocol.TLS):
        return _permit(policy, client, None)
    # A port that speaks HTTP and is told no route has one that takes everything.
    route = best_route(policy.routes, request) if policy.routes else InboundRoute(About(name="default"), ())
    if route is None:
        path = request.path.partition("?")[0]
        reason = f"no route of {describe(policy.about)} matches {request.method} {path}"
        return Verdict(Outcome.NO_ROUTE, reason=reason)
    return _permit(policy, client, route)


def best_route(routes: tuple[InboundRoute, ...], request: Request) -> InboundRoute | None:
    """Return the route that takes a request: the best host, then the best match, then the first."""
    ranked = [
        ((host, match), -place, route)
        for place, route in enumerate(routes)
        for host in _host_ranks(route.hosts, request.host)
        for match in _match_ranks(route.rules, request)
    ]
    return max(ranked, key=lambda each: each[:2])[2] if ranked else None


def admits(grant: Authorization, client: Client) -> bool:
    """Say whether a grant lets a client in."""
    return covers(grant, client.address) and _proves(grant.clients, client)


def covers(grant: Authorization, address: str) -> bool:
    """Say whether a grant is for clients at an address at all."""
    found = ip_address(plain(address))
    return any(
        found in ip_network(network.cidr) and not any(found in ip_network(each) for each in network.excepted)
        for network in grant.networks
    )


def describe(about: About) -> str:
    """Return what a rule is called in refusals."""
    return f"default policy {about.name}" if about.kind == "default" else f"{about.kind} {about.name}"


def _permit(policy: InboundPolicy, client: Client, route: InboundRoute | None) -> Verdict:
    own = route.authorizations if route else ()
    about = route.about if route else None
    grants = (*own, *policy.authorizations)
    for grant in grants:
        if admits(grant, client):
            audited = (grant.about.kind, grant.about.name) == ("default", "audit")
            return Verdict(Outcome.AUDITED if audited else Outcome.ALLOWED, grant.about, about)
    rule = describe(policy.about)
    if own and about is not None and about.kind != "default":
        rule += f", {describe(about)}"
    if not grants:
        why = "nobody is authorized"
    elif not any(covers(grant, client.address) for grant in grants):
        why = f"client address {plain(client.address)} is in no authorized network"
    elif not client.identity:
        why = "client has no mesh identity"
    else:
        why = f"client {client.identity} is not authorized"
    return Verdict(Outcome.DENIED, None, about, f"{why} ({rule})")


def _proves(clients: Clients, client: Client) -> bool:
    if clients.proof is Proof.NONE:
        return True
    if clients.proof is Proof.TLS:
        return client.tls or bool(client.identity)
    if not client.identity:
        return False
    return client.identity in clients.identities or any(_ends(client.identity, each) for each in clients.suffixes)


def _ends(identity: str, suffix: str) -> bool:
    """At least one label stands before a suffix; a URI is compared whole or not at all."""
    return not suffix or ("://" not in identity and identity.endswith(f".{suffix}") and identity != f".{suffix}")


def _host_ranks(hosts: tuple[str, ...], authority: str) -> Iterator[tuple[int, int]]:
    if not hosts:
        yield (0, 0)
    host = re.sub(r":\d*$", "", authority).rstrip(".").lower()
    for each in hosts:
        wanted = each.lower()
        if wanted.startswith("*."):
            if host.endswith(wanted[1:]) and host != wanted[1:]:
                yield (1, wanted.count("."))
        elif host == wanted:
            yield (2, 0)


Rank = tuple[tuple[bool, int, bool], tuple[int, int], bool, int, int]


def _match_ranks(rules: tuple[InboundRule, ...], request: Request) -> Iterator[Rank]:
    for rule in rules:
        for match in rule.matches:
            rank = _grpc_rank(match, request) if isinstance(match, GrpcMatch) else _http_rank(match, request)
            if rank is not None:
                yield rank


def _http_rank(match: HttpMatch, request: Request) -> Rank | None:
    path, _, query = request.path.partition("?")
    rank = _path_rank(match.path or PathMatch(Compare.PREFIX, "/"), path)
    fits = not match.method or match.method == request.method
    if rank is None or not fits or not _headers_fit(match.headers, request):
        return None
    pairs = [(unquote_plus(name), unquote_plus(value)) for name, _, value in map(_pair, query.split("&"))]
    if not all(any(name == each.name and _text_fits(each, value) for name, value in pairs) for each in match.query):
        return None
    return (rank, (0, 0), bool(match.method), len(match.headers), len(match.query))


def _grpc_rank(match: GrpcMatch, request: Request) -> Rank | None:
    service, slash, method = request.path.partition("?")[0].removeprefix("/").partition("/")
    fits = slash and match.service in ("", service) and match.method in ("", method)
    if not fits or not _headers_fit(match.headers, request):
        return None
    return ((False, 0, False), (len(match.service), len(match.method)), False, len(match.headers), 0)


def _path_rank(match: PathMatch, path: str) -> tuple[bool, int, bool] | None:
    if match.compare is Compare.EXACT:
        return (True, len(match.value), False) if path == match.value else None
    if match.compare is Compare.REGEX:
        return (False, len(path), False) if re.fullmatch(match.value, path) else None
    prefix = match.value.removesuffix("/")
    fits = path == prefix or path.startswith(f"{prefix}/") or not prefix
    return (False, len(prefix), True) if fits else None


def _headers_fit(wanted: tuple[TextMatch, ...], request: Request) -> bool:
    found = [(name.lower(), value) for name, value in request.headers]
    return all(any(name == each.name.lower() and _text_fits(each, value) for name, value in found) for each in wanted)


def _text_fits(match: TextMatch, value: str) -> bool:
    return bool(re.fullmatch(match.value, value)) if match.compare is Compare.REGEX else value == match.value


def _pair(text: str) -> tuple[str, str, str]:
    return text.partition("=")
