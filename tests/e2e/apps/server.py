"""Everything that tests call, in one process: gRPC of all kinds, HTTP/1.1, an upgrade, and plain TCP.

An application that knows nothing of a mesh. Messages of gRPC are plain bytes, so that it needs no generated code.
"""

import collections
import http.server
import json
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

REPLICA = os.environ["HOSTNAME"]
LISTEN = os.environ.get("LISTEN", "0.0.0.0")  # or ::, which takes both families, or `own6`, the replica's IPv6 address
GRPC, HTTP, SPEAKS_FIRST, HALF_CLOSE = 8080, 8081, 8082, 8083
ADDRESS = socket.getaddrinfo(REPLICA, None, socket.AF_INET6)[0][4][0] if LISTEN == "own6" else LISTEN
ended_early = threading.Semaphore(0)
attempts = collections.Counter()


def about(context):
    """Who answered, and whom the mesh says it was that asked."""
    return dict(context.invocation_metadata()) | {"replica": REPLICA}


def unary(request, context):
    context.set_trailing_metadata((("x-replica", REPLICA), ("x-client", about(context).get("l5d-client-id", ""))))
    return request


def server_stream(request, context):
    asked = json.loads(request)
    for _ in range(asked["count"]):
        yield b"x" * asked["size"]
    context.set_trailing_metadata((("x-count", str(asked["count"])),))


def client_stream(requests, context):
    return json.dumps([len(request) for request in requests]).encode()


def both_stream(requests, context):
    yield from requests


def fail(request, context):
    context.set_trailing_metadata((("x-why", "asked to"),))
    context.abort(grpc.StatusCode.ABORTED, "as asked: é")


def fail_first(request, context):
    """Fails the first two calls with the same request."""
    attempts[request] += 1
    if attempts[request] <= 2:
        context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
    return b"third"


def begin_and_fail(request, context):
    """Sends a message and then fails, each time."""
    yield b"one"
    context.abort(grpc.StatusCode.UNAVAILABLE, "after all")


def wait(request, context):
    """Waits until the call is given up."""
    given_up = threading.Event()
    context.add_callback(given_up.set)
    yield b"waiting"
    given_up.wait()
    ended_early.release()


def given_up(request, context):
    """Answers when one more call of `wait` has been given up."""
    ended_early.acquire()
    return b"one"


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
    "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
    "BothStream": grpc.stream_stream_rpc_method_handler(both_stream),
    "FailFirst": grpc.unary_unary_rpc_method_handler(fail_first),
    "BeginAndFail": grpc.unary_stream_rpc_method_handler(begin_and_fail),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Wait": grpc.unary_stream_rpc_method_handler(wait),
    "GivenUp": grpc.unary_unary_rpc_method_handler(given_up),
}


class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("upgrade") == "echo":
            self.send_response(101)
            self.send_header("connection", "upgrade")
            self.send_header("upgrade", "echo")
            self.end_headers()
            while data := self.connection.recv(65536):
                self.connection.sendall(data)
            self.close_connection = True
            return
        said = {"headers": {name.lower(): value for name, value in self.headers.items()}, "path": self.path}
        body = json.dumps(said | {"replica": REPLICA, "connection": self.client_address[1]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        """Sends a chunked body back, in the chunks in which it came."""
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while size := int(self.rfile.readline(), 16):
            self.wfile.write(b"%x\r\n%s\r\n" % (size, self.rfile.read(size)))
            self.rfile.readline()
        self.rfile.readline()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


def speak_first(connection):
    connection.sendall(b"220 who are you?\n")
    name = connection.makefile("rb").readline()
    connection.sendall(b"250 hello " + name)


def answer_after_the_end(connection):
    got = b""
    while data := connection.recv(65536):
        got += data
    connection.sendall(b"%d bytes: " % len(got) + got[::-1])


def server_socket(port):
    if ":" in ADDRESS:
        return socket.create_server((ADDRESS, port), family=socket.AF_INET6, dualstack_ipv6=ADDRESS == "::")
    return socket.create_server((ADDRESS, port))


def listen(port, talk):
    def serve():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=converse, args=(connection,), daemon=True).start()

    def converse(connection):
        with connection:
            talk(connection)

    listener = server_socket(port)
    threading.Thread(target=serve, daemon=True).start()


def main():
    listen(SPEAKS_FIRST, speak_first)
    listen(HALF_CLOSE, answer_after_the_end)
    web = http.server.ThreadingHTTPServer((ADDRESS, HTTP), Http, bind_and_activate=False)
    web.socket = server_socket(HTTP)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(max_workers=32), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", METHODS),))
    server.add_insecure_port(f"[{ADDRESS}]:{GRPC}" if ":" in ADDRESS else f"{ADDRESS}:{GRPC}")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=2))
    server.wait_for_termination()


if __name__ == "__main__":
    main()
