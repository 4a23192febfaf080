"""Calls a gRPC service over one connection until its standard input ends, then says what came of it.

Arguments: the target, how many calls at a time, and (optional) after how many calls to stop by itself.
Prints "calling" when the first call has been answered, and at the end one line of JSON: calls, failures with the first
few reasons, calls by replica, and when (CLOCK_MONOTONIC) each replica answered first.
"""

import collections
import json
import sys
import threading
import time

import grpc

DEADLINE_SECONDS = 20
REASONS = 5


class Load:
    def __init__(self, target, limit):
        self.limit = limit
        self.begun = 0
        self.failed = []
        self.replicas = collections.Counter()
        self.first = {}
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.channel = grpc.insecure_channel(target)
        self.call = self.channel.unary_unary("/test.Echo/Unary")

    def run(self):
        while not self.stop.is_set():
            with self.lock:
                if self.begun == self.limit:
                    return
                self.begun += 1
            try:
                _, ended = self.call.with_call(b"load", timeout=DEADLINE_SECONDS, wait_for_ready=False)
            except grpc.RpcError as error:
                with self.lock:
                    self.failed.append(f"{error.code().name}: {error.details()}")
                continue
            replica = dict(ended.trailing_metadata())["x-replica"]
            with self.lock:
                self.replicas[replica] += 1
                if replica not in self.first:
                    if not self.first:
                        print("calling", flush=True)
                    self.first[replica] = time.monotonic()


def main():
    target, concurrency = sys.argv[1], int(sys.argv[2])
    load = Load(target, int(sys.argv[3]) if len(sys.argv) > 3 else None)
    threads = [threading.Thread(target=load.run) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    if load.limit is None:
        sys.stdin.read()
        load.stop.set()
    for thread in threads:
        thread.join()
    said = {"calls": load.begun, "failed": len(load.failed), "reasons": load.failed[:REASONS]}
    print(json.dumps(said | {"replicas": load.replicas, "first": load.first}), flush=True)


if __name__ == "__main__":
    main()
