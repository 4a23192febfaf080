"""The kind ServiceProfile (`linkerd.io`), as Linkerd's users write it."""

import re
from typing import Annotated

import msgspec

from weft.lib.errors import Problem
from weft.model import ports, profile
from weft.model.meta import Meta
from weft.resources.access import Shape, version_problems
from weft.resources.decode import decode, field_names, show
from weft.resources.metadata import Metadata, meta
from weft.resources.patterns import method_problem, pattern_problem
from weft.resources.tree import Path, Tree

Status = Annotated[int, msgspec.Meta(ge=0, le=599)]


class WrittenRequest(Shape, frozen=True, rename={"path_regex": "pathRegex", "none": "not"}):
    path_regex: str = ""
    method: str = ""
    all: "tuple[WrittenRequest, ...] | None" = None
    any: "tuple[WrittenRequest, ...] | None" = None
    none: "WrittenRequest | None" = None


class WrittenRange(Shape, frozen=True):
    min: Status = 0
    max: Status = 0


class WrittenResponse(Shape, frozen=True, rename={"none": "not"}):
    status: WrittenRange | None = None
    all: "tuple[WrittenResponse, ...] | None" = None
    any: "tuple[WrittenResponse, ...] | None" = None
    none: "WrittenResponse | None" = None


class WrittenClass(Shape, frozen=True):
    condition: WrittenResponse
    is_failure: bool = False


class WrittenRoute(Shape, frozen=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    condition: WrittenRequest
    response_classes: tuple[WrittenClass, ...] = ()
    is_retryable: bool = False
    timeout: str = ""


class WrittenBudget(Shape, frozen=True):
    retry_ratio: Annotated[float, msgspec.Meta(ge=0, le=1000)]
    min_retries_per_second: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    ttl: str


class WrittenOverride(Shape, frozen=True):
    authority: str
    weight: int | float | str = 1


class WrittenSpec(Shape, frozen=True):
    routes: tuple[WrittenRoute, ...] = ()
    retry_budget: WrittenBudget | None = None
    dst_overrides: tuple[WrittenOverride, ...] = ()
    opaque_ports: tuple[int | str, ...] = ()


class Written(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    metadata: Metadata
    spec: WrittenSpec = WrittenSpec()


KNOWN = field_names(Written, WrittenSpec, WrittenRoute, WrittenRequest, WrittenResponse, WrittenBudget)


def parse(tree: Tree, group: str, kind: str) -> profile.ServiceProfile | list[Problem]:
    """A ServiceProfile, or everything that is wrong with it."""
    written = decode(tree, Written, KNOWN)
    if isinstance(written, list):
        return written
    about = meta(tree, group, kind, written.metadata)
    reader = _Reader(tree, [] if isinstance(about, Meta) else about)
    reader.problems += version_problems(tree, written.api_version, ("v1alpha1", "v1alpha2"))
    if len(written.metadata.name.split(".")) < 4 or ".svc." not in written.metadata.name:
        hint = "for example web.default.svc.cluster.local: name, namespace and the cluster's domain"
        reader.report(("metadata", "name"), f"`{written.metadata.name}` is not the full name of a Service", hint)
    spec = written.spec
    routes = tuple(reader.route(each, ("spec", "routes", index)) for index, each in enumerate(spec.routes))
    overrides = tuple(
        reader.override(each, ("spec", "dstOverrides", index)) for index, each in enumerate(spec.dst_overrides)
    )
    opaque = tuple(
        found
        for index, each in enumerate(spec.opaque_ports)
        for found in reader.ports(str(each), ("spec", "opaquePorts", index))
    )
    budget = reader.budget(spec.retry_budget)
    if reader.problems or not isinstance(about, Meta):
        return reader.problems
    return profile.ServiceProfile(meta=about, routes=routes, budget=budget, overrides=overrides, opaque_ports=opaque)


def seconds(text: str) -> float | None:
    """A duration of Go (`1m30s`, `1.5s`, `250ms`) in seconds; None when it is not one."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return 0.0 if text == "0" else None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


class _Reader:
    """Reads the parts of a profile; what is wrong with them goes to `problems`."""

    def __init__(self, tree: Tree, problems: list[Problem]) -> None:
        self.tree, self.problems = tree, problems

    def route(self, written: WrittenRoute, at: Path) -> profile.ProfileRoute:
        classes = tuple(
            profile.ResponseClass(
                self.response(each.condition, (*at, "responseClasses", index, "condition")), each.is_failure
            )
            for index, each in enumerate(written.response_classes)
        )
        condition = self.request(written.condition, (*at, "condition"))
        timeout = self.time(written.timeout, (*at, "timeout")) if written.timeout else 0.0
        return profile.ProfileRoute(written.name, condition, classes, written.is_retryable, timeout or None)

    def request(self, written: WrittenRequest, at: Path) -> profile.Condition:
        """Several fields of one condition must all hold."""
        found: list[profile.Condition] = []
        if written.all is not None:
            found.append(
                profile.AllOf(tuple(self.request(each, (*at, "all", n)) for n, each in enumerate(written.all)))
            )
        if written.any is not None:
            found.append(
                profile.AnyOf(tuple(self.request(each, (*at, "any", n)) for n, each in enumerate(written.any)))
            )
        if written.none is not None:
            found.append(profile.NotThat(self.request(written.none, (*at, "not"))))
        if written.method:
            self.check((*at, "method"), method_problem(written.method))
            found.append(profile.MethodIs(written.method.upper()))
        if written.path_regex:
            self.check((*at, "pathRegex"), pattern_problem(written.path_regex))
            found.append(profile.PathPattern(written.path_regex))
        return self.together(found, at, "one of pathRegex, method, all, any, not")

    def response(self, written: WrittenResponse, at: Path) -> profile.Condition:
        found: list[profile.Condition] = []
        if written.all is not None:
            found.append(
                profile.AllOf(tuple(self.response(each, (*at, "all", n)) for n, each in enumerate(written.all)))
            )
        if written.any is not None:
            found.append(
                profile.AnyOf(tuple(self.response(each, (*at, "any", n)) for n, each in enumerate(written.any)))
            )
        if written.none is not None:
            found.append(profile.NotThat(self.response(written.none, (*at, "not"))))
        if written.status is not None:
            low, high = written.status.min, written.status.max
            if 0 < low < 100 or 0 < high < 100 or (low and high and high < low):
                hint = "both ends are from 100 to 599, `max` not below `min`; one may be left out"
                self.report((*at, "status"), f"{low} to {high} is no range of statuses", hint)
            found.append(profile.StatusRange(low, high))
        return self.together(found, at, "one of status, all, any, not")

    def together(self, found: list[profile.Condition], at: Path, hint: str) -> profile.Condition:
        if not found:
            self.report(at, f"`{show(at)}` says nothing", hint)
            return profile.AllOf(())
        return found[0] if len(found) == 1 else profile.AllOf(tuple(found))

    def override(self, written: WrittenOverride, at: Path) -> profile.Override:
        host, _, port = written.authority.rpartition(":")
        if not _HOST.fullmatch(host) or not port.isdecimal() or not 0 < int(port) < 65536:
            hint = "for example web-v2.default.svc.cluster.local:8080"
            self.report((*at, "authority"), f"`{written.authority}` is not a name and a port", hint)
        match = _QUANTITY.fullmatch(str(written.weight))
        if match is None:
            hint = 'a number such as 1 or 0.5, or thousandths such as "500m"'
            self.report((*at, "weight"), f"`{written.weight}` is not a weight", hint)
            return profile.Override(written.authority, 0)
        return profile.Override(written.authority, round(float(match[1]) * (1 if match[2] else 1000)))

    def budget(self, written: WrittenBudget | None) -> profile.RetryBudget:
        if written is None:
            return profile.RetryBudget()
        ttl = self.time(written.ttl, ("spec", "retryBudget", "ttl"))
        return profile.RetryBudget(written.retry_ratio, written.min_retries_per_second, ttl)

    def ports(self, text: str, at: Path) -> list[ports.Range]:
        if ports.unreadable(text) or not text:
            self.report(at, f"`{text}` is not a port", "a port such as 6379, or a range such as 9000-9010")
        return ports.ranges(text)

    def time(self, text: str, at: Path) -> float:
        value = seconds(text)
        if value is None:
            self.report(at, f"`{text}` is not a duration", "for example 500ms, 1.5s or 1m30s")
        return value or 0.0

    def check(self, at: Path, problem: str) -> None:
        if problem:
            self.report(at, problem)

    def report(self, at: Path, reason: str, hint: str = "") -> None:
        self.problems.append(self.tree.problem(at, "bad-profile", reason, hint))


_DURATION = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_QUANTITY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(m?)")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
