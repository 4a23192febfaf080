"""Asks a server all the time, until its standard input ends: HTTP over kept connections, and plain TCP, each time anew.

Arguments: host, HTTP port and threads, port of the server that speaks first and threads. Prints "calling" when both
were answered once, and at the end one line of JSON: for each kind how many were answered, how many were not and why.
Every plain connection is one handshake between the proxies, so the threads for it pause between two.
"""

import http.client
import json
import socket
import sys
import threading

TIMEOUT_SECONDS = 20
PAUSE_SECONDS = 0.02
REASONS = 5


class Kind:
    def __init__(self, ask):
        self.ask = ask
        self.answered = 0
        self.failed = []
        self.lock = threading.Lock()
        self.first = threading.Event()

    def run(self, stop):
        kept = {}
        while not stop.is_set():
            try:
                self.ask(kept, stop)
            except (OSError, http.client.HTTPException, ValueError) as error:
                kept.clear()
                with self.lock:
                    self.failed.append(repr(error))
            else:
                with self.lock:
                    self.answered += 1
                self.first.set()

    def said(self):
        return {"answered": self.answered, "failed": len(self.failed), "reasons": self.failed[:REASONS]}


def get(host, port):
    def ask(kept, _stop):
        if "connection" not in kept:
            kept["connection"] = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        kept["connection"].request("GET", "/steady")
        answer = kept["connection"].getresponse()
        answer.read()
        if answer.status != 200:
            raise ValueError(f"{answer.status} {answer.getheader('l5d-proxy-error')}")

    return ask


def talk(host, port):
    def ask(_kept, stop):
        with socket.create_connection((host, port), timeout=TIMEOUT_SECONDS) as connection:
            said = connection.makefile("rb")
            if not said.readline().startswith(b"220"):
                raise ValueError("no greeting")
            connection.sendall(b"steady\n")
            if said.readline() != b"250 hello steady\n":
                raise ValueError("no answer")
        stop.wait(PAUSE_SECONDS)

    return ask


def main():
    host, http_port, http_threads, tcp_port, tcp_threads = sys.argv[1], *map(int, sys.argv[2:])
    kinds = {"http": (Kind(get(host, http_port)), http_threads), "tcp": (Kind(talk(host, tcp_port)), tcp_threads)}
    stop = threading.Event()
    threads = [threading.Thread(target=kind.run, args=(stop,)) for kind, count in kinds.values() for _ in range(count)]
    for thread in threads:
        thread.start()
    for kind, _ in kinds.values():
        kind.first.wait()
    print("calling", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({name: kind.said() for name, (kind, _) in kinds.items()}), flush=True)


if __name__ == "__main__":
    main()
