"""The responses of the decision table. A fault in one is the server's: whatever it is, the client is answered with 502."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.http1_vectors import Fields, Json, Row, Text, head, joined


def said(
    status: int = 200,
    fields: Fields = (),
    *,
    reason: str = "OK",
    version: str = "1.1",
    framing: str = "none",
    body: Text = "",
    trailers: Fields = (),
    keeps: bool = True,
) -> Json:
    """What one response means."""
    return {
        "status": status,
        "reason": reason,
        "version": version,
        "headers": [[name.lower(), value] for name, value in fields],
        "framing": framing,
        "body": body,
        "trailers": [[name.lower(), value] for name, value in trailers],
        "keeps": keeps,
    }


class Subject:
    """Rows about one thing; GET is what was asked unless they say otherwise."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: list[Row] = []

    def takes(self, name: str, rfc: str, stream: Text, *messages: Json, answers: str = "GET", end: str = "end") -> None:
        self.rows.append(Row("response", self.name, name, rfc, stream, messages, end, answers=answers))

    def refuses(
        self, name: str, rfc: str, stream: Text, reason: str, *, after: Sequence[Json] = (), answers: str = "GET"
    ) -> None:
        self.rows.append(Row("response", self.name, name, rfc, stream, tuple(after), (502, reason), answers=answers))


def rows() -> Iterator[Row]:
    for make in (status_line, body_length, no_body, informational, faults, body_faults):
        subject = Subject(make.__name__.replace("_", " "))
        make(subject)
        yield from subject.rows


EMPTY: Fields = [("content-length", "0")]


def status_line(a: Subject) -> None:
    for name, line, status, reason in (
        ("the registered reason", "200 OK", 200, "OK"),
        ("another reason", "200 Fine, thanks", 200, "Fine, thanks"),
        ("an empty reason", "200 ", 200, ""),
        ("no reason and no space", "200", 200, ""),
        ("a reason with a tab", "200 a\tb", 200, "a\tb"),
        ("a reason with spaces at its ends", "200  a ", 200, " a "),
        ("a status that is not registered", "299 X", 299, "X"),
        ("a status beyond 599", "799 X", 799, "X"),
        ("an error", "503 Service Unavailable", 503, "Service Unavailable"),
        ("a redirect", "302 Found", 302, "Found"),
    ):
        a.takes(
            name, "9112 §4", head(f"HTTP/1.1 {line}", EMPTY), said(status, EMPTY, reason=reason, framing="length 0")
        )  # fmt: skip
    a.takes(
        "HTTP/1.0",
        "9112 §2.3",
        head("HTTP/1.0 200 OK", EMPTY),
        said(200, EMPTY, version="1.0", framing="length 0", keeps=False),
    )
    fields = [*EMPTY, ("connection", "keep-alive")]
    a.takes(
        "HTTP/1.0 that keeps the connection", "9112 §9.3", head("HTTP/1.0 200 OK", fields),
        said(200, fields, version="1.0", framing="length 0"),
    )  # fmt: skip
    fields = [*EMPTY, ("connection", "close")]
    a.takes("close", "9112 §9.3", head("HTTP/1.1 200 OK", fields), said(200, fields, framing="length 0", keeps=False))
    for name, line, reason in (
        ("a status of two digits", "HTTP/1.1 20 OK", "malformed status line"),
        ("a status of four digits", "HTTP/1.1 2000 OK", "malformed status line"),
        ("a status with a letter", "HTTP/1.1 20x OK", "malformed status line"),
        ("a status below 100", "HTTP/1.1 099 OK", "malformed status code"),
        ("a status of zero", "HTTP/1.1 000 OK", "malformed status code"),
        ("a signed status", "HTTP/1.1 +20 OK", "malformed status line"),
        ("no status", "HTTP/1.1 OK", "malformed status line"),
        ("two spaces", "HTTP/1.1  200 OK", "malformed status line"),
        ("a tab as a separator", "HTTP/1.1\t200 OK", "version is neither http/1.0 nor http/1.1"),
        ("HTTP/2.0", "HTTP/2.0 200 OK", "version is neither http/1.0 nor http/1.1"),
        ("HTTP/1.2", "HTTP/1.2 200 OK", "version is neither http/1.0 nor http/1.1"),
        ("a lower-case version", "http/1.1 200 OK", "version is neither http/1.0 nor http/1.1"),
        ("another protocol", "ICY 200 OK", "version is neither http/1.0 nor http/1.1"),
        ("a space before", " HTTP/1.1 200 OK", "a line begins with white space (obsolete folding)"),
        ("a NUL in the reason", "HTTP/1.1 200 O\0K", "malformed status line"),
        ("DEL in the reason", "HTTP/1.1 200 O\x7fK", "malformed status line"),
        ("a bare cr in the reason", "HTTP/1.1 200 O\rK", "a bare cr"),
    ):
        a.refuses(name, "9112 §4", head(line, EMPTY), reason)
    a.refuses("an empty line before", "9112 §2.2", "\r\nHTTP/1.1 200 OK\r\n\r\n", "an empty line instead of a head")
    a.refuses("no HTTP", "9112 §4", "hello\r\n\r\n", "version is neither http/1.0 nor http/1.1")


def body_length(a: Subject) -> None:
    length = [("content-length", "5")]
    coding = [("transfer-encoding", "chunked")]
    a.takes(
        "a length",
        "9112 §6.3",
        joined(head("HTTP/1.1 200 OK", length), "hello"),
        said(200, length, framing="length 5", body="hello"),
    )
    a.takes(
        "chunks", "9112 §6.3", joined(head("HTTP/1.1 200 OK", coding), "5;a=b\r\nhello\r\n0\r\n\r\n"),
        said(200, coding, framing="chunked", body="hello"),
    )  # fmt: skip
    a.takes(
        "chunks with trailers", "9112 §7.1.2", joined(head("HTTP/1.1 200 OK", coding), "5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"),
        said(200, coding, framing="chunked", body="hello", trailers=[("x-sum", "1")]),
    )  # fmt: skip
    for version in ("1.1", "1.0"):
        a.takes(
            f"neither, in HTTP/{version}", "9112 §6.3", f"HTTP/{version} 200 OK\r\n\r\nhello",
            said(version=version, framing="until close", body="hello", keeps=False),
        )  # fmt: skip
    a.takes("nothing up to the close", "9112 §6.3", "HTTP/1.1 200 OK\r\n\r\n", said(framing="until close", keeps=False))
    a.takes(
        "a body in an error", "9112 §6.3", joined(head("HTTP/1.1 404 Not Found", length), "hello"),
        said(404, length, reason="Not Found", framing="length 5", body="hello"),
    )  # fmt: skip
    a.takes(
        "a refused CONNECT", "9110 §9.3.6", joined(head("HTTP/1.1 403 Forbidden", length), "hello"),
        said(403, length, reason="Forbidden", framing="length 5", body="hello"), answers="CONNECT",
    )  # fmt: skip
    a.takes(
        "a reset content with a length of zero", "9110 §15.3.6", head("HTTP/1.1 205 Reset Content", EMPTY),
        said(205, EMPTY, reason="Reset Content", framing="length 0"),
    )  # fmt: skip
    a.takes("cut short in a body", "9112 §8", joined(head("HTTP/1.1 200 OK", length), "hell"), end="more")
    a.takes("cut short in a chunk", "9112 §8", joined(head("HTTP/1.1 200 OK", coding), "5\r\nhell"), end="more")
    a.takes(
        "cut short before the last chunk",
        "9112 §8",
        joined(head("HTTP/1.1 200 OK", coding), "5\r\nhello\r\n"),
        end="more",
    )
    a.takes("cut short in the head", "9112 §8", "HTTP/1.1 200 OK\r\nx: ", end="more")


def no_body(a: Subject) -> None:
    length = [("content-length", "5")]
    coding = [("transfer-encoding", "chunked")]
    for fields, what in ((length, "a length"), (coding, "a coding"), ((), "neither")):
        a.takes(f"HEAD with {what}", "9112 §6.3", head("HTTP/1.1 200 OK", fields), said(200, fields), answers="HEAD")
        a.takes(
            f"304 with {what}",
            "9112 §6.3",
            head("HTTP/1.1 304 Not Modified", fields),
            said(304, fields, reason="Not Modified"),
        )
        a.takes(
            f"2xx to CONNECT with {what}",
            "9112 §6.3",
            head("HTTP/1.1 200 OK", fields),
            said(200, fields),
            answers="CONNECT",
        )
    a.takes("204", "9112 §6.3", "HTTP/1.1 204 No Content\r\n\r\n", said(204, reason="No Content"))
    a.takes(
        "204 with a length of zero",
        "9110 §8.6",
        head("HTTP/1.1 204 No Content", EMPTY),
        said(204, EMPTY, reason="No Content"),
    )
    forbidden = "a body in a response that cannot have one"
    a.refuses("204 with a length", "9110 §8.6", head("HTTP/1.1 204 No Content", length), forbidden)
    a.refuses("204 with a coding", "9112 §6.1", head("HTTP/1.1 204 No Content", coding), forbidden)
    a.refuses("1xx with a length", "9110 §8.6", head("HTTP/1.1 103 Early Hints", length), forbidden)
    a.refuses("1xx with a coding", "9112 §6.1", head("HTTP/1.1 100 Continue", coding), forbidden)


def informational(a: Subject) -> None:
    final = head("HTTP/1.1 200 OK", EMPTY)
    ended = said(200, EMPTY, framing="length 0")
    goes_on = said(100, reason="Continue")
    a.takes("100", "9110 §15.2.1", joined("HTTP/1.1 100 Continue\r\n\r\n", final), goes_on, ended)
    a.takes("100 twice", "9110 §15.2", joined("HTTP/1.1 100 Continue\r\n\r\n" * 2, final), goes_on, goes_on, ended)
    a.takes(
        "102", "9110 §15.2", joined("HTTP/1.1 102 Processing\r\n\r\n", final), said(102, reason="Processing"), ended
    )
    link = [("link", "</a.css>; rel=preload")]
    a.takes(
        "103 with fields",
        "9110 §15.2",
        joined(head("HTTP/1.1 103 Early Hints", link), final),
        said(103, link, reason="Early Hints"),
        ended,
    )
    a.takes(
        "one that is not registered",
        "9110 §15.2",
        joined("HTTP/1.1 199 X\r\n\r\n", final),
        said(199, reason="X"),
        ended,
    )
    switch = [("connection", "upgrade"), ("upgrade", "echo")]
    a.takes(
        "101",
        "9110 §15.2.2",
        head("HTTP/1.1 101 Switching Protocols", switch),
        said(101, switch, reason="Switching Protocols"),
    )
    a.refuses(
        "a fault in the final one",
        "9112 §2.2",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\n\n",
        "a line ends with a bare lf",
        after=[goes_on],
    )


def faults(a: Subject) -> None:
    ok = "HTTP/1.1 200 OK\r\n"
    number = "content-length is not one decimal number"
    coding = "transfer-encoding other than exactly chunked"
    for name, rfc, text, reason in (
        (
            "both lengths",
            "9112 §6.3",
            "content-length: 5\r\ntransfer-encoding: chunked\r\n",
            "both transfer-encoding and content-length",
        ),
        ("length twice, equal", "9110 §8.6", "content-length: 5\r\ncontent-length: 5\r\n", "repeated content-length"),
        (
            "length twice, different",
            "9110 §8.6",
            "content-length: 5\r\ncontent-length: 6\r\n",
            "repeated content-length",
        ),
        ("a list of lengths", "9110 §8.6", "content-length: 5, 5\r\n", number),
        ("a signed length", "9110 §8.6", "content-length: +5\r\n", number),
        ("a length in hexadecimal", "9110 §8.6", "content-length: 0x5\r\n", number),
        ("an empty length", "9110 §8.6", "content-length:\r\n", number),
        ("a length of 2^64", "9110 §8.6", "content-length: 18446744073709551616\r\n", number),
        ("gzip", "9112 §6.1", "transfer-encoding: gzip\r\n", coding),
        ("gzip, then chunked", "9112 §6.1", "transfer-encoding: gzip, chunked\r\n", coding),
        ("chunked twice", "9112 §6.1", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", coding),
        ("identity", "9112 §6.1", "transfer-encoding: identity\r\n", coding),
        ("a folded line", "9112 §5.2", "x: a\r\n b\r\n", "a line begins with white space (obsolete folding)"),
        ("a space before the colon", "9112 §5.1", "x : a\r\n", "malformed field name"),
        ("no colon", "9112 §5", "x\r\n", "malformed field name"),
        ("a bare lf", "9112 §2.2", "x: a\n", "a line ends with a bare lf"),
        ("a bare cr", "9112 §2.2", "x: a\rb\r\n", "a bare cr"),
        ("a NUL in a value", "9110 §5.5", "x: \0\r\n", "control character in a field value"),
        ("a control character in a value", "9110 §5.5", "x: \x01\r\n", "control character in a field value"),
    ):
        a.refuses(name, rfc, f"{ok}{text}\r\n", reason)
    a.refuses(
        "a coding in HTTP/1.0",
        "9112 §6.1",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "transfer-encoding in http/1.0",
    )
    a.refuses(
        "a bare lf behind the status",
        "9112 §2.2",
        "HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n",
        "a line ends with a bare lf",
    )
    a.refuses("a malformed length to HEAD", "9110 §8.6", f"{ok}content-length: x\r\n\r\n", number, answers="HEAD")
    a.refuses("129 fields", "9110 §5.4", [(ok, 1), ("x: y\r\n", 129), ("\r\n", 1)], "too many fields")
    a.refuses(
        "a head beyond 64 KiB", "9110 §5.4", [(f"{ok}x: ", 1), ("y", 66_000), ("\r\n\r\n", 1)], "head is too large"
    )


def body_faults(a: Subject) -> None:
    start = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    for name, raw, reason in (
        ("an odd size", "0x5\r\nhello\r\n", "odd chunk size"),
        ("a space behind a size", "5 \r\nhello\r\n", "odd chunk size"),
        ("a bare lf behind a size", "5\nhello\r\n", "a chunk line ends with a bare lf"),
        ("more data than the size says", "5\r\nhello!\r\n", "chunk data does not end with crlf"),
        ("a bare lf behind data", "5\r\nhello\n0\r\n\r\n", "chunk data does not end with crlf"),
        (
            "a length among the trailers",
            "0\r\ncontent-length: 5\r\n\r\n",
            "a framing, routing or connection field among the trailers",
        ),
        (
            "a connection option among the trailers",
            "0\r\nconnection: close\r\n\r\n",
            "a framing, routing or connection field among the trailers",
        ),
        ("a control character among the trailers", "0\r\nx: \x01\r\n\r\n", "control character in a field value"),
    ):
        a.refuses(name, "9112 §7.1", f"{start}{raw}", reason)
