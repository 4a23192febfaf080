"""What our HTTP/1 codec makes of a stream of bytes: the decision table, with the paragraph of the RFC in each row.

`python -m tests.http1_vectors` writes `tests/vectors/http1.json`, read by the Rust tests and the end-to-end tests, and
`docs/reference/http1.md`, which people read. The rows are in `tests/http1_requests.py` and `tests/http1_responses.py`.
What a row means is written beside its bytes and never computed by the codec.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
VECTORS = ROOT / "tests" / "vectors" / "http1.json"
PAGE = ROOT / "docs" / "reference" / "http1.md"

# A character is a byte (latin-1). Long texts are sequences of (text, times), so that the file stays readable.
Text = str | Sequence[tuple[str, int]]
Fields = Sequence[tuple[str, Text]]
Json = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One stream of bytes and everything that it means."""

    kind: str
    subject: str
    name: str
    rfc: str
    bytes: Text
    messages: tuple[Json, ...]
    # "end": nothing is left over; "more": a message is not complete; else status and reason of the refusal.
    end: str | tuple[int, str]
    # What the stream is as the first bytes of a connection.
    detected: str = "http1"
    # The method that a response answers.
    answers: str = ""

    def json(self) -> Json:
        end = self.end if isinstance(self.end, str) else {"status": self.end[0], "reason": self.end[1]}
        row: Json = {"kind": self.kind, "subject": self.subject, "name": self.name, "rfc": self.rfc}
        row |= {"detected": self.detected} if self.kind == "request" else {"answers": self.answers}
        return row | {"bytes": self.bytes, "messages": list(self.messages), "end": end}


def expand(text: Text) -> str:
    return text if isinstance(text, str) else "".join(part * times for part, times in text)


def head(line: str, fields: Fields) -> Text:
    """The bytes of a head whose fields are written in the ordinary way."""
    parts: list[tuple[str, int]] = [(f"{line}\r\n", 1)]
    for name, value in fields:
        parts += [(f"{name}: ", 1), *([(value, 1)] if isinstance(value, str) else value), ("\r\n", 1)]
    return joined(parts, "\r\n")


def joined(*texts: Text) -> Text:
    """Texts one after another, short where that is possible."""
    parts: list[tuple[str, int]] = []
    for text in texts:
        for part, times in [(text, 1)] if isinstance(text, str) else text:
            if times == 1 and parts and parts[-1][1] == 1:
                parts[-1] = (parts[-1][0] + part, 1)
            else:
                parts.append((part, times))
    return parts[0][0] if len(parts) == 1 and parts[0][1] == 1 else tuple(parts)


def document() -> str:
    """The content of the vector file: one row a line."""
    rows = ",\n".join(json.dumps(row.json(), ensure_ascii=True) for row in table())
    return f"[\n{rows}\n]\n"


def table() -> list[Row]:
    from tests import http1_requests, http1_responses

    rows = [*http1_requests.rows(), *http1_responses.rows()]
    names = [(row.kind, row.subject, row.name) for row in rows]
    assert len(names) == len(set(names)), {name for name in names if names.count(name) > 1}
    return rows


def page() -> str:
    """The table for people: by subject, taken and refused."""
    rows = table()
    lines = [
        "# HTTP/1: what is taken and what is refused",
        "",
        "<!-- Written by `make generate` from the table in tests/. -->",
        "",
        "A message that two readers could understand differently is refused with a status and a reason; it is never",
        "repaired and never forwarded. This holds for the requests of the application beside the proxy, for requests",
        "that come from elsewhere, and for responses, whose faults are answered with 502. Everything else passes: its",
        "meaning is kept, while fields of one hop end at that hop.",
        "",
        "Each row is a stream of bytes that the tests send: to the codec, whole and cut at every byte, and through the",
        "proxies to applications on Go's, Node's, uvicorn's and nginx's HTTP servers, whose understanding must be the",
        "same as without the mesh. Paragraphs are those of RFC 9110 and RFC 9112.",
    ]
    for kind, title in (("request", "Requests"), ("response", "Responses")):
        lines += ["", f"## {title}"]
        for subject, of_subject in groupby((row for row in rows if row.kind == kind), lambda row: row.subject):
            lines += ["", f"### {subject.capitalize()}", "", "| what | RFC | decision |", "|---|---|---|"]
            lines += [f"| {_cell(row.name)} | {row.rfc} | {_cell(decision(row))} |" for row in of_subject]
    return "\n".join(lines) + "\n"


def decision(row: Row) -> str:
    if isinstance(row.end, tuple):
        bytes_first = "" if row.detected == "http1" else "; first on a connection: passed as bytes"
        return f"refused, {row.end[0]}: {row.end[1]}{bytes_first}"
    if row.end == "more":
        return "waited for"
    bodies = [f"{message['framing']}" for message in row.messages]
    return "taken, body: " + ", ".join("none" if body == "none" else body for body in bodies)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def write(files: Iterable[tuple[Path, str]]) -> None:
    for path, content in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


if __name__ == "__main__":
    write([(VECTORS, document()), (PAGE, page())])
