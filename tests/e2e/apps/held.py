"""Clients that hold on: streams that are kept open, and requests one after another. Prints lines of JSON.

`held.py grpc|upgrade|bytes HOST PORT` says `open`, then how it ended; with `again` behind it, it opens another as soon
as it may, for ever. `held.py ask HOST PORT PATH...` asks for each path in turn, for as long as its standard input is
open, and prints each answer that differs from the one before, with the moment (`at`, monotonic) its request began.
"""

import http.client
import json
import socket
import sys
import threading
import time

import grpc

PATIENCE = 60
TRY_AGAIN = 0.02
CUT_OFF = 502
"""What the client's proxy says of a request that was under way when its permission was taken."""


def say(**what):
    print(json.dumps(what), flush=True)


def grpc_stream(host, port):
    """A call that is answered message by message; another one is sent only when the test says so: never."""
    forever = threading.Event()

    def messages():
        yield b"first"
        forever.wait()

    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            for answer in channel.stream_stream("/test.Echo/BothStream")(messages(), timeout=PATIENCE):
                yield "open", answer.decode()
        except grpc.RpcError as error:
            yield "ended", error.code().name
        else:
            yield "ended", "in order"
        finally:
            forever.set()


def upgrade(host, port):
    asked = b"GET /up HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"
    yield from hold(host, port, asked, b"HTTP/1.1 101")


def held_bytes(host, port):
    yield from hold(host, port, b"?bytes", b"?bytes")


def hold(host, port, asked, wanted):
    try:
        with socket.create_connection((host, port), PATIENCE) as connection:
            connection.sendall(asked)
            if not (said := connection.recv(65536)).startswith(wanted):
                return
            yield "open", said.decode().split("\r\n")[0]
            while connection.recv(65536):
                pass
    except ConnectionResetError:
        yield "ended", "reset"
    except TimeoutError:
        yield "ended", "still open"
    else:
        yield "ended", "in order"


def held(kind, host, port, *again):
    while True:
        opened = False
        for what, words in HELD[kind](host, port):
            opened = opened or what == "open"
            if opened or not again:
                say(**{what: words}, at=time.monotonic())
        if not again:
            return
        if not opened:
            time.sleep(TRY_AGAIN)  # refused: nothing tells when it is granted again but the next attempt


def ask(host, port, *paths):
    going = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), going.set()), daemon=True).start()
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    known, asked, cut = {}, 0, 0
    while not going.is_set():
        for path in paths:
            asked += 1
            began = time.monotonic()
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
                say(path=path, status=answer.status, at=began)
    say(asked=asked, cut=cut)


HELD = {"grpc": grpc_stream, "upgrade": upgrade, "bytes": held_bytes}

if __name__ == "__main__":
    what, host, port, *more = sys.argv[1:]
    if what == "ask":
        ask(host, int(port), *more)
    else:
        held(what, host, int(port), *more)
