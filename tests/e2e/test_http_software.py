"""nginx, curl and h2load through the mesh: what they say to each other is what they say without it."""

import gzip
import hashlib
import json
from collections.abc import Iterator

import pytest
from bench import h2load
from tests.e2e import software
from tests.e2e.applications import FILES, Python, idle, text

from weft.testing import Mesh

pytestmark = pytest.mark.e2e
LARGE = bytes(range(256)) * (3 << 12)  # 3 MiB
SMALL = b"The quick brown fox jumps over the lazy dog.\n" * 400


@pytest.fixture(scope="module")
def mesh(python: Python) -> Iterator[Mesh]:
    nginx = (software.program("nginx", "nginx-light"), "-e", "stderr", "-p", "./", "-c", "nginx.conf")
    web = software.server("web", nginx, 8080, 8081, 8082, 8083)
    app = software.server("app", python.command("uploads.py"))
    mesh = Mesh(text(app, web, idle("client")), [*FILES, software.SCRIPTS / "nginx.conf"], "software")
    for folder in ("files", "run"):
        (mesh.directory / folder).mkdir()
        (mesh.directory / folder).chmod(0o777)
    (mesh.directory / "files" / "large.bin").write_bytes(LARGE)
    (mesh.directory / "files" / "small.txt").write_bytes(SMALL)
    with mesh:
        yield mesh


class Curl:
    """One curl beside the client: `head` and `body` of its last answer."""

    def __init__(self, mesh: Mesh, *arguments: str) -> None:
        program = software.program("curl", "curl")
        said = mesh.directory / "files" / "answer"
        head = mesh.directory / "files" / "head"
        for file in (said, head):
            file.unlink(missing_ok=True)
        outputs = ["-o", str(said)] * sum(word.startswith("http://") for word in arguments)
        command = (program, "-sS", "--max-time", "50", "-D", str(head), *outputs, *arguments)
        self.printed = mesh.exec("client-0", *command)
        self.body = said.read_bytes() if said.exists() else b""
        self.head = head.read_bytes().decode()
        heads = [head for head in self.head.split("\r\n\r\n") if head.startswith("HTTP/")]
        blocks = [head.splitlines() for head in heads]
        self.statuses = [block[0].split(" ")[:2] for block in blocks]
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in blocks[-1])}

    @property
    def status(self) -> list[str]:
        """Version and status of the last answer."""
        return self.statuses[-1]


def test_a_file_in_every_version(mesh: Mesh) -> None:
    """Requirement: HTTP/1.0, HTTP/1.1, HTTP/2 with prior knowledge, and HTTP/1.1 that offers an upgrade to HTTP/2: all
    are answered whole, in a version that the client can read.
    """
    for options, port, versions in (
        (("--http1.0",), 8080, {"HTTP/1.0", "HTTP/1.1"}),
        (("--http1.1",), 8080, {"HTTP/1.1"}),
        (("--http2-prior-knowledge",), 8081, {"HTTP/2"}),
        (("--http2",), 8080, {"HTTP/1.1"}),
    ):
        said = Curl(mesh, *options, f"http://web:{port}/large.bin")
        assert said.status[0] in versions, (options, said.head)
        assert said.status[1] == "200"
        assert said.body == LARGE, options


def test_http_1_0_is_answered_without_chunks(mesh: Mesh) -> None:
    """Requirement: a body without a length reaches a client of HTTP/1.0 unchunked, up to the end of its connection."""
    said = Curl(mesh, "--http1.0", "--raw", "http://web:8080/streamed/trailers")
    assert "transfer-encoding" not in said.headers
    assert said.body == b"body"


def test_head_has_the_length_and_no_body(mesh: Mesh) -> None:
    """Requirement: HEAD is answered with the header of GET, in HTTP/1.1 and HTTP/2; so is what has no body at all."""
    for options, port in ((("--http1.1",), 8080), (("--http2-prior-knowledge",), 8081)):
        said = Curl(mesh, *options, "--head", f"http://web:{port}/large.bin")
        assert said.status[1] == "200"
        assert said.headers["content-length"] == str(len(LARGE))
        assert Curl(mesh, *options, f"http://web:{port}/empty").status[1] == "204"


def test_ranges(mesh: Mesh) -> None:
    """Requirement: one range, several, and one that cannot be satisfied."""
    url = "http://web:8080/large.bin"
    said = Curl(mesh, "--range", "1000000-1999999", url)
    assert (said.status[1], said.body) == ("206", LARGE[1000000:2000000])
    assert said.headers["content-range"] == f"bytes 1000000-1999999/{len(LARGE)}"
    several = Curl(mesh, "--range", "0-99,200-299", url)
    assert several.headers["content-type"].startswith("multipart/byteranges")
    assert LARGE[:100] in several.body
    assert LARGE[200:300] in several.body
    assert Curl(mesh, "--range", f"{len(LARGE)}-", url).status[1] == "416"


def test_conditional_requests(mesh: Mesh) -> None:
    """Requirement: `304 Not Modified` passes, which names the length of a body that does not come."""
    first = Curl(mesh, "http://web:8080/small.txt")
    tag = first.headers["etag"]
    again = Curl(mesh, "-w", "%{num_connects}", "-H", f"if-none-match: {tag}", *["http://web:8080/small.txt"] * 2)
    assert [status for _, status in again.statuses] == ["304", "304"]
    assert again.printed == "10", "the connection was not used again"


def test_gzip(mesh: Mesh) -> None:
    """Requirement: what nginx compresses on its way arrives as it was compressed, raw chunks included."""
    url = "http://web:8080/small.txt"
    raw = Curl(mesh, "-H", "accept-encoding: gzip", url)
    assert raw.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw.body) == SMALL
    assert Curl(mesh, "--compressed", url).body == SMALL
    chunks = Curl(mesh, "--raw", "-H", "accept-encoding: gzip", url)
    assert chunks.headers["transfer-encoding"] == "chunked"
    assert gzip.decompress(unchunked(chunks.body)) == SMALL


def test_one_connection_serves_many_requests(mesh: Mesh) -> None:
    """Requirement: curl keeps its connection to the mesh as it would keep one to nginx."""
    said = Curl(mesh, "-w", "%{num_connects} ", *["http://web:8080/small.txt"] * 20)
    assert said.printed.split() == ["1", *["0"] * 19]
    assert [status for _, status in said.statuses] == ["200"] * 20


def test_redirects_are_followed(mesh: Mesh) -> None:
    """Requirement: the address in `Location`, which nginx makes of the request's host, is one the client can use."""
    said = Curl(mesh, "--location", "http://web:8080/moved")
    assert [status for _, status in said.statuses] == ["302", "200"]
    assert said.body == SMALL


@pytest.mark.parametrize("kind", ["length", "chunked", "expect"])
@pytest.mark.parametrize("path", ["http://app:8080/", "http://web:8080/app/", "http://web:8080/streamed/"])
def test_uploads(mesh: Mesh, path: str, kind: str) -> None:
    """Requirement: 3 MiB arrive unharmed, with a length and chunked, with and without `Expect: 100-continue`, straight
    to an application and through nginx, which buffers them or streams them on.
    """
    options = {
        "length": ("-H", "expect:"),
        "chunked": ("-H", "expect:", "-H", "transfer-encoding: chunked"),
        "expect": ("-H", "expect: 100-continue", "--expect100-timeout", "40"),
    }[kind]
    said = upload(mesh, *options, path)
    assert ("100" in [status for _, status in said.statuses]) == (kind == "expect")
    answer = json.loads(said.body)
    if "app:" in path:
        assert (answer["coding"] == "chunked") == (kind == "chunked")
        assert (answer["expect"] == "100-continue") == (kind == "expect")


@pytest.mark.parametrize("path", ["app/", "streamed/"])
def test_uploads_over_http2(mesh: Mesh, path: str) -> None:
    """Requirement: the same over HTTP/2, which nginx makes HTTP/1.1 of on the way to the application."""
    upload(mesh, "--http2-prior-knowledge", f"http://web:8081/{path}")


def upload(mesh: Mesh, *arguments: str) -> Curl:
    """Send LARGE; it must have arrived unharmed."""
    said = Curl(
        mesh, "--upload-file", str(mesh.directory / "files" / "large.bin"), *arguments[:-1], arguments[-1] + "here"
    )
    assert said.status[1] == "200", said.head
    answer = json.loads(said.body)
    assert (answer["size"], answer["sha256"]) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    return said


def test_trailers(mesh: Mesh) -> None:
    """Requirement: trailers of a chunked answer reach a client that reads them."""
    said = Curl(mesh, "--http1.1", "-H", "te: trailers", "http://app:8080/trailers")
    assert said.body == b"body"
    assert "x-sum: right" in said.head


@pytest.mark.parametrize(
    "load",
    [
        ("--h1", "-n3000", "-c20", "http://web:8080/small.txt"),
        ("-n3000", "-c4", "-m32", "http://web:8081/small.txt"),
        ("--h1", "-n300", "-c8", "-duploaded", "http://web:8080/app/"),
        ("-n300", "-c2", "-m8", "-duploaded", "http://web:8081/app/"),
        ("--h1", "-n1000", "-c8", "http://web:8082/small.txt"),
        ("--h1", "-n1000", "-c10", "--rps=20", "http://web:8083/small.txt"),
    ],
    ids=["http1", "http2", "http1-post", "http2-post", "short-connections", "idle-connections"],
)
def test_h2load(mesh: Mesh, load: tuple[str, ...]) -> None:
    """Requirement: every one of some thousand requests is answered with 200, also by a server that closes its
    connection after every seventh, or just when the next one comes.
    """
    (mesh.directory / "uploaded").write_bytes(SMALL)
    printed = mesh.exec("client-0", software.program("h2load", "nghttp2-client"), *load)
    said = h2load.parse(printed)
    number = int(next(word for word in load if word.startswith("-n"))[2:])
    assert (said.requests, said.failed) == (number, 0), printed


def test_nothing_went_around_the_mesh(mesh: Mesh) -> None:
    """Requirement: a request of curl is counted by both proxies, as one that came under mutual TLS."""
    for replica, direction in (("client-0", "outbound"), ("web-0", "inbound")):
        labels = {"direction": direction, "tls": "true"}
        before = mesh.counted(replica, "request_total", labels)
        Curl(mesh, "http://web:8080/small.txt")
        assert mesh.counted(replica, "request_total", labels) == before + 1


def unchunked(raw: bytes) -> bytes:
    """The body that these chunks carry; there must be nothing behind them."""
    body = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            assert raw == b"\r\n"
            return body
        body, raw = body + raw[:length], raw[length + 2 :]
    raise AssertionError("no last chunk")
