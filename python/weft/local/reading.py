"""Reads mesh files for local mode: the documents, or every problem with its file, line and hint."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from weft.lib.errors import Problem
from weft.local.documents import Documents, Written
from weft.local.overrides import Overrides
from weft.local.plan import CONTROL_NAMESPACE
from weft.model import Namespace, Pod, Service, Workload
from weft.resources import Loaded, Read, join, read_files
from weft.resources.codes import problem


def read(paths: Sequence[Path], overrides: Overrides | None = None) -> Documents | list[Problem]:
    """All documents of these files and directories, with what commands changed in them."""
    reads, holding = (overrides or Overrides()).over(read_files(paths))
    joined = join(Loaded((each.document,) if each.document else (), each.problems) for each in reads)
    problems = list(joined.problems)
    workloads = tuple(document for document in joined.documents if isinstance(document, Workload))
    if not workloads and not problems:
        problems.append(problem(str(paths[0]), 0, 0, "no-workloads", "there is no Workload in it"))
    problems += _published_twice(reads) + _circles(reads)
    names = _names(reads)
    env_files: dict[str, Mapping[str, str]] = {}
    for each in reads:
        problems += _problems(each, names)
        if isinstance(each.document, Workload) and each.document.env_file is not None:
            found = _env_file(each, each.document, each.document.env_file)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                env_files[f"{each.document.meta.namespace}/{each.document.meta.name}"] = found
    if problems:
        return sorted(problems)
    return Documents(
        workloads=workloads,
        services=tuple(document for document in joined.documents if isinstance(document, Service)),
        namespaces=tuple(document for document in joined.documents if isinstance(document, Namespace)),
        written=tuple(_written(each) for each in reads),
        env_files=env_files,
        overrides=holding,
    )


def _names(reads: Iterable[Read]) -> set[tuple[str, str]]:
    """Namespace and name of every Workload, also of those with problems: their names are no further problem."""
    names = {(each.document.meta.namespace, each.document.meta.name) for each in reads if each.document}
    for each in reads:
        content = each.tree.value
        metadata = content.get("metadata") if each.document is None and isinstance(content, dict) else None
        if isinstance(metadata, dict):
            names.add((str(metadata.get("namespace", "default")), str(metadata.get("name"))))
    return names


def _problems(each: Read, names: set[tuple[str, str]]) -> list[Problem]:
    document = each.document
    if isinstance(document, Pod):
        return [each.tree.problem(("kind",), "pod-in-mesh-file", "a mesh file cannot hold a Pod")]
    if not isinstance(document, Workload):
        return []
    namespace = document.meta.namespace
    if namespace == CONTROL_NAMESPACE:
        reason = f"namespace `{CONTROL_NAMESPACE}` is the control plane's own"
        return [each.tree.problem(("metadata", "namespace"), "reserved-namespace", reason)]
    others = sorted(name for where, name in names if where == namespace and name != document.meta.name)
    reason = "`dependsOn` names `{}`, and there is no such workload in this namespace"
    hint = f"the other workloads are {', '.join(others) or 'none'}"
    return [
        each.tree.problem(("spec", "dependsOn", index), "unknown-workload", reason.format(name), hint)
        for index, name in enumerate(document.depends_on)
        if (namespace, name) not in names
    ]


def _circles(reads: Sequence[Read]) -> list[Problem]:
    """A Problem for each workload that waits for itself, be it by way of others."""
    waits = {
        (each.document.meta.namespace, each.document.meta.name): each.document.depends_on
        for each in reads
        if isinstance(each.document, Workload)
    }
    problems = []
    for each in reads:
        if isinstance(each.document, Workload):
            namespace, name = each.document.meta.namespace, each.document.meta.name
            way = _way_back(waits, namespace, name)
            if way:
                reason = f"`{name}` waits for itself: {' -> '.join((name, *way))}"
                problems.append(each.tree.problem(("spec", "dependsOn"), "waits-for-itself", reason))
    return problems


def _way_back(waits: Mapping[tuple[str, str], Sequence[str]], namespace: str, name: str) -> tuple[str, ...]:
    """The shortest way along dependsOn from a workload to itself; empty when there is none."""
    ways: list[tuple[str, ...]] = [(each,) for each in waits[namespace, name]]
    seen: set[str] = set()
    while ways:
        way, *ways = ways
        if way[-1] == name:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [(*way, each) for each in waits.get((namespace, way[-1]), ())]
    return ()


def _published_twice(reads: Iterable[Read]) -> list[Problem]:
    """A host port can lead to one workload only."""
    first: dict[tuple[str, int], Workload] = {}
    problems: list[Problem] = []
    for each in reads:
        for index, entry in enumerate(each.document.publish if isinstance(each.document, Workload) else ()):
            assert isinstance(each.document, Workload)
            other = first.setdefault((entry.host, entry.listen), each.document)
            if other is not each.document:
                reason = f"{entry.host}:{entry.listen} is already published by {other.meta.name} at {other.meta.origin}"
                problems.append(each.tree.problem(("spec", "publish", index, "listen"), "published-twice", reason))
    return problems


def _env_file(each: Read, workload: Workload, name: str) -> Mapping[str, str] | Problem:
    path = Path(workload.meta.origin.file).parent / name
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8 text"
        return each.tree.problem(("spec", "envFile"), "unreadable", f"`envFile` {path} cannot be read: {words}")
    variables: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        variable, equals, value = text.partition("=")
        if not equals:
            return problem(str(path), number, 1, "bad-env-file", "this line is not NAME=VALUE")
        variables[variable.strip()] = value.strip().strip("'\"")
    return variables


def _written(each: Read) -> Written:
    assert each.document is not None
    content = each.tree.value
    assert isinstance(content, dict)
    about = each.document.meta
    return Written(about.id.group, about.id.kind, about.namespace, about.name, content, str(about.origin))
