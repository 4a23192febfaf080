"""The requests of the decision table. A row that is taken states its whole meaning; a row that is refused, status and reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.http1_vectors import Fields, Json, Row, Text, head, joined

HOST: Fields = [("host", "a")]
BARE_LF = "a line ends with a bare lf"
BARE_CR = "a bare cr"
FOLDED = "a line begins with white space (obsolete folding)"
CONTROL = "control character in a field value"
BOTH = "both transfer-encoding and content-length"
REPEATED = "repeated content-length"
NUMBER = "content-length is not one decimal number"
CODING = "transfer-encoding other than exactly chunked"
SIZE = "odd chunk size"
NAME = "malformed field name"
LINE = "malformed request line"
VERSION = "version is neither http/1.0 nor http/1.1"
TARGET = "malformed request target"
MALFORMED_HOST = "malformed host"
TRAILER = "a framing, routing or connection field among the trailers"


def said(
    method: str = "GET",
    target: Text = "/",
    fields: Fields = HOST,
    *,
    version: str = "1.1",
    framing: str = "none",
    body: Text = "",
    trailers: Fields = (),
    keeps: bool = True,
    upgrade: bool = False,
) -> Json:
    """What one request means."""
    return {
        "method": method,
        "target": target,
        "version": version,
        "headers": [[name.lower(), value] for name, value in fields],
        "framing": framing,
        "body": body,
        "trailers": [[name.lower(), value] for name, value in trailers],
        "keeps": keeps,
        "upgrade": upgrade,
    }


class Subject:
    """Rows about one thing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: list[Row] = []

    def takes(self, name: str, rfc: str, stream: Text, *messages: Json, detected: str = "http1") -> None:
        self.rows.append(Row("request", self.name, name, rfc, stream, messages, "end", detected))

    def refuses(
        self,
        name: str,
        rfc: str,
        stream: Text,
        reason: str,
        *,
        status: int = 400,
        after: Sequence[Json] = (),
        detected: str = "http1",
    ) -> None:
        self.rows.append(Row("request", self.name, name, rfc, stream, tuple(after), (status, reason), detected))

    def waits(self, name: str, rfc: str, stream: Text, *after: Json, detected: str = "http1") -> None:
        self.rows.append(Row("request", self.name, name, rfc, stream, after, "more", detected))

    # ---- what most rows are

    def plain(self, name: str, rfc: str, fields: Fields, *, keeps: bool = True, upgrade: bool = False) -> None:
        """A GET with these fields behind its host."""
        fields = [*HOST, *fields]
        self.takes(name, rfc, head("GET / HTTP/1.1", fields), said(fields=fields, keeps=keeps, upgrade=upgrade))

    def refuses_fields(self, name: str, rfc: str, lines: str, reason: str, status: int = 400) -> None:
        """A GET with these field lines, written as they are, behind its host."""
        self.refuses(name, rfc, f"GET / HTTP/1.1\r\nhost: a\r\n{lines}\r\n", reason, status=status)

    def posts(
        self, name: str, rfc: str, fields: Fields, framing: str, raw: Text, body: Text, trailers: Fields = ()
    ) -> None:
        """A POST with these fields, whose body looks like `raw` on the wire."""
        fields = [*HOST, *fields]
        stream = joined(head("POST /up HTTP/1.1", fields), raw)
        self.takes(name, rfc, stream, said("POST", "/up", fields, framing=framing, body=body, trailers=trailers))

    def refuses_post(self, name: str, rfc: str, lines: str, reason: str, body: Text = "") -> None:
        """A POST with these field lines, written as they are, behind its host."""
        self.refuses(name, rfc, joined(f"POST /up HTTP/1.1\r\nhost: a\r\n{lines}\r\n", body), reason)

    def chunks(self, name: str, rfc: str, raw: Text, body: Text, trailers: Fields = ()) -> None:
        self.posts(name, rfc, [("transfer-encoding", "chunked")], "chunked", raw, body, trailers)

    def refuses_chunks(self, name: str, rfc: str, raw: Text, reason: str, status: int = 400) -> None:
        start = "POST /up HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
        self.refuses(name, rfc, joined(start, raw), reason, status=status)


def rows() -> Iterator[Row]:
    for make in (
        request_line, target, host, field_lines, line_ends, content_length, transfer_encoding, both_lengths, chunked,
        trailers, connection, expect, upgrade, connect, limits, pipelining, cut_short,
    ):  # fmt: skip
        subject = Subject(make.__name__.replace("_", " "))
        make(subject)
        yield from subject.rows


def request_line(a: Subject) -> None:
    fields = "host: a\r\n\r\n"
    for method in (
        "GET", "DELETE", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "HEAD", "PROPFIND", "M-SEARCH", "PURGE", "get", "Get",
        "REPORT", "X", "A!#$%&'*+-.^_`|~9",
    ):  # fmt: skip
        a.takes(f"the method {method}", "9110 §9.1", f"{method} / HTTP/1.1\r\n{fields}", said(method))
    a.takes("a method of 32 characters", "9110 §9.1", f"{'M' * 32} / HTTP/1.1\r\n{fields}", said("M" * 32))
    a.takes("HTTP/1.0 with a host", "9112 §2.3", f"GET / HTTP/1.0\r\n{fields}", said(version="1.0", keeps=False))
    a.takes(
        "HTTP/1.0 without a host", "9112 §3.2", "GET / HTTP/1.0\r\n\r\n", said(fields=(), version="1.0", keeps=False)
    )
    a.takes(
        "HTTP/1.0 with an empty host", "9112 §3.2", "GET / HTTP/1.0\r\nhost: \r\n\r\n",
        said(fields=[("host", "")], version="1.0", keeps=False),
    )  # fmt: skip
    a.takes("an empty line before the request", "9112 §2.2", f"\r\nGET / HTTP/1.1\r\n{fields}", said())
    for name, line, reason in (
        ("HTTP/1.2", "GET / HTTP/1.2", VERSION),
        ("HTTP/1.9", "GET / HTTP/1.9", VERSION),
        ("HTTP/1.10", "GET / HTTP/1.10", LINE_END),
        ("HTTP/1.", "GET / HTTP/1.", VERSION),
        ("HTTP/1.x", "GET / HTTP/1.x", VERSION),
        ("a space behind the version", "GET / HTTP/1.1 ", LINE_END),
        ("a tab behind the version", "GET / HTTP/1.1\t", LINE_END),
        ("a fourth word", "GET / HTTP/1.1 x", LINE_END),
        ("a cr in front of the line's end", "GET / HTTP/1.1\r", BARE_CR),
    ):
        a.refuses(name, "9112 §2.3, §3", f"{line}\r\n{fields}", reason)
    # As the first bytes of a connection these are not HTTP/1: the connection passes as bytes, or not at all where HTTP is declared.
    for name, line, reason in (
        ("HTTP/2.0", "GET / HTTP/2.0", VERSION),
        ("HTTP/0.9", "GET / HTTP/0.9", VERSION),
        ("HTTP/11", "GET / HTTP/11", VERSION),
        ("HTTP/01.1", "GET / HTTP/01.1", VERSION),
        ("HTTP/+1.1", "GET / HTTP/+1.1", VERSION),
        ("a lower-case version", "GET / http/1.1", VERSION),
        ("another protocol", "GET / ICAP/1.0", VERSION),
        ("no version (HTTP/0.9)", "GET /", LINE),
        ("no target", "GET HTTP/1.1", LINE),
        ("an empty target", "GET  HTTP/1.1", LINE),
        ("two spaces before the target", "GET  / HTTP/1.1", LINE),
        ("two spaces behind the target", "GET /  HTTP/1.1", VERSION),
        ("a tab before the target", "GET\t/ HTTP/1.1", LINE),
        ("a tab behind the target", "GET /\tHTTP/1.1", LINE),
        ("a vertical tab as a separator", "GET\x0b/ HTTP/1.1", LINE),
        ("a no-break space as a separator", "GET\xa0/ HTTP/1.1", LINE),
        ("a space before the method", " GET / HTTP/1.1", FOLDED),
        ("a tab before the method", "\tGET / HTTP/1.1", FOLDED),
        ("a method with a colon", "GET: / HTTP/1.1", LINE),
        ("a method with a quote", 'G"T / HTTP/1.1', LINE),
        ("a method with a bracket", "G(ET / HTTP/1.1", LINE),
        ("a method with a NUL", "G\0ET / HTTP/1.1", LINE),
        ("a method with a control character", "G\x01ET / HTTP/1.1", LINE),
        ("a method beyond ASCII", "G\xc9T / HTTP/1.1", LINE),
        ("a bare cr in the method", "G\rET / HTTP/1.1", BARE_CR),
        ("a target with a space", "GET /a b HTTP/1.1", VERSION),
        ("a method of 33 characters", f"{'M' * 33} / HTTP/1.1", "method is too long"),
    ):
        a.refuses(name, "9112 §3", f"{line}\r\n{fields}", reason, detected="opaque")


LINE_END = "malformed line end"


def target(a: Subject) -> None:
    fields = "host: a\r\n\r\n"
    for name, form in (
        ("a path", "/a/b"),
        ("a query", "/?q=1&r"),
        ("an empty query", "/?"),
        ("two question marks", "/a?b?c"),
        ("a path that begins with two slashes", "//b/c"),
        ("dot segments", "/a/./b/../c"),
        ("dot segments at the root", "/../../etc"),
        ("encoded dot segments", "/a/%2e%2e/b"),
        ("an encoded slash", "/a%2fb"),
        ("an encoded NUL", "/a%00"),
        ("an encoded cr and lf", "/a%0d%0ab"),
        ("a percent sign that encodes nothing", "/100%"),
        ("both cases of encoding", "/%C3%a9"),
        ("a semicolon", "/a;b=c"),
        ("a colon in the first segment", "/a:b"),
        ("an at sign", "/a@b"),
        ("sub-delimiters", "/!$&'()*+,;="),
        ("unreserved characters", "/-._~"),
        ("a backslash", "/a\\b"),
        ("braces and a bar", "/{a|b}"),
        ("a quote", '/"a"'),
        ("UTF-8", "/\xc3\xa9"),
        ("a URI in the path", "/http://b/c"),
        ("a URI in the query", "/?u=http://b/c?d"),
    ):
        a.takes(name, "9112 §3.2.1", f"GET {form} HTTP/1.1\r\n{fields}", said(target=form))
    for name, form, of_host in (
        ("absolute form", "http://a/b", "a"),
        ("absolute form with a query", "http://a/b?c=d", "a"),
        ("absolute form of https", "https://a/b", "a"),
        ("absolute form with the default port", "http://a:80/b", "a"),
        ("absolute form, the default port in host", "http://a/b", "a:80"),
        ("absolute form of https with the default port", "https://a:443/", "a"),
        ("absolute form with a port", "http://a:8080/", "a:8080"),
        ("absolute form, host in the other case", "http://a/b", "A"),
        ("absolute form with an IPv6 address", "http://[::1]:8080/", "[::1]:8080"),
    ):
        with_host = [("host", of_host)]
        a.takes(name, "9112 §3.2.2", head(f"GET {form} HTTP/1.1", with_host), said(target=form, fields=with_host))
    a.takes(
        "absolute form in HTTP/1.0 without a host", "9112 §3.2.2", "GET http://a/b HTTP/1.0\r\n\r\n",
        said(target="http://a/b", fields=(), version="1.0", keeps=False),
    )  # fmt: skip
    a.takes(
        "absolute form without a path", "9110 §4.2.3", f"GET http://a HTTP/1.1\r\n{fields}", said(target="http://a/")
    )
    a.takes("asterisk form", "9112 §3.2.4", f"OPTIONS * HTTP/1.1\r\n{fields}", said("OPTIONS", "*"))
    a.refuses(
        "OPTIONS of a server in absolute form",
        "9112 §3.2.4",
        f"OPTIONS http://a HTTP/1.1\r\n{fields}",
        TARGET,
    )
    a.takes(
        "OPTIONS of a root in absolute form", "9112 §3.2.4", f"OPTIONS http://a/ HTTP/1.1\r\n{fields}",
        said("OPTIONS", "http://a/"),
    )  # fmt: skip
    fragment = "a fragment in the request target"
    for name, form, reason in (
        ("a fragment", "/a#b", fragment),
        ("an empty fragment", "/a#", fragment),
        ("a fragment in absolute form", "http://a/#b", fragment),
        ("a query in absolute form without a path", "http://a?b", TARGET),
        ("a relative path", "a/b", TARGET),
        ("a relative query", "?a", TARGET),
        ("a dot", ".", TARGET),
        ("the asterisk, but not for OPTIONS", "*", "the target * is for options only"),
        ("an asterisk and more", "*/a", TARGET),
        ("authority form, but not for CONNECT", "a:80", TARGET),
        ("a scheme without a host", "http:///b", TARGET),
        ("a scheme without slashes", "http:a", TARGET),
        ("user information", "http://u@a/", TARGET),
        ("user information with a password", "http://u:p@a/", TARGET),
        ("absolute form with two ports", "http://a:80:90/", TARGET),
        ("absolute form with a port that is none", "http://a:x/", TARGET),
        ("absolute form with a port beyond 65535", "http://a:65536/", TARGET),
        ("absolute form with a list of hosts", "http://a,b/", TARGET),
        ("absolute form with an encoded host", "http://%61/", TARGET),
        ("characters beyond ASCII that are not UTF-8", "/\xe9", LINE),
        ("an angle bracket", "/<a", TARGET),
        ("a caret in the authority", "http://a^b/", TARGET),
    ):
        a.refuses(name, "9112 §3.2", f"GET {form} HTTP/1.1\r\n{fields}", reason)
    for name, form, reason in (
        ("a NUL in the target", "/\0", LINE),
        ("a control character in the target", "/\x01", LINE),
        ("DEL in the target", "/\x7f", LINE),
        ("a bare cr in the target", "/a\rb", BARE_CR),
    ):
        a.refuses(name, "9112 §3.2", f"GET {form} HTTP/1.1\r\n{fields}", reason, detected="opaque")


def host(a: Subject) -> None:
    for name, value in (
        ("a name", "a"), ("a name with dots", "a.b.example"), ("a final dot", "a.b."), ("a port", "a:8080"),
        ("upper case", "API.Example"), ("an underscore", "a_b"), ("a hyphen and a tilde", "a-b~c"), ("an IPv4 address", "127.0.0.1:80"),
        ("an IPv6 address", "[::1]"), ("an IPv6 address with a port", "[2001:db8::1]:8080"), ("an empty host", ""),
        ("digits", "1"),
    ):  # fmt: skip
        fields = [("host", value)]
        a.takes(name, "9112 §3.2", head("GET / HTTP/1.1", fields), said(fields=fields))
    a.takes("white space around the value", "9110 §5.5", "GET / HTTP/1.1\r\nhost: \t a \t\r\n\r\n", said())
    a.takes("no white space before the value", "9110 §5.5", "GET / HTTP/1.1\r\nhost:a\r\n\r\n", said())
    a.takes("an upper-case field name", "9110 §5.1", "GET / HTTP/1.1\r\nHOST: a\r\n\r\n", said())
    a.takes(
        "host behind other fields", "9112 §3.2", "GET / HTTP/1.1\r\nx: y\r\nhost: a\r\n\r\n",
        said(fields=[("x", "y"), ("host", "a")]),
    )  # fmt: skip
    for name, value in (
        ("a space inside", "a b"), ("user information", "u@a"), ("a path", "a/b"), ("a URI", "http://a"), ("a query", "a?b"),
        ("a fragment", "a#b"), ("a list", "a, b"), ("a comma", "a,b"), ("a semicolon", "a;b"), ("two ports", "a:1:2"), ("a port that is none", "a:b"),
        ("a signed port", "a:+80"), ("a port beyond 65535", "a:65536"), ("a port of six digits", "a:000080"), ("only a port", ":80"),
        ("a colon without a port", "a:"), ("a bracket that stays open", "[::1"), ("a bracket that was never open", "::1]"), ("an IPv6 address without brackets", "::1"),
        ("text behind the bracket", "[::1]a"), ("nothing in brackets", "[]"), ("a zone", "[fe80::1%eth0]"), ("an encoded character", "%61"),
        ("a quote", '"a"'), ("a backslash", "a\\b"), ("a character beyond ASCII", "\xe9"), ("an asterisk", "*"), ("a brace", "{a}"),
        ("an angle bracket", "<a>"), ("a pipe", "a|b"), ("a tab inside", "a\tb"),
    ):  # fmt: skip
        a.refuses(name, "9112 §3.2", head("GET / HTTP/1.1", [("host", value)]), MALFORMED_HOST)
    a.refuses("a control character in host", "9110 §5.5", head("GET / HTTP/1.1", [("host", "a\x01")]), CONTROL)
    a.refuses("none in HTTP/1.1", "9112 §3.2", "GET / HTTP/1.1\r\n\r\n", "no host")
    a.refuses("none in HTTP/1.1 with absolute form", "9112 §3.2", "GET http://a/ HTTP/1.1\r\n\r\n", "no host")
    two = "more than one host"
    a.refuses("two that differ", "9112 §3.2", "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", two)
    a.refuses("two that are equal", "9112 §3.2", "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", two)
    a.refuses("two, one empty", "9112 §3.2", "GET / HTTP/1.1\r\nhost:\r\nhost: a\r\n\r\n", two)
    a.refuses("two in different case", "9112 §3.2", "GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", two)
    a.refuses("two in HTTP/1.0", "9112 §3.2", "GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n", two)
    differs = "host differs from the request target"
    for name, form, value in (
        ("another than the target's", "http://a/", "b"),
        ("another port than the target's", "http://a:81/", "a:82"),
        ("a port that the target has not", "http://a/", "a:8080"),
        ("none where the target has one", "http://a/", ""),
        ("the default port of another scheme", "https://a/", "a:80"),
    ):
        a.refuses(name, "9112 §3.2.2", head(f"GET {form} HTTP/1.1", [("host", value)]), differs)


def field_lines(a: Subject) -> None:
    for name, field, value in (
        ("an empty value", "x", ""),
        ("every mark in a name", "x!#$%&'*+-.^_`|~1", "y"),
        ("an underscore in a name", "x_y", "z"),
        ("a name of one digit", "0", "y"),
        ("a tab inside a value", "x", "a\tb"),
        ("spaces inside a value", "x", "a   b"),
        ("characters beyond ASCII in a value", "x", "caf\xe9 \x80\xff"),
        ("a colon in a value", "x", "a:b: c"),
        ("quotes and brackets in a value", "x", 'a "b\\" c" (d) <e>'),
        ("a comma in a value", "x", "a, b,, c"),
        ("a value that looks like a request", "x", "GET / HTTP/1.1"),
        ("a long name", "x" * 200, "y"),
        ("an authorization", "authorization", "Bearer a.b.c"),
        ("a content type on GET", "content-type", "text/plain"),
        ("a date that is none", "date", "yesterday"),
        ("a length in words", "x-content-length", "7"),
        ("a name that resembles transfer-encoding", "transfer_encoding", "chunked"),
        ("a name that resembles content-length", "content_length", "5"),
    ):
        a.plain(name, "9110 §5.1, §5.5", [(field, value)])
    a.plain("a field twice", "9110 §5.3", [("x", "1"), ("x", "2")])
    a.plain("a field twice, in one line as well", "9110 §5.3", [("x", "1, 2"), ("x", "3")])
    a.plain("cookies in two lines", "9110 §5.3", [("cookie", "a=1"), ("cookie", "b=2")])
    a.takes(
        "white space around a value",
        "9110 §5.5",
        "GET / HTTP/1.1\r\nhost: a\r\nx: \t y \t \r\n\r\n",
        said(fields=[*HOST, ("x", "y")]),
    )
    a.takes(
        "nothing before a value",
        "9110 §5.5",
        "GET / HTTP/1.1\r\nhost: a\r\nx:y\r\n\r\n",
        said(fields=[*HOST, ("x", "y")]),
    )
    a.takes(
        "only white space as a value",
        "9110 §5.5",
        "GET / HTTP/1.1\r\nhost: a\r\nx: \t \r\n\r\n",
        said(fields=[*HOST, ("x", "")]),
    )
    for name, lines, reason in (
        ("a space before the colon", "x : y\r\n", NAME),
        ("a tab before the colon", "x\t: y\r\n", NAME),
        ("a space before the colon of a length", "content-length : 5\r\n", NAME),
        ("a space before the colon of a coding", "transfer-encoding : chunked\r\n", NAME),
        ("a space in a name", "x y: z\r\n", NAME),
        ("no colon", "x\r\n", NAME),
        ("no name", ": y\r\n", NAME),
        ("a quote in a name", '"x": y\r\n', NAME),
        ("a bracket in a name", "x(y): z\r\n", NAME),
        ("a slash in a name", "x/y: z\r\n", NAME),
        ("an at sign in a name", "x@y: z\r\n", NAME),
        ("a NUL in a name", "x\0: y\r\n", NAME),
        ("a control character in a name", "x\x01: y\r\n", NAME),
        ("a character beyond ASCII in a name", "x\xe9: y\r\n", NAME),
        ("a no-break space before the colon", "x\xa0: y\r\n", NAME),
        ("a request line among the fields", "GET / HTTP/1.1\r\n", NAME),
    ):
        a.refuses_fields(name, "9112 §5, §5.1", lines, reason)
    for code in (0x00, 0x01, 0x07, 0x08, 0x0B, 0x0C, 0x0E, 0x1B, 0x1F, 0x7F):
        a.refuses_fields(f"the control character {code:#04x} in a value", "9110 §5.5", f"x: y{chr(code)}z\r\n", CONTROL)
    a.refuses_fields("a control character before a value", "9110 §5.5", "x: \x0by\r\n", CONTROL)
    for name, lines in (
        ("a folded line", "x: y\r\n z\r\n"),
        ("a line folded by a tab", "x: y\r\n\tz\r\n"),
        ("a folded line that hides a field", "x: y\r\n content-length: 5\r\n"),
        ("a folded coding", "transfer-encoding:\r\n chunked\r\n"),
        ("a line of white space only", "x: y\r\n \r\n"),
    ):
        a.refuses_fields(name, "9112 §5.2", lines, FOLDED)
    a.refuses("white space before the first field", "9112 §2.2", "GET / HTTP/1.1\r\n host: a\r\n\r\n", FOLDED)


def line_ends(a: Subject) -> None:
    for name, text, reason, detected in (
        ("a bare lf behind the request line", "GET / HTTP/1.1\nhost: a\r\n\r\n", BARE_LF, "http1"),
        ("a bare lf behind a field", "GET / HTTP/1.1\r\nhost: a\n\r\n", BARE_LF, "http1"),
        ("a bare lf as the empty line", "GET / HTTP/1.1\r\nhost: a\r\n\n", BARE_LF, "http1"),
        ("bare lf everywhere", "GET / HTTP/1.1\nhost: a\n\n", BARE_LF, "http1"),
        ("a bare lf inside a value", "GET / HTTP/1.1\r\nhost: a\r\nx: a\nb: c\r\n\r\n", BARE_LF, "http1"),
        ("a bare lf before the request", "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", BARE_LF, "opaque"),
        ("lf and cr in the wrong order", "GET / HTTP/1.1\n\rhost: a\n\r\n\r", BARE_LF, "http1"),
        ("a bare cr behind the request line", "GET / HTTP/1.1\rhost: a\r\n\r\n", BARE_CR, "http1"),
        ("a bare cr inside a value", "GET / HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n", BARE_CR, "http1"),
        (
            "a bare cr that hides a field",
            "GET / HTTP/1.1\r\nhost: a\r\nx: a\rcontent-length: 5\r\n\r\n",
            BARE_CR,
            "http1",
        ),
        ("a bare cr before a value", "GET / HTTP/1.1\r\nhost: a\r\nx:\ra\r\n\r\n", BARE_CR, "http1"),
        ("a bare cr in a name", "GET / HTTP/1.1\r\nhost: a\r\nx\ry: a\r\n\r\n", BARE_CR, "http1"),
        ("a bare cr before a name", "GET / HTTP/1.1\r\nhost: a\r\n\rx: a\r\n\r\n", BARE_CR, "http1"),
        ("two cr before lf", "GET / HTTP/1.1\r\nhost: a\r\r\n\r\n", BARE_CR, "http1"),
        ("a bare cr in the empty line", "GET / HTTP/1.1\r\nhost: a\r\n\r\r\n", BARE_CR, "http1"),
        ("a bare cr before the request", "\rGET / HTTP/1.1\r\nhost: a\r\n\r\n", BARE_CR, "opaque"),
    ):
        a.refuses(name, "9112 §2.2", text, reason, detected=detected)
    a.refuses(
        "two empty lines before the request", "9112 §2.2", "\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "an empty line instead of a head",
    )  # fmt: skip


def content_length(a: Subject) -> None:
    for name, length, body in (
        ("a length", "5", "hello"),
        ("a length of zero", "0", ""),
        ("leading zeros", "0005", "hello"),
        ("a body of every kind of byte", "8", "\0\r\n\x7f\x80\xff \t"),
        ("a body that looks like a request", "32", "GET /b HTTP/1.1\r\nhost: b\r\n\r\nabcd"),
        ("a body that looks like chunks", "15", "5\r\nhello\r\n0\r\n\r\n"),
    ):
        a.posts(name, "9112 §6.2", [("content-length", length)], f"length {int(length)}", body, body)
    a.posts(
        "a length of a mebibyte",
        "9112 §6.2",
        [("content-length", str(1 << 20))],
        f"length {1 << 20}",
        [("x", 1 << 20)],
        [("x", 1 << 20)],
    )
    a.takes(
        "white space around a length", "9110 §5.5", "POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: \t5 \r\n\r\nhello",
        said("POST", "/up", [*HOST, ("content-length", "5")], framing="length 5", body="hello"),
    )  # fmt: skip
    for method in ("GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH"):
        fields = [*HOST, ("content-length", "5")]
        a.takes(
            f"a body in {method}", "9112 §6.3", joined(head(f"{method} / HTTP/1.1", fields), "hello"),
            said(method, fields=fields, framing="length 5", body="hello"),
        )  # fmt: skip
    a.takes("no length: no body", "9112 §6.3", head("POST / HTTP/1.1", HOST), said("POST"))
    a.takes(
        "a length in HTTP/1.0", "9112 §6.2", "POST / HTTP/1.0\r\ncontent-length: 5\r\n\r\nhello",
        said("POST", fields=[("content-length", "5")], version="1.0", framing="length 5", body="hello", keeps=False),
    )  # fmt: skip
    for name, value in (
        ("a plus sign", "+5"), ("a minus sign", "-5"), ("a negative zero", "-0"), ("hexadecimal", "0x5"), ("a fraction", "5.0"), ("an exponent", "5e0"),
        ("a list of equal lengths", "5, 5"), ("a list of different lengths", "5, 6"), ("a list without spaces", "5,5"), ("an empty list member", "5,"),
        ("a space inside", "5 5"), ("an underscore", "1_0"), ("a quote", '"5"'), ("a letter behind", "5a"), ("a semicolon behind", "5;"), ("a word", "five"),
        ("empty", ""), ("2^64", "18446744073709551616"), ("an Arabic digit", "\xd9\xa5"), ("a superscript digit", "\xb2"),
    ):  # fmt: skip
        a.refuses_post(f"not a number: {name}", "9110 §8.6", f"content-length: {value}\r\n", NUMBER, "hello")
    a.refuses_post("a control character", "9110 §5.5", "content-length: \x0b5\r\n", CONTROL, "hello")
    a.refuses_post("a NUL behind the number", "9110 §5.5", "content-length: 5\0\r\n", CONTROL, "hello")
    a.refuses_post("twice, equal", "9110 §8.6", "content-length: 5\r\ncontent-length: 5\r\n", REPEATED, "hello")
    a.refuses_post("twice, different", "9110 §8.6", "content-length: 5\r\ncontent-length: 0\r\n", REPEATED, "hello")
    a.refuses_post(
        "twice, one of them malformed", "9110 §8.6", "content-length: 5\r\ncontent-length: x\r\n", REPEATED, "hello"
    )
    a.refuses_post(
        "twice, with a field between",
        "9110 §8.6",
        "content-length: 5\r\nx: y\r\nContent-Length: 5\r\n",
        REPEATED,
        "hello",
    )
    a.refuses_post("three times", "9110 §8.6", "content-length: 0\r\n" * 3, REPEATED)


def transfer_encoding(a: Subject) -> None:
    last = "5\r\nhello\r\n0\r\n\r\n"
    for value in ("chunked", "Chunked", "CHUNKED"):
        a.posts(f"the coding {value}", "9112 §7", [("transfer-encoding", value)], "chunked", last, "hello")
    a.takes(
        "white space around the coding", "9110 §5.5", f"POST /up HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \tchunked \r\n\r\n{last}",
        said("POST", "/up", [*HOST, ("transfer-encoding", "chunked")], framing="chunked", body="hello"),
    )  # fmt: skip
    a.takes(
        "chunks in GET", "9112 §6.3", joined(head("GET / HTTP/1.1", [*HOST, ("transfer-encoding", "chunked")]), last),
        said(fields=[*HOST, ("transfer-encoding", "chunked")], framing="chunked", body="hello"),
    )  # fmt: skip
    for name, value in (
        ("identity", "identity"), ("gzip", "gzip"), ("gzip, then chunked", "gzip, chunked"), ("chunked, then gzip", "chunked, gzip"),
        ("chunked, then identity", "chunked, identity"), ("chunked twice", "chunked, chunked"), ("a list with an empty member", "chunked,"), ("a list that begins empty", ", chunked"),
        ("a parameter", "chunked;a=b"), ("a quote", '"chunked"'), ("a misspelling", "chunke"), ("a longer word", "chunkedx"), ("xchunked", "xchunked"),
        ("a space inside", "chun ked"), ("empty", ""), ("a word beyond ASCII", "chunked\xa0"), ("brackets", "(chunked)"), ("unknown", "cow"),
    ):  # fmt: skip
        a.refuses_post(f"another coding: {name}", "9112 §6.1", f"transfer-encoding: {value}\r\n", CODING, last)
    a.refuses_post(
        "twice chunked", "9112 §6.1", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", CODING, last
    )
    a.refuses_post(
        "gzip and chunked in two lines",
        "9112 §6.1",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
        CODING,
        last,
    )
    a.refuses_post(
        "chunked and identity in two lines",
        "9112 §6.1",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        CODING,
        last,
    )
    a.refuses_post(
        "an empty line and chunked", "9112 §6.1", "transfer-encoding:\r\ntransfer-encoding: chunked\r\n", CODING, last
    )
    a.refuses_post(
        "a control character before chunked", "9110 §5.5", "transfer-encoding: \x0bchunked\r\n", CONTROL, last
    )
    a.refuses_post("a NUL behind chunked", "9110 §5.5", "transfer-encoding: chunked\0\r\n", CONTROL, last)
    a.refuses(
        "in HTTP/1.0",
        "9112 §6.1",
        f"POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{last}",
        "transfer-encoding in http/1.0",
    )


def both_lengths(a: Subject) -> None:
    last = "0\r\n\r\nGET /b HTTP/1.1\r\nhost: a\r\n\r\n"
    for name, lines in (
        ("length, then coding", "content-length: 5\r\ntransfer-encoding: chunked\r\n"),
        ("coding, then length", "transfer-encoding: chunked\r\ncontent-length: 5\r\n"),
        ("a length of zero and a coding", "content-length: 0\r\ntransfer-encoding: chunked\r\n"),
        ("a malformed length and a coding", "content-length: x\r\ntransfer-encoding: chunked\r\n"),
        ("a length and an unknown coding", "content-length: 5\r\ntransfer-encoding: cow\r\n"),
        ("a length and an empty coding", "content-length: 5\r\ntransfer-encoding:\r\n"),
        ("a length and the coding identity", "content-length: 5\r\ntransfer-encoding: identity\r\n"),
        ("two lengths and a coding", "content-length: 5\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n"),
        ("names in odd case", "cOnTeNt-LeNgTh: 5\r\ntRaNsFeR-eNcOdInG: chunked\r\n"),
        (
            "a length that connection names",
            "connection: content-length\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n",
        ),
    ):
        a.refuses_post(name, "9112 §6.1, §6.3", lines, BOTH, last)


def chunked(a: Subject) -> None:
    end = "0\r\n\r\n"
    for name, raw, body in (
        ("no data", end, ""),
        ("one chunk", f"5\r\nhello\r\n{end}", "hello"),
        ("several chunks", f"1\r\nh\r\n4\r\nello\r\n{end}", "hello"),
        ("upper-case digits", f"A\r\n0123456789\r\n{end}", "0123456789"),
        ("lower-case digits", f"a\r\n0123456789\r\n{end}", "0123456789"),
        ("two digits", f"10\r\n0123456789abcdef\r\n{end}", "0123456789abcdef"),
        ("leading zeros", f"0005\r\nhello\r\n{end}", "hello"),
        ("sixteen digits", f"0000000000000005\r\nhello\r\n{end}", "hello"),
        ("several zeros at the end", "5\r\nhello\r\n000\r\n\r\n", "hello"),
        ("an extension", f"5;a\r\nhello\r\n{end}", "hello"),
        ("an extension with a value", f"5;a=b\r\nhello\r\n{end}", "hello"),
        ("an extension with a quoted value", f'5;a="b; c"\r\nhello\r\n{end}', "hello"),
        ("several extensions", f"5;a;b=c;d\r\nhello\r\n{end}", "hello"),
        ("white space inside extensions", f"5; a = b ; c\r\nhello\r\n{end}", "hello"),
        ("an extension of the last chunk", "5\r\nhello\r\n0;a=b\r\n\r\n", "hello"),
        ("data with line ends", f"4\r\n\r\n\r\n\r\n{end}", "\r\n\r\n"),
        ("data that looks like the end", f"5\r\n{end}\r\n{end}", end),
        ("data of every kind", f"6\r\n\0\x7f\x80\xff \t\r\n{end}", "\0\x7f\x80\xff \t"),
    ):
        a.chunks(name, "9112 §7.1", raw, body)
    a.chunks("a large chunk", "9112 §7.1", [("40000\r\n", 1), ("x", 0x40000), (f"\r\n{end}", 1)], [("x", 0x40000)])
    a.chunks("a thousand small chunks", "9112 §7.1", [("1\r\nx\r\n", 1000), (end, 1)], [("x", 1000)])
    a.chunks("a long extension", "9112 §7.1.1", [("5;", 1), ("x", 4000), (f"\r\nhello\r\n{end}", 1)], "hello")
    for name, line in (
        ("no digits", ""), ("a letter that is no digit", "g"), ("a letter behind the digits", "5g"), ("a sign", "+5"), ("a negative size", "-5"), ("0x", "0x5"),
        ("a space before", " 5"), ("a space behind", "5 "), ("a tab behind", "5\t"), ("a space before the extension", "5 ;a"), ("a tab before the extension", "5\t;a"),
        ("an underscore", "5_0"), ("a fraction", "5.0"), ("a comma", "5,"), ("a quote", '"5"'), ("only an extension", ";a"), ("seventeen digits", "00000000000000005"),
        ("2^64 and more", "10000000000000005"), ("a NUL", "5\0"), ("a vertical tab", "5\x0b"), ("a control character in an extension", "5;a\x01"),
        ("a NUL in an extension", "5;a\0"), ("DEL in an extension", "5;a\x7f"), ("a bare cr in an extension", "5;a\rb"), ("a bare cr before the end", "5\r"),
        ("a digit beyond ASCII", "\xb2"),
        ("an empty extension", "5;"),
        ("an extension of white space", "5; "),
        ("an extension that ends empty", "5;a;"),
    ):  # fmt: skip
        a.refuses_chunks(f"odd size: {name}", "9112 §7.1", f"{line}\r\nhello\r\n{end}", SIZE)
    bare = "a chunk line ends with a bare lf"
    a.refuses_chunks("a bare lf behind the size", "9112 §7.1", f"5\nhello\r\n{end}", bare)
    a.refuses_chunks("a bare lf behind an extension", "9112 §7.1", f"5;a\nhello\r\n{end}", bare)
    a.refuses_chunks("a bare lf in an extension", "9112 §7.1", f"5;a\n5\r\nhello\r\n{end}", bare)
    a.refuses_chunks("a bare lf behind the last size", "9112 §7.1", "5\r\nhello\r\n0\n\r\n", bare)
    no_end = "chunk data does not end with crlf"
    a.refuses_chunks("more data than the size says", "9112 §7.1", f"5\r\nhello!\r\n{end}", no_end)
    a.refuses_chunks("less data than the size says", "9112 §7.1", f"7\r\nhello\r\n{end}", no_end)
    a.refuses_chunks("a bare lf behind the data", "9112 §7.1", f"5\r\nhello\n{end}", no_end)
    a.refuses_chunks("a bare cr behind the data", "9112 §7.1", f"5\r\nhello\r{end}", no_end)
    a.refuses_chunks("nothing behind the data", "9112 §7.1", f"5\r\nhello{end}", no_end)
    a.refuses_chunks("a space behind the data", "9112 §7.1", f"5\r\nhello \r\n{end}", no_end)
    a.refuses_chunks(
        "a chunk line beyond 4 KiB",
        "9112 §7.1.1",
        [("5;", 1), ("x", 5000), (f"\r\nhello\r\n{end}", 1)],
        "chunk line is too long",
    )


def trailers(a: Subject) -> None:
    start = "5\r\nhello\r\n0\r\n"
    for name, fields in (
        ("one", [("x-sum", "1")]),
        ("several", [("x-sum", "1"), ("x-more", "2")]),
        ("one twice", [("x", "1"), ("x", "2")]),
        ("an empty one", [("x", "")]),
        ("a value beyond ASCII", [("x", "\xe9")]),
        ("an upper-case name", [("X-Sum", "1")]),
        ("gRPC's", [("grpc-status", "0"), ("grpc-message", "")]),
    ):
        a.chunks(
            name,
            "9110 §6.5",
            start + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n",
            "hello",
            fields,
        )
    a.chunks("behind no data", "9110 §6.5", "0\r\nx-sum: 1\r\n\r\n", "", [("x-sum", "1")])
    a.posts(
        "announced", "9110 §6.6.2", [("transfer-encoding", "chunked"), ("trailer", "x-sum"), ("te", "trailers")], "chunked",
        f"{start}x-sum: 1\r\n\r\n", "hello", [("x-sum", "1")],
    )  # fmt: skip
    for field in (
        "content-length", "transfer-encoding", "host", "connection", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings",
    ):  # fmt: skip
        a.refuses_chunks(f"the field {field}", "9110 §6.5.1", f"{start}{field}: 1\r\n\r\n", TRAILER)
    for name, lines, reason in (
        ("a space before the colon", "x : 1\r\n", NAME),
        ("no colon", "x\r\n", NAME),
        ("no name", ": 1\r\n", NAME),
        ("a control character in a value", "x: \x01\r\n", CONTROL),
        ("a NUL in a value", "x: \0\r\n", CONTROL),
        ("a folded line", "x: 1\r\n 2\r\n", FOLDED),
        ("white space before the first", " x: 1\r\n", FOLDED),
        ("a bare lf", "x: 1\n", BARE_LF),
        ("a bare cr in a value", "x: 1\r2\r\n", BARE_CR),
        ("a request instead", "GET /b HTTP/1.1\r\nhost: a\r\n", NAME),
    ):
        a.refuses_chunks(name, "9112 §7.1.2", f"{start}{lines}\r\n", reason)
    a.refuses_chunks("a bare lf as the empty line", "9112 §7.1.2", f"{start}\n", BARE_LF)
    many = "too many fields"
    a.refuses_chunks("more than 128", "9112 §7.1.2", [(start, 1), ("x: y\r\n", 129), ("\r\n", 1)], many, 431)
    a.refuses_chunks(
        "beyond 64 KiB", "9112 §7.1.2", [(f"{start}x: ", 1), ("y", 70_000), ("\r\n\r\n", 1)], "head is too large", 431
    )


def connection(a: Subject) -> None:
    for name, value, keeps in (
        ("close", "close", False), ("CLOSE", "CLOSE", False), ("keep-alive", "keep-alive", True), ("close in a list", "x, close", False),
        ("close and keep-alive", "keep-alive, close", False), ("an unknown option", "x", True), ("a word that begins with close", "closed", True),
        ("empty", "", True), ("empty list members", ",, close ,", False),
    ):  # fmt: skip
        a.plain(name, "9112 §9.3", [("connection", value)], keeps=keeps)
    a.plain(
        "close in the second of two lines", "9112 §9.3", [("connection", "x"), ("connection", "close")], keeps=False
    )
    for name, value, keeps in (
        ("keep-alive", "keep-alive", True),
        ("Keep-Alive", "Keep-Alive", True),
        ("close", "close", False),
        ("both", "keep-alive, close", False),
    ):
        fields = [*HOST, ("connection", value)]
        a.takes(
            f"{name} in HTTP/1.0",
            "9112 §9.3",
            head("GET / HTTP/1.0", fields),
            said(fields=fields, version="1.0", keeps=keeps),
        )
    a.plain("a field of one hop, named", "9110 §7.6.1", [("connection", "x-hop"), ("x-hop", "1"), ("x-stays", "2")])
    a.plain("framing and routing fields, named", "9110 §7.6.1", [("connection", "host, te, x"), ("te", "trailers")])
    a.plain("keep-alive with parameters", "9112 §9.3", [("connection", "keep-alive"), ("keep-alive", "timeout=5")])
    a.plain("proxy-connection", "9112 §9.3", [("proxy-connection", "keep-alive")])
    a.plain("te", "9110 §10.1.4", [("connection", "te"), ("te", "trailers, deflate;q=0.5")])


def expect(a: Subject) -> None:
    for value in ("100-continue", "100-Continue"):
        a.posts(value, "9110 §10.1.1", [("expect", value), ("content-length", "5")], "length 5", "hello", "hello")
    a.plain("100-continue without a body", "9110 §10.1.1", [("expect", "100-continue")])
    a.posts(
        "100-continue with chunks",
        "9110 §10.1.1",
        [("expect", "100-continue"), ("transfer-encoding", "chunked")],
        "chunked",
        "0\r\n\r\n",
        "",
    )
    a.plain("something else", "9110 §10.1.1", [("expect", "more")])


def upgrade(a: Subject) -> None:
    websocket = [("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="), ("sec-websocket-version", "13")]
    a.plain(
        "to websocket", "9110 §7.8", [("connection", "upgrade"), ("upgrade", "websocket"), *websocket], upgrade=True
    )
    a.plain(
        "to something unknown",
        "9110 §7.8",
        [("connection", "keep-alive, Upgrade"), ("upgrade", "echo/1")],
        upgrade=True,
    )
    a.plain("not named by connection", "9110 §7.8", [("upgrade", "echo/1")])
    a.plain("named, but not there", "9110 §7.8", [("connection", "upgrade")])
    a.plain(
        "to h2c",
        "9113 §3.1",
        [("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")],
    )
    fields = [*HOST, ("connection", "upgrade"), ("upgrade", "echo/1"), ("content-length", "5")]
    a.takes(
        "with a body",
        "9110 §7.8",
        joined(head("POST / HTTP/1.1", fields), "hello"),
        said("POST", fields=fields, framing="length 5", body="hello"),
    )
    fields = [*HOST, ("connection", "upgrade"), ("upgrade", "echo/1")]
    a.takes("in HTTP/1.0", "9110 §7.8", head("GET / HTTP/1.0", fields), said(fields=fields, version="1.0", keeps=False))


def connect(a: Subject) -> None:
    for name, form, value in (
        ("to a name and port", "a:443", "a:443"),
        ("to an IPv6 address", "[::1]:443", "[::1]:443"),
        ("host without the port", "a:443", "a"),
        ("host in the other case", "a:443", "A:443"),
    ):
        fields = [("host", value)]
        a.takes(
            name, "9112 §3.2.3", head(f"CONNECT {form} HTTP/1.1", fields), said("CONNECT", form, fields, upgrade=True)
        )
    odd = "the target of connect is not host:port"
    for name, form in (
        ("without a port", "a"), ("with an empty port", "a:"), ("with a port that is none", "a:x"), ("with a port beyond 65535", "a:65536"),
        ("with a path", "/a"), ("with an absolute URI", "http://a:80/"), ("with an asterisk", "*"), ("with user information", "u@a:80"), ("with a list", "a,b:80"),
        ("with port 0", "a:0"),
    ):  # fmt: skip
        a.refuses(name, "9112 §3.2.3", head(f"CONNECT {form} HTTP/1.1", HOST), odd)
    a.refuses("without a host", "9112 §3.2", "CONNECT a:443 HTTP/1.1\r\n\r\n", "no host")
    a.refuses(
        "with another host",
        "9112 §3.2",
        head("CONNECT a:443 HTTP/1.1", [("host", "b:443")]),
        "host differs from the request target",
    )
    a.refuses(
        "with another port in host",
        "9112 §3.2",
        head("CONNECT a:443 HTTP/1.1", [("host", "a:80")]),
        "host differs from the request target",
    )
    a.refuses(
        "with a length",
        "9110 §9.3.6",
        head("CONNECT a:443 HTTP/1.1", [("host", "a:443"), ("content-length", "5")]),
        "a body in connect",
    )
    a.refuses(
        "with chunks",
        "9110 §9.3.6",
        head("CONNECT a:443 HTTP/1.1", [("host", "a:443"), ("transfer-encoding", "chunked")]),
        "a body in connect",
    )


def limits(a: Subject) -> None:
    long = [("/", 1), ("a", 7000)]
    a.takes("a target of 7 KB", "9112 §3", [("GET ", 1), *long, (" HTTP/1.1\r\nhost: a\r\n\r\n", 1)], said(target=long))
    too_long = "request line is too long"
    a.refuses(
        "a request line beyond 32 KiB",
        "9112 §3",
        [("GET /", 1), ("a", 33_000), (" HTTP/1.1\r\nhost: a\r\n\r\n", 1)],
        too_long,
        status=414,
    )
    a.refuses(
        "a request line beyond 32 KiB that does not end", "9112 §3", [("GET /", 1), ("a", 33_000)], too_long, status=414
    )
    value = [("y", 7000)]
    a.takes(
        "a value of 7 KB",
        "9110 §5.4",
        head("GET / HTTP/1.1", [*HOST, ("x", value)]),
        said(fields=[*HOST, ("x", value)]),
    )
    large = "head is too large"
    a.refuses(
        "a value beyond 64 KiB", "9110 §5.4", head("GET / HTTP/1.1", [*HOST, ("x", [("y", 66_000)])]), large, status=431
    )
    a.refuses(
        "a value beyond 64 KiB that does not end",
        "9110 §5.4",
        [("GET / HTTP/1.1\r\nhost: a\r\nx: ", 1), ("y", 66_000)],
        large,
        status=431,
    )
    a.refuses(
        "a head beyond 64 KiB",
        "9110 §5.4",
        [("GET / HTTP/1.1\r\nhost: a\r\n", 1), (f"x: {'y' * 700}\r\n", 100), ("\r\n", 1)],
        large,
        status=431,
    )
    many = [("x", "y")] * 90
    a.takes("91 fields", "9110 §5.4", head("GET / HTTP/1.1", [*HOST, *many]), said(fields=[*HOST, *many]))
    a.refuses(
        "129 fields",
        "9110 §5.4",
        [("GET / HTTP/1.1\r\nhost: a\r\n", 1), ("x: y\r\n", 128), ("\r\n", 1)],
        "too many fields",
        status=431,
    )
    a.refuses(
        "fields without end",
        "9110 §5.4",
        [("GET / HTTP/1.1\r\nhost: a\r\n", 1), ("x: y\r\n", 200)],
        "too many fields",
        status=431,
    )


def pipelining(a: Subject) -> None:
    get = "GET /{} HTTP/1.1\r\nhost: a\r\n\r\n"
    a.takes("two requests", "9112 §9.3.2", get.format(1) + get.format(2), said(target="/1"), said(target="/2"))
    a.takes(
        "four requests",
        "9112 §9.3.2",
        "".join(get.format(n) for n in range(4)),
        *(said(target=f"/{n}") for n in range(4)),
    )
    post = "POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"
    posted = said("POST", "/p", [*HOST, ("content-length", "5")], framing="length 5", body="hello")
    a.takes("behind a body", "9112 §9.3.2", post + get.format(2), posted, said(target="/2"))
    a.takes("an empty line between", "9112 §2.2", f"{post}\r\n{get.format(2)}", posted, said(target="/2"))
    chunks = "POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    chunked = said("POST", "/c", [*HOST, ("transfer-encoding", "chunked")], framing="chunked", body="hello")
    a.takes("behind chunks", "9112 §9.3.2", chunks + get.format(2), chunked, said(target="/2"))
    a.takes("a body behind each other", "9112 §9.3.2", post + chunks + post, posted, chunked, posted)
    head_only = "HEAD /h HTTP/1.1\r\nhost: a\r\n\r\n"
    a.takes("behind HEAD", "9112 §9.3.2", head_only + get.format(2), said("HEAD", "/h"), said(target="/2"))
    for name, text, reason in (
        ("behind it, a bare lf", "GET /2 HTTP/1.1\nhost: a\r\n\r\n", BARE_LF),
        (
            "behind it, both lengths",
            "POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
            BOTH,
        ),
        ("behind it, no host", "GET /2 HTTP/1.1\r\n\r\n", "no host"),
        ("behind it, a space before the method", " GET /2 HTTP/1.1\r\nhost: a\r\n\r\n", FOLDED),
        ("behind it, two spaces", "GET  /2 HTTP/1.1\r\nhost: a\r\n\r\n", LINE),
        ("behind it, HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION),
        ("behind it, no HTTP", "hello\r\n\r\n", LINE),
    ):
        a.refuses(name, "9112 §2.2, §9.3.2", get.format(1) + text, reason, after=[said(target="/1")])
    a.refuses("a body longer than its length", "9112 §6.3", f"{post}xGET / HTTP/1.1\n\r\n", BARE_LF, after=[posted])
    hidden = "POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 28\r\n\r\n" + get.format("s")[:28]
    a.takes(
        "a request inside a body is none", "9112 §6.3", hidden,
        said("POST", "/p", [*HOST, ("content-length", "28")], framing="length 28", body=get.format("s")[:28]),
    )  # fmt: skip


def cut_short(a: Subject) -> None:
    a.waits("in the method", "9112 §8", "GE", detected="more")
    a.waits("in the target", "9112 §8", "GET /a", detected="more")
    a.waits("in the version", "9112 §8", "GET / HTTP/1.")
    a.waits("behind the request line", "9112 §8", "GET / HTTP/1.1\r\n")
    a.waits("in a field", "9112 §8", "GET / HTTP/1.1\r\nhost: a\r\nx: y")
    a.waits("between cr and lf", "9112 §8", "GET / HTTP/1.1\r\nhost: a\r\n\r")
    a.waits("in a body", "9112 §8", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhell")
    a.waits(
        "before the largest body",
        "9112 §6.2",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551615\r\n\r\nhello",
    )
    start = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    a.waits("before the first chunk", "9112 §8", start)
    a.waits("in a chunk size", "9112 §8", f"{start}5")
    a.waits("in a chunk", "9112 §8", f"{start}5\r\nhel")
    a.waits("behind a chunk", "9112 §8", f"{start}5\r\nhello")
    a.waits("before the last chunk", "9112 §8", f"{start}5\r\nhello\r\n")
    a.waits("in the trailers", "9112 §8", f"{start}5\r\nhello\r\n0\r\nx: y\r\n")
    a.waits("before the empty line", "9112 §8", f"{start}5\r\nhello\r\n0\r\n")
    a.waits("in the second request", "9112 §8", "GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2", said(target="/1"))
