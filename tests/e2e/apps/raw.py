"""Conversations over plain sockets. The first argument says which, then host and port; prints what came as JSON."""

import http.client
import json
import socket
import sys

PATIENCE = 30


def keep_alive(host, port):
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    answers = []
    for number in range(3):
        connection.request("GET", f"/{number}", headers={"X-Odd": "Kept", "l5d-client-id": "forged"})
        answers.append(json.loads(connection.getresponse().read()))
    return {"answers": answers, "local": connection.sock is not None}


def chunked(host, port):
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    parts = [b"one", b"two" * 100_000, b"three"]
    connection.request("POST", "/", body=iter(parts), encode_chunked=True, headers={"transfer-encoding": "chunked"})
    answer = connection.getresponse()
    return {"same": answer.read() == b"".join(parts), "encoding": answer.getheader("transfer-encoding")}


def status(host, port):
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    connection.request("GET", sys.argv[4] if len(sys.argv) > 4 else "/")
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return {"status": answer.status, "headers": headers, "body": answer.read().decode()}


def upgrade(host, port):
    with socket.create_connection((host, port), PATIENCE) as connection:
        connection.sendall(b"GET /up HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        stream = connection.makefile("rb")
        head = [stream.readline()]
        while head[-1] not in {b"\r\n", b""}:
            head.append(stream.readline())
        echoes = []
        for message in (b"\x00ping", b"\xffpong"):
            connection.sendall(message)
            echoes.append(stream.read(len(message)) == message)
        connection.shutdown(socket.SHUT_WR)
        return {"head": [line.decode().strip().lower() for line in head], "echoes": echoes, "rest": len(stream.read())}


def speaks_first(host, port):
    with socket.create_connection((host, port), PATIENCE) as connection:
        stream = connection.makefile("rwb", buffering=0)
        banner = stream.readline()
        stream.write(b"test\n")
        return {"banner": banner.decode(), "answer": stream.readline().decode()}


def half_close(host, port):
    sent = b"\x00\x01not HTTP" * 1000
    with socket.create_connection((host, port), PATIENCE) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        got = connection.makefile("rb").read()
    return {"same": got == b"%d bytes: " % len(sent) + sent[::-1]}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](sys.argv[2], int(sys.argv[3]))))
