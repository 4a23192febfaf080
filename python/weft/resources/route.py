"""The kinds HTTPRoute and GRPCRoute, of `gateway.networking.k8s.io` and of `policy.linkerd.io`."""

import re
from typing import Annotated, Literal

import msgspec

from weft.lib.errors import Problem
from weft.model import route as model
from weft.model.meta import Meta
from weft.resources.decode import decode
from weft.resources.metadata import Metadata, meta
from weft.resources.patience import patience
from weft.resources.patterns import header_problem, host_problem, method_problem, pattern_problem
from weft.resources.tree import Path, Tree
from weft.resources.workload import PortNumber


class Written(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What all parts share: a misspelt field would make a rule take other requests, or send them elsewhere."""


class WrittenText(Written, frozen=True):
    name: str
    value: str
    type: Literal["Exact", "RegularExpression"] = "Exact"


class WrittenPath(Written, frozen=True):
    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: str = "/"


class WrittenMethod(Written, frozen=True):
    service: str = ""
    method: str = ""
    type: Literal["Exact"] = "Exact"


class WrittenMatch(Written, frozen=True):
    path: WrittenPath | None = None
    headers: tuple[WrittenText, ...] = ()
    query_params: tuple[WrittenText, ...] = ()
    method: str | WrittenMethod | None = None


class WrittenHeader(Written, frozen=True):
    name: str
    value: str


class WrittenEdit(Written, frozen=True):
    set: tuple[WrittenHeader, ...] = ()
    add: tuple[WrittenHeader, ...] = ()
    remove: tuple[str, ...] = ()


class WrittenRedirectPath(Written, frozen=True):
    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: str = "/"
    replace_prefix_match: str = "/"


class WrittenRedirect(Written, frozen=True):
    scheme: str = ""
    hostname: str = ""
    path: WrittenRedirectPath | None = None
    port: PortNumber | None = None
    status_code: Annotated[int, msgspec.Meta(ge=300, le=399)] = 302


class WrittenFilter(Written, frozen=True):
    type: str
    request_header_modifier: WrittenEdit | None = None
    response_header_modifier: WrittenEdit | None = None
    request_redirect: WrittenRedirect | None = None
    # Of filters that are known and not supported: what is in them is not looked at.
    url_rewrite: object = None
    request_mirror: object = None
    extension_ref: object = None
    cors: object = None
    external_auth: object = None


class WrittenParent(Written, frozen=True):
    name: str
    group: str | None = None
    kind: str = "Gateway"
    namespace: str = ""
    port: PortNumber | None = None
    section_name: str = ""


class WrittenBackend(Written, frozen=True):
    name: str
    group: str = ""
    kind: str = "Service"
    namespace: str = ""
    port: PortNumber | None = None
    weight: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1
    filters: tuple[WrittenFilter, ...] = ()


class WrittenTimeouts(Written, frozen=True):
    request: str | None = None
    backend_request: str | None = None


class WrittenRule(Written, frozen=True):
    matches: tuple[WrittenMatch, ...] = ()
    filters: tuple[WrittenFilter, ...] = ()
    backend_refs: tuple[WrittenBackend, ...] | None = None
    timeouts: WrittenTimeouts = WrittenTimeouts()
    name: str = ""
    retry: object = None
    session_persistence: object = None


class WrittenSpec(Written, frozen=True):
    parent_refs: tuple[WrittenParent, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[WrittenRule, ...] | None = None
    use_default_gateways: object = None


class WrittenRoute(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: WrittenSpec


def parse(tree: Tree, group: str, kind: str) -> model.Route | list[Problem]:
    """A Route, or everything that is wrong with it."""
    written = decode(tree, WrittenRoute)
    if isinstance(written, list):
        return written
    about = meta(tree, group, kind, written.metadata)
    problems = [] if isinstance(about, Meta) else about
    annotated, bad = patience(tree, kind, written.metadata.annotations)
    problems += bad
    namespace = written.metadata.namespace
    rules = tuple(
        _Rule(tree, ("spec", "rules", index), kind, namespace, problems).value(rule)
        for index, rule in enumerate((WrittenRule(),) if written.spec.rules is None else written.spec.rules)
    )
    parents = tuple(
        # Each of the two groups is what its own routes mean when they do not say.
        model.ParentRef(
            _core(group if ref.group is None else ref.group),
            ref.kind,
            ref.namespace or namespace,
            ref.name,
            ref.port,
            ref.section_name,
        )
        for ref in written.spec.parent_refs
    )
    for index, host in enumerate(written.spec.hostnames):
        if bad_host := host_problem(host):
            hint = "a name such as web.example.com, or *.example.com"
            problems.append(tree.problem(("spec", "hostnames", index), "bad-route", bad_host, hint))
    for index, (parent, ref) in enumerate(zip(parents, written.spec.parent_refs, strict=True)):
        if (parent.group, parent.kind) == ("policy.linkerd.io", "Server"):
            problems += _server_problems(tree, ("spec", "parentRefs", index), parent, namespace, ref.section_name)
    if problems or not isinstance(about, Meta):
        return problems
    return model.Route(meta=about, parents=parents, hostnames=written.spec.hostnames, rules=rules, patience=annotated)


def _server_problems(tree: Tree, at: Path, parent: model.ParentRef, own: str, section: str) -> list[Problem]:
    """A Server is one port already, and routes are of its namespace."""
    problems = []
    if parent.namespace != own:
        reason = f"the route is in namespace `{own}` and its Server in `{parent.namespace}`"
        hint = "a route stands in the namespace of its Server"
        problems.append(tree.problem((*at, "namespace"), "bad-route", reason, hint))
    for field, written in (("port", parent.port), ("sectionName", section)):
        if written:
            reason = f"a Server as a parent takes no `{field}`"
            problems.append(tree.problem((*at, field), "bad-route", reason, "a Server is about one port already"))
    return problems


def seconds(text: str) -> float | None:
    """A Gateway API duration (`1h30m`, `500ms`) in seconds; None when it is not one."""
    parts = _DURATION.findall(text)
    if not parts or len(parts) > 4 or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


class _Rule:
    """Reads one rule; what is wrong with it goes to `problems`."""

    def __init__(self, tree: Tree, path: Path, kind: str, namespace: str, problems: list[Problem]) -> None:
        self.tree, self.path, self.kind, self.namespace, self.problems = tree, path, kind, namespace, problems

    def value(self, rule: WrittenRule) -> model.Rule:
        grpc = self.kind == "GRPCRoute"
        return model.Rule(
            line=self.tree.line(self.path),
            matches=tuple(self.grpc(each, index) for index, each in enumerate(rule.matches))
            if grpc
            else tuple(self.http(each, index) for index, each in enumerate(rule.matches)),
            filters=self.filters(rule.filters, (*self.path, "filters")),
            backends=None
            if not rule.backend_refs  # an empty list says what no list says
            else tuple(self.backend(ref, index) for index, ref in enumerate(rule.backend_refs)),
            request_timeout=self.timeouts(rule.timeouts),
            ignored=tuple(
                name
                for name, value in (("retry", rule.retry), ("sessionPersistence", rule.session_persistence))
                if value is not None
            ),
        )

    def http(self, match: WrittenMatch, index: int) -> model.HttpMatch:
        at = (*self.path, "matches", index)
        if isinstance(match.method, WrittenMethod):
            hint = "service and method are for a GRPCRoute"
            self.report((*at, "method"), "an HTTPRoute's method is a text such as GET", hint)
        if isinstance(match.method, str):
            self.check((*at, "method"), method_problem(match.method))
        path = None
        if match.path is not None:
            path = model.PathMatch(model.Compare(match.path.type), match.path.value)
            if path.compare is model.Compare.REGEX:
                self.regex((*at, "path", "value"), path.value)
            elif not path.value.startswith("/"):
                self.report((*at, "path", "value"), f"the path `{path.value}` does not start with `/`")
        return model.HttpMatch(
            path,
            self.headers(match.headers, (*at, "headers")),
            self.texts(match.query_params, (*at, "queryParams")),
            match.method if isinstance(match.method, str) else "",
        )

    def grpc(self, match: WrittenMatch, index: int) -> model.GrpcMatch:
        at = (*self.path, "matches", index)
        if isinstance(match.method, str):
            hint = "method: {service: pkg.Service, method: Call}"
            self.report((*at, "method"), "a GRPCRoute's method is a mapping", hint)
        method = match.method if isinstance(match.method, WrittenMethod) else WrittenMethod()
        return model.GrpcMatch(method.service, method.method, self.headers(match.headers, (*at, "headers")))

    def headers(self, written: tuple[WrittenText, ...], at: Path) -> tuple[model.TextMatch, ...]:
        for index, text in enumerate(written):
            self.check((*at, index, "name"), header_problem(text.name))
        return self.texts(written, at)

    def texts(self, written: tuple[WrittenText, ...], at: Path) -> tuple[model.TextMatch, ...]:
        for index, text in enumerate(written):
            if text.type == "RegularExpression":
                self.regex((*at, index, "value"), text.value)
        return tuple(model.TextMatch(text.name, model.Compare(text.type), text.value) for text in written)

    def regex(self, at: Path, pattern: str) -> None:
        self.check(at, pattern_problem(pattern))

    def filters(self, written: tuple[WrittenFilter, ...], at: Path) -> tuple[model.Filter, ...]:
        return tuple(self.filter(each, (*at, index)) for index, each in enumerate(written))

    def filter(self, written: WrittenFilter, at: Path) -> model.Filter:
        if written.type == "RequestRedirect" and self.kind == "HTTPRoute":
            asked = written.request_redirect or WrittenRedirect()
            if asked.hostname:
                self.check((*at, "requestRedirect", "hostname"), host_problem(asked.hostname))
            full = asked.path.replace_full_path if asked.path and asked.path.type == "ReplaceFullPath" else None
            prefix = asked.path.replace_prefix_match if asked.path and asked.path.type == "ReplacePrefixMatch" else None
            return model.Redirect(asked.scheme, asked.hostname, asked.port, asked.status_code, full, prefix)
        edits = {
            "RequestHeaderModifier": written.request_header_modifier,
            "ResponseHeaderModifier": written.response_header_modifier,
        }
        if written.type not in edits:
            return model.Unsupported(written.type)
        edit = edits[written.type]
        if edit is None:
            field = written.type[0].lower() + written.type[1:]
            self.report(at, f"the filter {written.type} has no `{field}`")
            edit = WrittenEdit()
        for header in (*edit.set, *edit.add):
            self.check(at, header_problem(header.name, header.value))
        for name in edit.remove:
            self.check(at, header_problem(name))
        return model.HeaderEdit(
            written.type == "ResponseHeaderModifier",
            tuple((header.name, header.value) for header in edit.set),
            tuple((header.name, header.value) for header in edit.add),
            edit.remove,
        )

    def backend(self, ref: WrittenBackend, index: int) -> model.BackendRef:
        at = (*self.path, "backendRefs", index)
        if ref.kind == "Service" and ref.port is None:
            self.report(at, f"the backend `{ref.name}` has no port", "a Service as a backend needs `port`")
        filters = self.filters(ref.filters, (*at, "filters"))
        namespace = ref.namespace or self.namespace
        return model.BackendRef(_core(ref.group), ref.kind, namespace, ref.name, ref.port, ref.weight, filters)

    def timeouts(self, written: WrittenTimeouts) -> float | None:
        """The request's; one attempt's is read, and must be no longer, but says nothing to a proxy, as in Linkerd."""
        request = self.timeout("request", written.request)
        attempt = self.timeout("backendRequest", written.backend_request)
        if request and attempt and attempt > request:
            at = (*self.path, "timeouts", "backendRequest")
            self.report(at, f"`backendRequest` {written.backend_request} is longer than `request` {written.request}")
        return request

    def timeout(self, field: str, text: str | None) -> float | None:
        if text is None:
            return None
        value = seconds(text)
        if value is None:
            at = (*self.path, "timeouts", field)
            self.report(at, f"`{text}` is not a duration", "for example 500ms or 1m30s")
        return value or None  # Gateway API: zero means no timeout

    def check(self, path: Path, problem: str) -> None:
        if problem:
            self.report(path, problem)

    def report(self, path: Path, reason: str, hint: str = "") -> None:
        self.problems.append(self.tree.problem(path, "bad-route", reason, hint))


def _core(group: str) -> str:
    return "" if group == "core" else group


_DURATION = re.compile(r"([0-9]{1,5})(h|ms|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
