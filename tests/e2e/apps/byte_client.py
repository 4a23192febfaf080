"""Conversations of plain bytes. The first argument says which, then host and port; prints what came as JSON."""

import json
import smtplib
import socket
import ssl
import struct
import sys

PATIENCE = 30
# Less than the ten seconds for which a proxy looks for a protocol.
AT_ONCE = 8
# No method of HTTP begins so: the first byte settles what this is.
NO_HTTP = b"?bytes"


def connect(host, port, patience=PATIENCE):
    return socket.create_connection((host, port), patience)


def seen(host, port):
    return {"seen": json.loads(connect(host, port).makefile("rb").read())}


def speaks_first(host, port):
    with connect(host, port, AT_ONCE) as connection:
        stream = connection.makefile("rwb", buffering=0)
        banner = stream.readline()
        stream.write(b"test\n")
        return {"banner": banner.decode(), "answer": stream.readline().decode()}


def hear_the_end_first(host, port):
    with connect(host, port) as connection:
        said = connection.makefile("rb").read()
        connection.sendall(b"still here")
        return {"said": said.decode()}


def is_reset(host, port):
    with connect(host, port) as connection:
        connection.sendall(b"?")
        return {"end": ending(connection)}


def is_reset_late(host, port):
    """Says that the connection carries bytes, then how it ended."""
    with connect(host, port, None) as connection:
        connection.sendall(b"?")
        connection.recv(1)
        print("connected", flush=True)
        return {"end": ending(connection)}


def ending(connection):
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        return "reset"
    return "in order"


def resets(host, port):
    connection = connect(host, port)
    connection.sendall(b"?")
    heard = connection.makefile("rb").readline()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return {"heard": heard.decode()}


def secured(host, port, name):
    context = ssl.create_default_context(cafile="tls.pem")
    with context.wrap_socket(connect(host, port), server_hostname=name) as connection:
        connection.sendall(b"secret")
        return {"same": connection.recv(6) == b"secret", "names": connection.getpeercert()["subjectAltName"]}


def proxy_protocol(host, port):
    """Both versions of the PROXY protocol, and a request behind them that no proxy may answer or change."""
    request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
    first = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n"
    second = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x03\xe8\x00\x50"
    same = []
    for header in (first, second):
        with connect(host, port) as connection:
            connection.sendall(header + request)
            connection.shutdown(socket.SHUT_WR)
            same.append(connection.makefile("rb").read() == header + request)
    return {"same": same}


def echo(host, port):
    with connect(host, port) as connection:
        connection.sendall(NO_HTTP)
        return {"same": connection.recv(len(NO_HTTP)) == NO_HTTP}


def mail(host, port):
    with smtplib.SMTP(host, port, timeout=PATIENCE) as server:
        refused = server.sendmail("a@mesh.example", ["b@mesh.example"], "Subject: meshed\r\n\r\nHello.\r\n")
        return {"refused": refused, "noop": server.noop()[0]}


def idle(host, port, seconds):
    """Says something, is silent for so many seconds, and says something again."""
    with connect(host, port, None) as connection:
        connection.sendall(NO_HTTP)
        before = connection.recv(len(NO_HTTP))
        connection.settimeout(float(seconds))
        try:
            early = connection.recv(1)
        except TimeoutError:
            early = None
        connection.settimeout(PATIENCE)
        connection.sendall(b"after")
        return {"same": (before, early, connection.recv(5)) == (NO_HTTP, None, b"after")}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](sys.argv[2], int(sys.argv[3]), *sys.argv[4:])))
