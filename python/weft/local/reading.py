"""Reads mesh files for local mode: the documents, or every problem with its file, line and hint."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from weft.lib.errors import Problem
from weft.local.documents import Documents, Written
from weft.local.plan import CONTROL_NAMESPACE
from weft.model import Document, Namespace, Pod, Service, Workload
from weft.resources import files_in, load_files, tree


def read(paths: Sequence[Path]) -> Documents | list[Problem]:
    """All documents of these files and directories."""
    loaded = load_files(paths)
    problems = list(loaded.problems)
    workloads = tuple(document for document in loaded.documents if isinstance(document, Workload))
    if not workloads and not problems:
        hint = "a mesh file has at least one document of kind Workload (apiVersion mesh.weft.dev/v1alpha1)"
        problems.append(Problem(str(paths[0]), 0, 0, "no-workloads", "there is no Workload in it", hint))
    env_files: dict[str, Mapping[str, str]] = {}
    problems += _published_twice(workloads)
    for document in loaded.documents:
        problems += _problems(document, workloads)
        if isinstance(document, Workload) and document.env_file is not None:
            found = _env_file(document, document.env_file)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                env_files[f"{document.meta.namespace}/{document.meta.name}"] = found
    if problems:
        return sorted(problems)
    return Documents(
        workloads=workloads,
        services=tuple(document for document in loaded.documents if isinstance(document, Service)),
        namespaces=tuple(document for document in loaded.documents if isinstance(document, Namespace)),
        written=_written(paths, loaded.documents),
        env_files=env_files,
    )


def _problems(document: Document, workloads: Sequence[Workload]) -> list[Problem]:
    origin = document.meta.origin
    if isinstance(document, Pod):
        hint = "write a Workload: local mode makes the pods"
        return [Problem(origin.file, origin.line, 1, "pod-in-mesh-file", "a mesh file cannot hold a Pod", hint)]
    if not isinstance(document, Workload):
        return []
    if document.meta.namespace == CONTROL_NAMESPACE:
        reason = f"namespace `{CONTROL_NAMESPACE}` is the control plane's own"
        return [Problem(origin.file, origin.line, 1, "reserved-namespace", reason, "choose another namespace")]
    known = {workload.meta.name for workload in workloads if workload.meta.namespace == document.meta.namespace}
    reason = "`dependsOn` names `{}`, and there is no such workload in this namespace"
    return [
        Problem(
            origin.file,
            origin.line,
            1,
            "unknown-workload",
            reason.format(name),
            f"the workloads are {', '.join(sorted(known))}",
        )
        for name in document.depends_on
        if name not in known
    ]


def _published_twice(workloads: Sequence[Workload]) -> list[Problem]:
    """A host port can lead to one workload only."""
    first: dict[tuple[str, int], Workload] = {}
    problems: list[Problem] = []
    for workload in workloads:
        for entry in workload.publish:
            other = first.setdefault((entry.host, entry.listen), workload)
            if other is not workload:
                origin = workload.meta.origin
                reason = f"{entry.host}:{entry.listen} is already published by {other.meta.name} at {other.meta.origin}"
                hint = "choose another port"
                problems.append(Problem(origin.file, origin.line, 1, "published-twice", reason, hint))
    return problems


def _env_file(workload: Workload, name: str) -> Mapping[str, str] | Problem:
    origin = workload.meta.origin
    path = Path(origin.file).parent / name
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return Problem(origin.file, origin.line, 1, "unreadable", f"`envFile` {path} cannot be read: {error}")
    variables: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        variable, equals, value = text.partition("=")
        if not equals:
            return Problem(str(path), number, 1, "bad-env-file", "this line is not NAME=VALUE")
        variables[variable.strip()] = value.strip().strip("'\"")
    return variables


def _written(paths: Sequence[Path], documents: Sequence[Document]) -> tuple[Written, ...]:
    """The content of all documents but Workloads, found again by where they stand."""
    wanted = {str(document.meta.origin): document for document in documents if not isinstance(document, Workload)}
    written: list[Written] = []
    for path in paths:
        for file in files_in(path) if path.is_dir() else [path]:
            for found in tree.read(file.read_text(encoding="utf-8"), str(file)):
                document = wanted.get(f"{file}:{found.line()}")
                if document is not None and isinstance(found.value, dict):
                    identity = document.meta.id
                    origin = str(document.meta.origin)
                    written.append(Written(identity.kind, identity.namespace, identity.name, found.value, origin))
    return tuple(written)
