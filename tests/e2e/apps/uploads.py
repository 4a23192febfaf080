"""A web application that says what a body was when it arrived, and can answer with chunks and trailers."""

import hashlib
import http.server
import json


class Uploads(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        digest, size = hashlib.sha256(), 0
        for piece in self.pieces():
            digest.update(piece)
            size += len(piece)
        length = self.headers.get("content-length")
        said = {
            "size": size,
            "sha256": digest.hexdigest(),
            "length": length,
            "coding": self.headers.get("transfer-encoding"),
        }
        self.answer(json.dumps(said | {"trailers": self.trailers, "expect": self.headers.get("expect")}).encode())

    do_POST = do_PUT

    def do_GET(self):
        if self.path != "/trailers":
            return self.answer(self.path.encode())
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("trailer", "x-sum")
        self.end_headers()
        self.wfile.write(b"4\r\nbody\r\n0\r\nx-sum: right\r\n\r\n")
        return None

    def pieces(self):
        self.trailers = {}
        if (length := self.headers.get("content-length")) is not None:
            left = int(length)
            while left and (piece := self.rfile.read(min(left, 65536))):
                left -= len(piece)
                yield piece
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while line := self.rfile.readline().strip():
            name, _, value = line.partition(b":")
            self.trailers[name.decode().lower()] = value.strip().decode()

    def answer(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    # Five waiting connections are the library's default, and more come at once.
    http.server.ThreadingHTTPServer.request_queue_size = 128
    http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Uploads).serve_forever()
