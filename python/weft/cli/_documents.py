"""What the commands about documents have in common: naming a kind, finding rows, showing them, reading files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from weft.cli._shared import Rows, fail, fail_with, table, told

SHORT = {
    "wl": "workload",
    "svc": "service",
    "po": "pod",
    "ns": "namespace",
    "srv": "server",
    "saz": "serverauthorization",
    "authzpolicy": "authorizationpolicy",
    "meshtlsauthn": "meshtlsauthentication",
    "netauthn": "networkauthentication",
    "sp": "serviceprofile",
}
"""The short names that kubectl has for the kinds."""

kind_argument = click.argument(
    "kind", metavar="KIND[/NAME]", shell_complete=lambda ctx, _, text: complete_kind(ctx, text)
)
name_argument = click.argument(
    "name", required=False, metavar="[NAME]", shell_complete=lambda ctx, _, text: complete_name(ctx, text)
)
files_option = click.option(
    "-f", "--filename", "files", multiple=True, metavar="FILE|DIR|-", help="Documents; - reads standard input."
)


def is_kind(word: str, kind: str) -> bool:
    """Whether `word` names `kind`: itself, its plural or its short name, whatever the case."""
    wanted = SHORT.get(word.lower(), word.lower())
    name = kind.lower()
    return wanted in {name, f"{name}s", f"{name.removesuffix('y')}ies", f"{name}es"}


def select(rows: Rows, kind: str, name: str | None, namespace: str | None) -> Rows:
    """The rows of a kind (`all`: of every kind), by name and namespace where these are given."""
    before, slash, after = kind.partition("/")
    kind, name = (before, after) if slash else (kind, name)
    return [
        row
        for row in rows
        if (kind == "all" or is_kind(kind, str(row["kind"])))
        and (name is None or row["name"] == name)
        and (namespace is None or row["namespace"] in (namespace, ""))
    ]


def found(rows: Rows, kind: str, name: str | None, namespace: str | None) -> Rows:
    """The same; raises WeftError that says what there is when there is none of that name."""
    from weft.lib.errors import WeftError

    chosen = select(rows, kind, name, namespace)
    if not chosen and name is None and "/" not in kind:
        kinds = ", ".join(sorted({str(row["kind"]) for row in rows}))
        click.echo(f"weft: there is no {kind} here; the kinds of the mesh are {kinds}", err=True)
    if chosen or (name is None and "/" not in kind):
        return chosen
    others = sorted({f"{row['namespace']}/{row['name']}" for row in select(rows, kind.partition("/")[0], None, None)})
    wanted = kind if name is None else f"{kind}/{name}"
    raise WeftError(f"there is no {wanted}", f"there are {', '.join(others) or 'none of this kind'}")


def resource(row: dict[str, object]) -> str:
    """`service/web`, as kubectl prints it."""
    group = f".{row['group']}" if row["group"] else ""
    return f"{str(row['kind']).lower()}{group}/{row['name']}"


def show_documents(rows: Rows, output: str, *, single: bool) -> None:
    """Print documents whole: one as itself, several as a List."""
    items = [row["content"] for row in rows]
    told(items[0] if single and len(items) == 1 else {"apiVersion": "v1", "kind": "List", "items": items}, output)


def read_texts(files: Sequence[str]) -> list[tuple[str, str]]:
    """The texts behind `-f`, by absolute file name."""
    from weft.lib.errors import WeftError
    from weft.resources import files_in

    texts: list[tuple[str, str]] = []
    for name in files:
        if name == "-":
            texts.append((str(Path.cwd() / "<stdin>"), sys.stdin.read()))
            continue
        path = Path(name).absolute()
        try:
            named = files_in(path) if path.is_dir() else [path]
            texts += [(str(each), each.read_text(encoding="utf-8")) for each in named]
        except (OSError, UnicodeDecodeError) as problem:
            words = problem.strerror if isinstance(problem, OSError) else "is not UTF-8 text"
            fail(WeftError(f"{name}: {words}", "give files of YAML or JSON documents"))
    if not texts:
        raise click.UsageError("name documents by -f FILE")
    return texts


def documents_in(texts: Sequence[tuple[str, str]], output: str) -> Rows:
    """The documents of these texts as rows; ends with their problems when there are any."""
    from weft.resources import read_text

    reads = [each for file, text in texts for each in read_text(text, file)]
    problems = sorted(problem for each in reads for problem in each.problems)
    if problems:
        fail_with(problems, output)
    return [
        {
            "group": each.document.meta.id.group,
            "kind": each.document.meta.id.kind,
            "namespace": each.document.meta.namespace,
            "name": each.document.meta.name,
            "content": each.tree.value,
        }
        for each in reads
        if each.document is not None
    ]


def refused(answer: dict[str, object], output: str) -> None:
    """End with the problems that a mesh answered with, if any."""
    from weft.lib.errors import Problem

    problems = answer.get("problems")
    if isinstance(problems, list) and problems:
        fail_with([Problem(**each) for each in problems], output)


def sections(rows: Rows, wide: bool, cells: dict[str, tuple[list[str], object]]) -> Iterable[str]:
    """One table a kind."""
    kinds = list(dict.fromkeys(str(row["kind"]) for row in rows))
    for kind in kinds:
        of_kind = [row for row in rows if row["kind"] == kind]
        titles, line = cells.get(kind, ([], None))
        states = any("state" in row for row in of_kind)
        head = [
            "NAMESPACE",
            "NAME",
            *titles,
            *(["STATUS"] if states else []),
            *(["SOURCE", "ORIGIN"] if wide or not titles else []),
        ]
        body = [
            [
                str(row["namespace"]) or "-",
                str(row["name"]) if len(kinds) == 1 else resource(row),
                *(line(row) if callable(line) else []),
                *([str(row.get("state", "-"))] if states else []),
                *([str(row["source"]), str(row["origin"]) or "-"] if wide or not titles else []),
            ]
            for row in of_kind
        ]
        yield table(head, body)


def complete_kind(ctx: click.Context, text: str) -> list[CompletionItem]:
    """The kinds of the running mesh."""
    return _items(dict.fromkeys(str(row["kind"]).lower() for row in _rows(ctx)), text)


def complete_name(ctx: click.Context, text: str) -> list[CompletionItem]:
    """The names of the kind that was given."""
    return _items(
        (str(row["name"]) for row in select(_rows(ctx), str(ctx.params.get("kind") or "all"), None, None)), text
    )


def _items(names: Iterable[str], text: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(text)]


def _rows(ctx: click.Context) -> Rows:
    from weft.lib.errors import WeftError
    from weft.local import client

    try:
        return client.rows(str(ctx.params.get("mesh") or "default"), {"do": "documents"})
    except (WeftError, OSError):
        return []
