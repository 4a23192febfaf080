#!/usr/bin/env python3
"""Stands where weft-proxy stands, to see what local mode hands it: prints what it was given and what arrives where.

Ready at once; accepts on the outbound and inbound ports, says the original destination, passes inbound bytes on.
"""

import contextlib
import http.server
import json
import os
import socket
import sys
import threading
from pathlib import Path

SO_ORIGINAL_DST = 80
SO_MARK = 36


def say(**facts: object) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def original_destination(connection: socket.socket) -> tuple[str, int]:
    """Return where the client wanted to go."""
    raw = connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
    return socket.inet_ntoa(raw[4:8]), int.from_bytes(raw[2:4], "big")


def serve(port: int) -> None:
    """Accept for ever, one connection at a time."""
    listener = socket.create_server(("0.0.0.0", port))
    while True:
        connection, _ = listener.accept()
        destination = original_destination(connection)
        say(port=port, destination=f"{destination[0]}:{destination[1]}")
        with connection, contextlib.suppress(OSError):
            if port == 4143:
                pass_on(connection, destination)


def pass_on(connection: socket.socket, destination: tuple[str, int]) -> None:
    """Carry one request and its answer, with the mark."""
    with socket.socket() as onward:
        onward.setsockopt(socket.SOL_SOCKET, SO_MARK, int(os.environ["WEFT_PROXY_MARK"]))
        onward.connect(destination)
        onward.sendall(connection.recv(65536))
        while data := onward.recv(65536):
            connection.sendall(data)


class Admin(http.server.BaseHTTPRequestHandler):
    """Answers /ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "6")
        self.end_headers()
        self.wfile.write(b"ready\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


settings = {name: value for name, value in os.environ.items() if name.startswith(("LINKERD2_", "WEFT_"))}
token = Path(settings["LINKERD2_PROXY_IDENTITY_TOKEN_FILE"]).read_text()
status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
say(settings=settings, token=token, capabilities=status["CapEff"])
for number in (4140, 4143):
    threading.Thread(target=serve, args=(number,), daemon=True).start()
http.server.ThreadingHTTPServer(("0.0.0.0", 4191), Admin).serve_forever()
