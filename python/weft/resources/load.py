"""From files to documents: which kind each is, and which are there twice. Reads files, nothing else."""

from collections.abc import Callable, Iterable
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
    tree,
    workload,
)
from weft.resources.decode import close


@dataclass(frozen=True, slots=True)
class Loaded:
    """What could be read, in the order it was written, and what could not, by file and line."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]


def load_files(paths: Iterable[Path | str]) -> Loaded:
    """All documents of these files; of a directory, of its `*.yaml`, `*.yml` and `*.json` files by name."""
    loaded: list[Loaded] = []
    for path in (Path(each) for each in paths):
        found = files_in(path) if path.is_dir() else [path]
        if not found:
            loaded.append(Loaded((), (Problem(str(path), 0, 0, "no-files", "no *.yaml, *.yml or *.json file in it"),)))
        loaded += [load_file(each) for each in found]
    return join(loaded)


def files_in(directory: Path) -> list[Path]:
    """The files of a directory that hold documents, by name."""
    return sorted(path for path in directory.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))


def load_file(path: Path) -> Loaded:
    """All documents of one file. A file that cannot be read is a Problem."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return Loaded((), (Problem(str(path), 0, 0, "too-large", f"the file is larger than {MAX_BYTES} bytes"),))
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        return Loaded((), (Problem(str(path), 0, 0, "unreadable", f"cannot be read: {error.strerror}"),))
    except UnicodeDecodeError:
        return Loaded((), (Problem(str(path), 0, 0, "unreadable", "is not UTF-8 text"),))
    return load_text(text, str(path))


def load_text(text: str, file: str) -> Loaded:
    """All documents of a text; `file` is what problems and origins call it."""
    return join(_document(each) for each in tree.read(text, file))


def join(parts: Iterable[Loaded]) -> Loaded:
    """Several results as one. A document that is already there is a Problem of the later one."""
    documents: dict[ObjectId, Document] = {}
    problems: list[Problem] = []
    for part in parts:
        problems += part.problems
        for document in part.documents:
            first = documents.setdefault(document.meta.id, document)
            if first is not document:
                origin = document.meta.origin
                reason = f"{document.meta.id} is already written at {first.meta.origin}"
                hint = "keep one of the two"
                problems.append(Problem(origin.file, origin.line, 1, "duplicate-document", reason, hint))
    return Loaded(tuple(documents.values()), tuple(sorted(problems)))


def _document(document: tree.Tree) -> Loaded:
    if document.problems:
        return Loaded((), tuple(document.problems))
    if not isinstance(document.value, dict):
        hint = "a document starts with apiVersion and kind"
        return Loaded((), (document.problem((), "not-a-document", "this is not a mapping", hint),))
    version, kind = document.value.get("apiVersion"), document.value.get("kind")
    missing = [
        document.problem((), "missing-field", f"`{name}` is missing")
        for name, value in (("apiVersion", version), ("kind", kind))
        if not isinstance(value, str) or not value
    ]
    if missing:
        return Loaded((), tuple(missing))
    group = str(version).rpartition("/")[0]
    parse = KINDS.get((group, str(kind)))
    if parse is None:
        return Loaded((), (_unknown(document, str(version), str(kind)),))
    result = parse(document, group, str(kind))
    return Loaded((), tuple(result)) if isinstance(result, list) else Loaded((result,), ())


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
}
SUFFIXES = frozenset({".yaml", ".yml", ".json"})
MAX_BYTES = 16 * 1024 * 1024
