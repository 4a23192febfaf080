"""Streams of a known pattern over opaque TCP, HTTP/1.1 and gRPC, checked byte for byte where they arrive.

`streams.py serve`, or `streams.py opaque|http|grpc|steady|queue HOST '{"up": BYTES, "down": BYTES, "pause": SECONDS}'`.
A reader stops for `pause` seconds in front of its block number PAUSE_AT. Prints what either side saw as JSON.
"""

import http.client
import http.server
import json
import random
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

BLOCK = 1 << 18
FILLING = random.Random(7).randbytes(BLOCK - 8)
PAUSE_AT = 64
GRPC, HTTP, OPAQUE = 8080, 8081, 8082
OPTIONS = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
BEAT_SECONDS = 0.02
WAIT_SECONDS = 0.1


def block(number):
    """A block says where in the stream it belongs, so that one that is lost, doubled or moved is found."""
    return number.to_bytes(8, "big") + FILLING


class Sending:
    """What a sender saw: how much was taken from it, and how long it had to wait for that, in how many waits."""

    def __init__(self, size):
        self.size, self.sent = size, 0
        self.stood, self.waits = 0.0, 0

    def blocks(self):
        last = time.monotonic()
        for number in range(self.size // BLOCK):
            yield block(number)
            now = time.monotonic()
            # The kernel makes a little room now and then while nobody reads, so that one stop may be several waits.
            if now - last > WAIT_SECONDS:
                self.stood, self.waits = self.stood + now - last, self.waits + 1
            self.sent, last = self.sent + BLOCK, now

    def said(self):
        return {"sent": self.sent, "stood": self.stood, "waits": self.waits}


class Receiving:
    """Compares with the pattern. `wrong` is the first block that is not what was sent."""

    def __init__(self, pause):
        self.pause, self.number, self.wrong = pause, 0, None

    def take(self, data):
        if self.number == PAUSE_AT and self.pause:
            time.sleep(self.pause)
        if data != block(self.number) and self.wrong is None:
            self.wrong = self.number
        self.number += 1

    def read(self, reader, size):
        data = bytearray(BLOCK)
        while self.number < size // BLOCK and reader.readinto(data) == BLOCK:
            self.take(data)
        return self

    def said(self):
        return {"received": self.number * BLOCK, "wrong": self.wrong}


def send_all(connection, sending):
    for data in sending.blocks():
        connection.sendall(data)


# --- opaque: a line that says what is wanted, both streams at once, a line that says what the server saw --------------


def serve_opaque():
    listener = socket.create_server(("0.0.0.0", OPAQUE))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=converse, args=(connection,), daemon=True).start()


def converse(connection):
    with connection, connection.makefile("rb", BLOCK) as reader:
        asked = json.loads(reader.readline())
        sending = Sending(asked["down"])
        sender = threading.Thread(target=send_all, args=(connection, sending))
        sender.start()
        receiving = Receiving(asked["pause"]).read(reader, asked["up"])
        ended = reader.read(1) == b""
        sender.join()
        connection.sendall(json.dumps(sending.said() | receiving.said() | {"ended": ended}).encode())


def opaque(host, asked):
    connection = socket.create_connection((host, OPAQUE))
    connection.sendall(json.dumps(asked).encode() + b"\n")
    sending = Sending(asked["up"])

    def send():
        send_all(connection, sending)
        connection.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    reader = connection.makefile("rb", BLOCK)
    receiving = Receiving(asked["pause"]).read(reader, asked["down"])
    server = json.loads(reader.read())
    sender.join()
    return {"client": sending.said() | receiving.said(), "server": server}


# --- HTTP/1.1: an upload and a download, each on a connection of its own, at once -------------------------------------


class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        receiving = Receiving(float(self.headers["x-pause"]))
        receiving.read(self.rfile, int(self.headers["content-length"]))
        said = json.dumps(receiving.said()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def do_GET(self):
        """Answers in chunks; the last one says how the sending went."""
        sending = Sending(int(self.headers["x-size"]))
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for data in sending.blocks():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        said = json.dumps(sending.said()).encode()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(said), said))

    def log_message(self, *_):
        pass


def http_1(host, asked):
    sending, receiving = Sending(asked["up"]), Receiving(asked["pause"])

    def upload():
        connection = http.client.HTTPConnection(host, HTTP)
        headers = {"content-length": str(asked["up"]), "x-pause": str(asked["pause"])}
        connection.request("PUT", "/", body=sending.blocks(), headers=headers)
        return json.loads(connection.getresponse().read())

    def download():
        connection = http.client.HTTPConnection(host, HTTP)
        connection.request("GET", "/", headers={"x-size": str(asked["down"])})
        answer = connection.getresponse()
        receiving.read(answer, asked["down"])
        return json.loads(answer.read())

    with ThreadPoolExecutor() as pool:
        up, down = pool.submit(upload), pool.submit(download)
        server = up.result() | down.result()
    return {"client": sending.said() | receiving.said(), "server": server}


def queue(host, asked):
    """`count` downloads of `down` bytes, all asked for at once and read one behind the other, the last one first."""
    answers = []
    for _ in range(asked["count"]):
        connection = http.client.HTTPConnection(host, HTTP)
        connection.request("GET", "/", headers={"x-size": str(asked["down"])})
        answers.append(connection.getresponse())
    received = []
    for answer in reversed(answers):
        receiving = Receiving(0.0).read(answer, asked["down"])
        answer.read()
        received.append(receiving.said())
    return received


# --- gRPC: one stream, both ways at once; the trailers say what the server saw ----------------------------------------


def both(requests, context):
    asked = json.loads(dict(context.invocation_metadata())["asked"])
    sending, receiving = Sending(asked["down"]), Receiving(asked["pause"])

    def take():
        for request in requests:
            receiving.take(request)

    taker = threading.Thread(target=take)
    taker.start()
    yield from sending.blocks()
    taker.join()
    context.set_trailing_metadata((("said", json.dumps(sending.said() | receiving.said())),))


def echo(requests, context):
    yield from requests


def grpc_both(host, asked):
    sending, receiving = Sending(asked["up"]), Receiving(asked["pause"])
    with grpc.insecure_channel(f"{host}:{GRPC}", options=OPTIONS) as channel:
        call = channel.stream_stream("/test.Streams/Both")(sending.blocks(), metadata=(("asked", json.dumps(asked)),))
        for data in call:
            receiving.take(data)
        server = json.loads(dict(call.trailing_metadata())["said"])
    return {"client": sending.said() | receiving.said(), "server": server}


def steady(host, asked):
    """One stream for `seconds`: a message at every beat, which comes back before the next one leaves."""
    until = time.monotonic() + asked["seconds"]
    echoed = threading.Semaphore(0)

    def messages():
        number = 0
        while time.monotonic() < until:
            yield str(number).encode()
            echoed.acquire()
            time.sleep(BEAT_SECONDS)
            number += 1

    count = 0
    with grpc.insecure_channel(f"{host}:{GRPC}", options=OPTIONS) as channel:
        call = channel.stream_stream("/test.Streams/Echo")(messages())
        for answer in call:
            if answer != str(count).encode():
                return {"count": count, "wrong": answer.decode()}
            count += 1
            echoed.release()
        return {"count": count, "wrong": None, "code": call.code().name}


def serve():
    threading.Thread(target=serve_opaque, daemon=True).start()
    web = http.server.ThreadingHTTPServer(("0.0.0.0", HTTP), Http)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=OPTIONS)
    methods = {"Both": grpc.stream_stream_rpc_method_handler(both), "Echo": grpc.stream_stream_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Streams", methods),))
    server.add_insecure_port(f"0.0.0.0:{GRPC}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    what, *more = sys.argv[1:]
    if what == "serve":
        serve()
    else:
        client = {"opaque": opaque, "http": http_1, "grpc": grpc_both, "steady": steady, "queue": queue}[what]
        print(json.dumps(client(more[0], json.loads(more[1]))))
