"""Servers that nobody wrote for a mesh, through two proxies: redis, PostgreSQL and a mail server."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.applications import FILES, Python, ask, idle, text

from weft.testing import Mesh, wait_until

pytestmark = pytest.mark.e2e
CLIENT = "client.default.serviceaccount.identity.weft.cluster.local"
ROWS, ROW = 4096, 16 << 10
"""What COPY carries each way: 64 MiB."""


def program(name: str, package: str, *folders: str) -> str:
    """The path of a program, which the set-up of the tests installs."""
    for folder in folders:
        for found in sorted(Path("/").glob(f"{folder}/{name}"), reverse=True):
            return str(found)
    found_by_path = shutil.which(name)
    assert found_by_path, f"{name} is missing: apt-get install {package}"
    return found_by_path


def postgres_program(name: str) -> str:
    return program(name, "postgresql", "usr/lib/postgresql/*/bin")


def workload(name: str, port: int, *command: str) -> dict[str, Any]:
    return {
        "apiVersion": "mesh.weft.dev/v1alpha1",
        "kind": "Workload",
        "metadata": {"name": name},
        "spec": {
            "command": list(command),
            "ports": [{"port": port}],
            "readiness": {"tcpSocket": {"port": port}},
        },
    }


def servers(data: Path) -> list[dict[str, Any]]:
    """The ports of redis and PostgreSQL are in the default list of opaque ones, the mail server's is in none."""
    redis = [program("redis-server", "redis-server"), "--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no"]
    make = f"{postgres_program('initdb')} --pgdata {data}/pg --auth trust --username weft --no-sync >/dev/null"
    run = f"exec {postgres_program('postgres')} -D {data}/pg -c listen_addresses=* -c unix_socket_directories="
    allow = f"echo 'host all all 0.0.0.0/0 trust' >> {data}/pg/pg_hba.conf"
    mail = ["/usr/bin/python3", "-I", "-u", "-m", "aiosmtpd", "--nosetuid", "--listen", "0.0.0.0:2525"]
    return [
        workload("cache", 6379, *redis, "--save", "", "--dir", str(data)),
        workload("database", 5432, "sh", "-c", f"test -d {data}/pg || ({make} && {allow}); {run}"),
        workload("mail", 2525, *mail, "--class", "aiosmtpd.handlers.Debugging", "stdout"),
    ]


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    mesh = Mesh("", FILES, "databases")
    data = mesh.directory / "data"
    data.mkdir()
    data.chmod(0o777)  # written by the applications' user
    mesh.edit(text(*servers(data), idle("client")))
    with mesh:
        yield mesh


def redis(mesh: Mesh, *command: str, stdin: str = "") -> str:
    return mesh.exec("client-0", program("redis-cli", "redis-tools"), "-h", "cache", *command, stdin=stdin)


def psql(mesh: Mesh, *statements: str, stdin: str = "") -> str:
    command = [postgres_program("psql"), "-h", "database", "-U", "weft", "-d", "postgres", "-qtAX"]
    run = [part for statement in statements for part in ("-c", statement)]
    return mesh.exec("client-0", *command, "-v", "ON_ERROR_STOP=1", *run, stdin=stdin)


def secured(mesh: Mesh, replica: str, port: int) -> float:
    """How many connections the replica's proxy took from the client by mTLS, and passed on as bytes."""
    labels = {"direction": "inbound", "peer": "src", "tls": "true", "client_id": CLIENT, "target_port": str(port)}
    allowed = mesh.counted(replica, "inbound_tcp_authz_allow_total", {"target_port": str(port), "client_id": CLIENT})
    assert allowed == mesh.counted(replica, "tcp_open_total", labels)
    return allowed


def test_redis(mesh: Mesh) -> None:
    """Requirement: single commands, a large value and 10 000 pipelined commands are answered, by mTLS."""
    assert redis(mesh, "PING").strip() == "PONG"
    assert redis(mesh, "-x", "SET", "large", stdin="x" * (8 << 20)).strip() == "OK"
    assert redis(mesh, "STRLEN", "large").strip() == str(8 << 20)
    answers = redis(mesh, "--pipe", stdin="".join(f"SET key:{number} {number}\r\n" for number in range(10_000)))
    assert "errors: 0, replies: 10000" in answers
    assert redis(mesh, "GET", "key:9999").strip() == "9999"
    assert secured(mesh, "cache-0", 6379) == 5


def test_redis_publishes(mesh: Mesh) -> None:
    """Requirement: a message reaches a subscriber whose connection has been silent."""
    cli = program("redis-cli", "redis-tools")
    subscriber = mesh.background("client-0", cli, "-h", "cache", "SUBSCRIBE", "news")
    assert subscriber.stdout
    assert [subscriber.stdout.readline().strip() for _ in range(3)] == ["subscribe", "news", "1"]
    assert redis(mesh, "PUBLISH", "news", "hello").strip() == "1"
    assert [subscriber.stdout.readline().strip() for _ in range(3)] == ["message", "news", "hello"]
    subscriber.terminate()
    subscriber.communicate()


def test_postgresql_copies(mesh: Mesh) -> None:
    """Requirement: COPY carries 64 MiB out of the database and into it again, whole."""
    copy_through(mesh, ROWS)
    assert secured(mesh, "database-0", 5432) >= 4


def copy_through(mesh: Mesh, rows: int) -> None:
    """Copy rows from a query to the client and from there into a table, and see that they are the same."""
    content = f"repeat(md5(number::text), {ROW // 32})"
    psql(mesh, "DROP TABLE IF EXISTS blob", "CREATE TABLE blob (number int, content text)")
    ask_it = f"{postgres_program('psql')} -h database -U weft -d postgres -qtAX -v ON_ERROR_STOP=1"
    rows_out = f"COPY (SELECT number, {content} FROM generate_series(1, {rows}) number) TO STDOUT"
    mesh.exec("client-0", "sh", "-ec", f"{ask_it} -c '{rows_out}' | {ask_it} -c 'COPY blob FROM STDIN'")
    same = psql(mesh, f"SELECT count(*), count(DISTINCT number) FROM blob WHERE content = {content}")
    assert same.strip() == f"{rows}|{rows}"


def test_postgresql_notifies(mesh: Mesh) -> None:
    """Requirement: NOTIFY reaches a session that listens, and a query that is cancelled ends."""
    command = [postgres_program("psql"), "-h", "database", "-U", "weft", "-d", "postgres", "-qtAX"]
    listener = mesh.background("client-0", *command)
    assert listener.stdin
    assert listener.stdout
    listener.stdin.write("LISTEN news; SELECT 'listening';\n")
    listener.stdin.flush()
    assert listener.stdout.readline().strip() == "listening"
    psql(mesh, "NOTIFY news, 'hello'")
    listener.stdin.write("SELECT 'and on';\n")
    listener.stdin.close()
    said = listener.stdout.read()
    assert "and on" in said
    assert 'Asynchronous notification "news" with payload "hello" received' in said
    listener.wait()
    listener.stdout.close()


def test_mail_to_a_server_that_speaks_first_on_an_undeclared_port(mesh: Mesh, python: Python) -> None:
    """Requirement: the proxies look for a protocol for ten seconds, once; then the mail is delivered, by mTLS."""
    said = ask(mesh, python, "client-0", "byte_client.py", "mail", "mail", 2525)
    assert said == {"refused": {}, "noop": 250}
    wait_until(lambda: "Subject: meshed" in mesh.logs("mail-0"), "the mail has arrived")
    assert secured(mesh, "mail-0", 2525) == 1
