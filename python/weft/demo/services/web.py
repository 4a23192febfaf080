"""Web: the shop's front page over plain HTTP, put together from three gRPC services.

A service that does not answer costs its part of the page and nothing else.
"""

import html
import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from string import Template

import grpc
import loom_pb2
import loom_pb2_grpc

REPLICA = os.environ.get("HOSTNAME") or socket.gethostname()
CLOTHS = ("linen", "wool", "felt", "silk")
TIMEOUT_SECONDS = 2

PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Loom: cloth by the yard</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; color: #23313f; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .5rem }
tr { border-bottom: 1px solid #dde3e8 } small, .away { color: #7a8793 }
</style>
<h1>Loom</h1><p>Cloth by the yard.</p>
<h2>Prices</h2>$prices
<h2>On the shelf</h2>$stock
<h2>Latest orders</h2>$orders
<form method="post" action="/order"><button>Order three yards of linen</button></form>
<p><small>page by $replica</small></p>
</html>
""")


class Shop:
    """One channel to each service, kept for as long as the process lives."""

    def __init__(self) -> None:
        self.prices = loom_pb2_grpc.PricesStub(_channel("prices"))
        self.stock = loom_pb2_grpc.StockStub(_channel("stock"))
        self.orders = loom_pb2_grpc.OrdersStub(_channel("orders"))

    def page(self) -> str:
        """The whole front page."""
        return PAGE.substitute(
            prices=_part(self._price_rows),
            stock=_part(self._stock_rows),
            orders=_part(self._order_rows),
            replica=REPLICA,
        )

    def order(self) -> None:
        """Places one order. Raises grpc.RpcError when it is not taken."""
        self.orders.Place(loom_pb2.PlaceRequest(cloth="linen", yards=3), timeout=TIMEOUT_SECONDS)

    def _price_rows(self):
        for cloth in CLOTHS:
            price = self.prices.Quote(loom_pb2.QuoteRequest(cloth=cloth, yards=1), timeout=TIMEOUT_SECONDS)
            yield cloth, f"{price.cents / 100:.2f}", price.served_by

    def _stock_rows(self):
        for level in self.stock.Levels(loom_pb2.LevelsRequest(), timeout=TIMEOUT_SECONDS):
            yield level.cloth, f"{level.yards} yards", level.served_by

    def _order_rows(self):
        for order in self.orders.Recent(loom_pb2.RecentRequest(), timeout=TIMEOUT_SECONDS).orders:
            yield f"{order.yards} yards of {order.cloth}", f"{order.cents / 100:.2f}", order.served_by


def _channel(service: str) -> grpc.Channel:
    return grpc.insecure_channel(os.environ.get(f"{service.upper()}_ADDR", f"{service}:8080"))


def _part(rows) -> str:
    try:
        cells = "".join(
            f"<tr><td>{html.escape(what)}</td><td>{html.escape(value)}</td><td><small>{html.escape(who)}</small></td></tr>"
            for what, value, who in rows()
        )
    except grpc.RpcError as error:
        return f'<p class="away">Not to be had just now ({html.escape(error.code().name.lower())}).</p>'
    return f"<table>{cells}</table>"


def handler(shop: Shop) -> type[BaseHTTPRequestHandler]:
    """The request handler class for one shop."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/":
                self._answer(200, shop.page())
            else:
                self._answer(404, "Not found\n")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                shop.order()
            except grpc.RpcError as error:
                self._answer(502, f"The order was not taken: {error.details()}\n")
                return
            self.send_response(303)
            self.send_header("Location", "/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _answer(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8" if status == 200 else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """One line per request would drown the log; the mesh counts them."""

    return Handler


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8080"))), handler(Shop()))
    server.serve_forever()


if __name__ == "__main__":
    main()
