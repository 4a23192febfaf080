"""A host with a network of its own, for `weft up` to run on: a server at 203.0.113.80, and a name server that knows it.

Run as the first program of new network and mount namespaces, in which it may do as it likes. Its argument is a file
that becomes /etc/resolv.conf here. Says `ready` when others may come.
"""

import http.server
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset

SERVER, NAMES = "203.0.113.80", "203.0.113.53"
NAME = "outside.example."
LINKS = f"""
link set lo up
link add uplink type veth peer name other
link set uplink up
link set other up
addr add 192.0.2.1/24 dev uplink
route add default via 192.0.2.254
addr add {SERVER}/24 dev other
addr add {NAMES}/24 dev other
"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"outside, asked by {self.client_address[0]}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def answer(data: bytes) -> bytes:
    query = dns.message.from_wire(data)
    reply = dns.message.make_response(query)
    question = query.question[0]
    if question.name.to_text().lower() != NAME:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif question.rdtype == 1:
        reply.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", "A", [SERVER]))
    return reply.to_wire()


class ByTcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while head := self.rfile.read(2):
            reply = answer(self.rfile.read(struct.unpack("!H", head)[0]))
            self.wfile.write(struct.pack("!H", len(reply)) + reply)


class ByUdp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, ours = self.request
        ours.sendto(answer(data), self.client_address)


def serve(server: socketserver.BaseServer) -> None:
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    subprocess.run(["ip", "-batch", "-"], input=LINKS, text=True, check=True)
    resolv = Path(sys.argv[1])
    resolv.write_text(f"nameserver {NAMES}\n")
    subprocess.run(["mount", "--bind", str(resolv), "/etc/resolv.conf"], check=True)
    serve(http.server.ThreadingHTTPServer((SERVER, 80), Page))
    serve(socketserver.ThreadingTCPServer((NAMES, 53), ByTcp))
    serve(socketserver.ThreadingUDPServer((NAMES, 53), ByUdp))
    echo = socket.create_server((SERVER, 7))
    print("ready", flush=True)
    while True:
        connection, _ = echo.accept()
        with connection:
            connection.sendall(b"heard " + connection.recv(100))


main()
