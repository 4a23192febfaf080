"""Clients that hold on: streams that are kept open, and requests one after another. Prints lines of JSON.

`held.py grpc|upgrade|bytes HOST PORT` says `open`, then how it ended. `held.py ask HOST PORT PATH...` asks for each
path in turn, for as long as its standard input is open, and prints each answer that differs from the one before.
"""

import http.client
import json
import socket
import sys
import threading

import grpc

PATIENCE = 60
CUT_OFF = 502
"""What the client's proxy says of a request that was under way when its permission was taken."""


def say(**what):
    print(json.dumps(what), flush=True)


def grpc_stream(host, port):
    """A call that is answered message by message; another one is sent only when the test says so: never."""
    channel = grpc.insecure_channel(f"{host}:{port}")
    forever = threading.Event()

    def messages():
        yield b"first"
        forever.wait()

    call = channel.stream_stream("/test.Echo/BothStream")(messages())
    try:
        for answer in call:
            say(open=answer.decode())
    except grpc.RpcError as error:
        say(ended=error.code().name)
    else:
        say(ended="in order")
    forever.set()


def upgrade(host, port):
    with socket.create_connection((host, port), PATIENCE) as connection:
        connection.sendall(b"GET /up HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        hold(connection)


def held_bytes(host, port):
    with socket.create_connection((host, port), PATIENCE) as connection:
        connection.sendall(b"?bytes")
        hold(connection)


def hold(connection):
    say(open=connection.recv(65536).decode().split("\r\n")[0])
    connection.settimeout(None)
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        say(ended="reset")
    else:
        say(ended="in order")


def ask(host, port, *paths):
    going = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), going.set()), daemon=True).start()
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    known, asked, cut = {}, 0, 0
    while not going.is_set():
        for path in paths:
            asked += 1
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
            except (http.client.HTTPException, ConnectionError):
                connection.close()
                cut += 1
                continue
            if answer.status == CUT_OFF:
                cut += 1
            elif known.get(path) != answer.status:
                known[path] = answer.status
                say(path=path, status=answer.status)
    say(asked=asked, cut=cut)


if __name__ == "__main__":
    what, host, port, *more = sys.argv[1:]
    {"grpc": grpc_stream, "upgrade": upgrade, "bytes": held_bytes, "ask": ask}[what](host, int(port), *more)
