"""A client with a certificate that it should not have: mesh TLS straight to a server's proxy, sessions resumed.

`stolen.py ADDRESS NAME CHAIN KEY PORT`: for each line of standard input a connection to the proxy of `NAME`, with
one GET for the application's `PORT`: `new` by a whole handshake, `resume` by the session kept last, `bare` without the
transport header that says which port is meant. Prints one line of JSON: the status and whether the session was really
resumed, or why there was no answer.
"""

import json
import socket
import ssl
import sys

TRANSPORT = "transport.l5d.io/v1"
PROXY_PORT = 4143
PATIENCE = 30


def header(port):
    """The transport header for HTTP/1; ports here have two bytes as protobuf writes them."""
    message = b"\x08" + bytes([port & 0x7F | 0x80, port >> 7]) + b"\x1a\x02\x0a\x00"
    return TRANSPORT.encode() + b"\r\n\r\n" + len(message).to_bytes(4, "big") + message


def ask(context, address, name, header, session):
    with (
        socket.create_connection((address, PROXY_PORT), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=name, session=session) as secured,
    ):
        secured.sendall(header + b"GET / HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n")
        said = b""
        while data := secured.recv(65536):
            said += data
        if not said:
            raise ConnectionResetError("closed without an answer")
        return secured.session, {"status": int(said.split()[1]), "resumed": secured.session_reused}


def main(address, name, chain, key, port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([TRANSPORT])
    context.load_cert_chain(chain, key)
    kept = None
    for line in sys.stdin:
        try:
            meant = b"" if line == "bare\n" else header(int(port))
            kept, said = ask(context, address, name, meant, kept if line == "resume\n" else None)
        except (ssl.SSLError, ConnectionError) as error:
            said = {"error": str(error)}
        print(json.dumps(said), flush=True)


main(*sys.argv[1:])
