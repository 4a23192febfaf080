"""Servers of plain bytes, one to a port, and what they have seen: an application that knows nothing of a mesh."""

import json
import socket
import ssl
import struct
import sys
import threading
from pathlib import Path

SEEN = []


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def tell(connection):
    """Says what the other servers have seen so far."""
    connection.sendall(json.dumps(SEEN).encode())


def speak_first(connection):
    connection.sendall(b"220 who are you?\n")
    name = connection.makefile("rb").readline()
    connection.sendall(b"250 hello " + name)


def end_first(connection):
    """Has said everything before the client begins."""
    connection.sendall(b"all I say")
    connection.shutdown(socket.SHUT_WR)
    SEEN.append({"after my end": connection.makefile("rb").read().decode()})


def break_off(connection):
    connection.recv(16)
    reset(connection)


def watch_the_end(connection):
    """Remembers how the client's stream ended."""
    try:
        while connection.recv(65536):
            connection.sendall(b"go on\n")
        SEEN.append({"ended": "in order"})
    except ConnectionResetError:
        SEEN.append({"ended": "reset"})


def send_back(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def send_back_in_tls(connection):
    with TLS.wrap_socket(connection, server_side=True) as secured:
        send_back(secured)


PORTS = {
    9000: tell,
    9001: speak_first,
    9002: end_first,
    9003: break_off,
    9004: watch_the_end,
    9005: send_back_in_tls,
    9006: send_back,
}
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
if Path("tls.pem").exists():
    TLS.load_cert_chain("tls.pem")


def listen(port, talk):
    def converse(connection):
        with connection:
            talk(connection)

    listener = socket.create_server(("0.0.0.0", port))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=converse, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    wanted = [int(port) for port in sys.argv[1:]] or list(PORTS)
    threads = [threading.Thread(target=listen, args=(port, PORTS[port])) for port in wanted]
    for thread in threads:
        thread.start()
