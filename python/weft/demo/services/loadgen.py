"""Loadgen: the shop's customers, all behind one gRPC connection to each service.

First CALLS calls of Prices.Quote, CONCURRENCY at a time, over one connection; then one line of JSON on standard output
that says which replica answered how many. After that an open loop until it is stopped: a call starts when it is due,
whether or not earlier ones have been answered. It prints nothing more than one line of counts every ten seconds.
"""

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections import Counter
from contextlib import suppress

import grpc
import loom_pb2
import loom_pb2_grpc

CALLS = int(os.environ.get("CALLS", "3000"))
CONCURRENCY = int(os.environ.get("CONCURRENCY", "8"))
RATE = float(os.environ.get("RATE", "16"))
PRICES = os.environ.get("PRICES_ADDR", "prices:8080")
ORDERS = os.environ.get("ORDERS_ADDR", "orders:8080")
WEB = os.environ.get("WEB_ADDR", "web:8080")
CLOTHS = ("linen", "wool", "felt", "silk")
# Of every eight calls: five discounts, two orders, one look at the front page.
MIX = ("discount", "order", "discount", "page", "discount", "order", "discount", "discount")
MOST_IN_FLIGHT = 256
REPORT_EVERY_SECONDS = 10


async def count_replicas(prices) -> None:
    """Makes CALLS calls, CONCURRENCY at a time, and reports which replica answered each."""
    replicas: Counter[str] = Counter()
    failed = 0
    numbers = iter(range(CALLS))

    async def caller() -> None:
        nonlocal failed
        for number in numbers:
            request = loom_pb2.QuoteRequest(cloth=CLOTHS[number % len(CLOTHS)], yards=1)
            try:
                price = await prices.Quote(request, timeout=10, wait_for_ready=True)
                replicas[price.served_by] += 1
            except grpc.aio.AioRpcError:
                failed += 1

    # The connection is opened, and everything between here and there warmed up, before the clock starts.
    await prices.Quote(loom_pb2.QuoteRequest(cloth="linen", yards=1), timeout=30, wait_for_ready=True)
    started = time.monotonic()
    async with asyncio.TaskGroup() as callers:
        for _ in range(CONCURRENCY):
            callers.create_task(caller())
    _say(
        event="balance",
        calls=CALLS,
        concurrency=CONCURRENCY,
        failed=failed,
        replicas=dict(sorted(replicas.items())),
        seconds=round(time.monotonic() - started, 2),
    )


async def keep_calling(prices, orders) -> None:
    """The open loop. At most MOST_IN_FLIGHT calls are under way; what is due beyond that is counted as dropped."""
    seen: Counter[str] = Counter()
    under_way: set[asyncio.Task[None]] = set()

    async def one(kind: str, number: int) -> None:
        cloth = CLOTHS[number // len(MIX) % len(CLOTHS)]
        try:
            if kind == "discount":
                request = loom_pb2.DiscountRequest(cloth=cloth, yards=2, customer="ada")
                await prices.Discount(request, timeout=5)
            elif kind == "order":
                await orders.Place(loom_pb2.PlaceRequest(cloth=cloth, yards=3), timeout=5)
            else:
                await asyncio.to_thread(_fetch, f"http://{WEB}/")
            seen[f"{kind} ok"] += 1
        except (grpc.aio.AioRpcError, OSError):
            seen[f"{kind} failed"] += 1

    number, due = 0, time.monotonic()
    report_at = due + REPORT_EVERY_SECONDS
    while True:
        if len(under_way) < MOST_IN_FLIGHT:
            task = asyncio.create_task(one(MIX[number % len(MIX)], number), name=f"call-{number}")
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        else:
            seen["dropped"] += 1
        if time.monotonic() >= report_at:
            _say(event="load", **dict(sorted(seen.items())))
            report_at += REPORT_EVERY_SECONDS
        number, due = number + 1, due + 1 / RATE
        await asyncio.sleep(max(0.0, due - time.monotonic()))


def _fetch(address: str) -> None:
    with urllib.request.urlopen(address, timeout=5) as page:
        page.read()


def _say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


async def main() -> None:
    whole = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, whole.cancel)
    async with grpc.aio.insecure_channel(PRICES) as to_prices, grpc.aio.insecure_channel(ORDERS) as to_orders:
        prices = loom_pb2_grpc.PricesStub(to_prices)
        await count_replicas(prices)
        await keep_calling(prices, loom_pb2_grpc.OrdersStub(to_orders))


if __name__ == "__main__":
    with suppress(asyncio.CancelledError):
        asyncio.run(main())
