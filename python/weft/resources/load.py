"""From files to documents: which kind each is, and which are there twice. Reads files, nothing else."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from weft.lib.errors import Problem
from weft.model import Document, ObjectId
from weft.resources import (
    authorization_policy,
    mesh_tls_authentication,
    namespace,
    network_authentication,
    pod,
    route,
    server,
    server_authorization,
    service,
    service_profile,
    tree,
    workload,
)
from weft.resources.codes import problem
from weft.resources.decode import close


@dataclass(frozen=True, slots=True)
class Loaded:
    """What could be read, in the order it was written, and what could not, by file and line."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """One document of a file: its value, or its problems. `tree` is what was written and where."""

    document: Document | None
    problems: tuple[Problem, ...]
    tree: tree.Tree


def load_files(paths: Iterable[Path | str]) -> Loaded:
    """All documents of these files; of a directory, of its `*.yaml`, `*.yml` and `*.json` files by name."""
    return join(loaded(each) for each in read_files(paths))


def read_files(paths: Iterable[Path | str]) -> Iterator[Read]:
    """The same one by one, with what was written."""
    for path in (Path(each) for each in paths):
        found = files_in(path) if path.is_dir() else [path]
        if not found:
            yield _failed(path, "no-files", "no *.yaml, *.yml or *.json file in it")
        for each in found:
            yield from read_file(each)


def files_in(directory: Path) -> list[Path]:
    """The files of a directory that hold documents, by name."""
    return sorted(path for path in directory.iterdir() if is_document_file(path.name))


def is_document_file(name: str) -> bool:
    """Whether a file of this name holds documents; a hidden one is somebody's draft."""
    return name.endswith(SUFFIXES) and not name.startswith(".")


def load_file(path: Path) -> Loaded:
    """All documents of one file. A file that cannot be read is a Problem."""
    return join(loaded(each) for each in read_file(path))


def read_file(path: Path) -> Iterator[Read]:
    """The documents of one file, with what was written."""
    text = file_text(path)
    if isinstance(text, str):
        yield from read_text(text, str(path))
    else:
        yield text


def file_text(path: Path) -> str | Read:
    """What a file holds, or why it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return _failed(path, "too-large", f"the file is larger than {MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        return _failed(path, "unreadable", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return _failed(path, "unreadable", "is not UTF-8 text")


def load_text(text: str, file: str) -> Loaded:
    """All documents of a text; `file` is what problems and origins call it."""
    return join(loaded(each) for each in read_text(text, file))


def read_text(text: str, file: str, above: int = 0) -> Iterator[Read]:
    """The documents of a text, with what was written; `above` lines of the file stand before it."""
    for each in tree.read(text, file, above):
        result = _document(each)
        if isinstance(result, list):
            yield Read(None, tuple(result), each)
        else:
            yield Read(result, (), each)


def loaded(each: Read) -> Loaded:
    """The same without what was written."""
    return Loaded((each.document,) if each.document else (), each.problems)


def _failed(path: Path, code: str, reason: str) -> Read:
    return Read(None, (problem(str(path), 0, 0, code, reason),), tree.Tree(str(path), None))


def join(parts: Iterable[Loaded]) -> Loaded:
    """Several results as one. A document that is already there is a Problem of the later one."""
    documents: dict[ObjectId, Document] = {}
    problems: list[Problem] = []
    for part in parts:
        problems += part.problems
        for document in part.documents:
            first = documents.setdefault(document.meta.id, document)
            if first is not document:
                problems.append(duplicate(first, document))
    return Loaded(tuple(documents.values()), tuple(sorted(problems)))


def duplicate(first: Document, later: Document) -> Problem:
    """What is wrong with a document that is already there."""
    origin = later.meta.origin
    reason = f"{later.meta.id} is already written at {first.meta.origin}"
    return problem(origin.file, origin.line, 1, "duplicate-document", reason)


def _document(document: tree.Tree) -> Document | list[Problem]:
    if document.problems:
        return document.problems
    if not isinstance(document.value, dict):
        return [document.problem((), "not-a-document", "this is not a mapping")]
    version, kind = document.value.get("apiVersion"), document.value.get("kind")
    missing = [
        document.problem((), "missing-field", f"`{name}` is missing", "a document starts with apiVersion and kind")
        for name, value in (("apiVersion", version), ("kind", kind))
        if not isinstance(value, str) or not value
    ]
    if missing:
        return missing
    group = str(version).rpartition("/")[0]
    parse = KINDS.get((group, str(kind)))
    return parse(document, group, str(kind)) if parse else [_unknown(document, str(version), str(kind))]


def _unknown(document: tree.Tree, version: str, kind: str) -> Problem:
    groups = sorted({group for group, name in KINDS if name == kind})
    if groups:
        known = " or ".join(f"`{group}`" if group else "`v1`" for group in groups)
        reason = f"no kind `{kind}` in `{version}`"
        return document.problem(("apiVersion",), "unknown-kind", reason, f"{kind} is of {known}")
    names = sorted({name for _, name in KINDS})
    hint = close(kind, names) or f"the kinds are {', '.join(names)}"
    return document.problem(("kind",), "unknown-kind", f"no kind is called `{kind}`", hint)


KINDS: dict[tuple[str, str], Callable[[tree.Tree, str, str], Document | list[Problem]]] = {
    ("mesh.weft.dev", "Workload"): workload.parse,
    ("", "Pod"): pod.parse,
    ("", "Service"): service.parse,
    ("", "Namespace"): namespace.parse,
    ("gateway.networking.k8s.io", "HTTPRoute"): route.parse,
    ("gateway.networking.k8s.io", "GRPCRoute"): route.parse,
    ("policy.linkerd.io", "HTTPRoute"): route.parse,
    ("policy.linkerd.io", "GRPCRoute"): route.parse,
    ("policy.linkerd.io", "Server"): server.parse,
    ("policy.linkerd.io", "ServerAuthorization"): server_authorization.parse,
    ("policy.linkerd.io", "AuthorizationPolicy"): authorization_policy.parse,
    ("policy.linkerd.io", "MeshTLSAuthentication"): mesh_tls_authentication.parse,
    ("policy.linkerd.io", "NetworkAuthentication"): network_authentication.parse,
    ("linkerd.io", "ServiceProfile"): service_profile.parse,
}
SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 16 * 1024 * 1024
