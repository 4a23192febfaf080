"""Prices: what a yard of cloth costs. A plain gRPC server.

It never talks to another service. The replica named by FAULTY (say `prices-2`) fails FAULT_RATE of its Discount calls:
the fault that the tables are to find.
"""

import os
import random
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import grpc
import loom_pb2
import loom_pb2_grpc

CENTS_PER_YARD = {"linen": 1290, "wool": 2150, "felt": 640, "silk": 4900}
REPLICA = os.environ.get("HOSTNAME") or socket.gethostname()


class Prices(loom_pb2_grpc.PricesServicer):
    """Answers both methods from the table above."""

    def __init__(self, fault_rate: float) -> None:
        self.fault_rate = fault_rate

    def Quote(self, request, context):
        return loom_pb2.Price(cents=_cents(request, context), served_by=REPLICA)

    def Discount(self, request, context):
        if random.random() < self.fault_rate:
            context.abort(grpc.StatusCode.INTERNAL, f"{REPLICA}: the discount table is torn")
        return loom_pb2.Price(cents=_cents(request, context) * 9 // 10, served_by=REPLICA)


def _cents(request, context) -> int:
    if request.cloth not in CENTS_PER_YARD:
        context.abort(grpc.StatusCode.NOT_FOUND, f"no cloth named {request.cloth!r}")
    return CENTS_PER_YARD[request.cloth] * request.yards


def main() -> None:
    fault_rate = float(os.environ.get("FAULT_RATE", "0.3")) if os.environ.get("FAULTY") == REPLICA else 0.0
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)])
    loom_pb2_grpc.add_PricesServicer_to_server(Prices(fault_rate), server)
    server.add_insecure_port(f"0.0.0.0:{os.environ.get('PORT', '8080')}")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=2))
    server.wait_for_termination()


if __name__ == "__main__":
    main()
