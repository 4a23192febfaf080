"""Poller: asks for the price of linen again and again, though it hardly ever changes.

The client that calls far too often: RATE calls a second to one method, over one connection, one at a time.
"""

import os
import signal
import sys
import time

import grpc
import loom_pb2
import loom_pb2_grpc


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    period = 1 / float(os.environ.get("RATE", "200"))
    with grpc.insecure_channel(os.environ.get("PRICES_ADDR", "prices:8080")) as channel:
        prices = loom_pb2_grpc.PricesStub(channel)
        due = time.monotonic()
        while True:
            try:
                prices.Quote(loom_pb2.QuoteRequest(cloth="linen", yards=1), timeout=2, wait_for_ready=True)
            except grpc.RpcError as error:
                print(f"prices: {error.code().name}: {error.details()}", flush=True)
            # A late call does not make the next ones catch up: that would be a burst.
            due = max(due + period, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
