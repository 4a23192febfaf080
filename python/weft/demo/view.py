"""How the demo looks: headings, bars, tables and remarks, in colour on a terminal and as plain lines elsewhere.

Lays out values that it is given; decides nothing and reads nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table
from rich.text import Text

from weft.demo.verdict import Balance, Edge, Method

PLAIN_WIDTH = 110
BAR_WIDTH = 36
INDENT = 2
# bar, step, good, notice, bad
UNICODE = ("█", "·", "✓", "→", "✗")
ASCII = ("#", "-", "ok", "->", "!!")


class View:
    """The demo's page, written from top to bottom."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=False)
        if not self._console.is_terminal:
            self._console.width = PLAIN_WIDTH
        signs = UNICODE if (self._console.encoding or "").lower().startswith("utf") else ASCII
        self._bar, self._dot, self._good, self._notice, self._bad = signs

    def title(self, what: str, about: str) -> None:
        """The first line of the page."""
        self._console.print(Text.assemble((what, "bold"), f"  {about}"))

    def heading(self, what: str, about: str = "") -> None:
        """Begins a part of the page."""
        self._console.print()
        self._console.print(Text.assemble((what, "bold cyan"), (f"  {about}" if about else "", "dim")))

    def step(self, what: str) -> None:
        """One thing that was done on the way."""
        self._console.print(Text(f"{' ' * INDENT}{self._dot} {what}", style="dim"))

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Says what takes its time: a spinner that goes again, or a line."""
        if self._console.is_terminal:
            with self._console.status(Text(what, style="dim"), spinner="dots"):
                yield
        else:
            self.step(what)
            yield

    def good(self, what: str) -> None:
        """A remark that all is as it should be."""
        self._remark(self._good, "green", what)

    def notice(self, what: str) -> None:
        """Something the reader is to see."""
        self._remark(self._notice, "yellow", what)

    def bad(self, what: str) -> None:
        """Something that is not as it should be."""
        self._remark(self._bad, "bold red", what)

    def spread(self, counted: Balance, replicas: Sequence[str]) -> None:
        """One bar for each replica."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column()
        grid.add_column(width=BAR_WIDTH)
        grid.add_column(justify="right")
        grid.add_column(justify="right")
        for name in replicas:
            share = counted.share(name)
            bar = Text(self._bar * round(BAR_WIDTH * share / 100), style="cyan")
            grid.add_row(name, bar, f"{counted.replicas.get(name, 0):,}", f"{share:.0f} %")
        self._indented(grid)

    def edges(self, edges: Iterable[Edge]) -> None:
        """Who talks to whom, with identities in their short form."""
        table = _table("CLIENT", "SERVER", "SECURED", "CLIENT IDENTITY", "SERVER IDENTITY")
        for edge in edges:
            secured = Text("mutual TLS", style="green") if edge.secured else Text("no", style="red")
            table.add_row(edge.src, edge.dst, secured, _short(edge.client_id), _short(edge.server_id))
        self._indented(table)

    def methods(self, methods: Iterable[Method], marked: Iterable[str]) -> None:
        """What succeeds, and how fast; the routes in `marked` stand out."""
        table = _table("METHOD", "SUCCESS", "RPS", "P99")
        for column in table.columns[1:]:
            column.justify = "right"
        ill = set(marked)
        for method in methods:
            table.add_row(
                method.route,
                _percent(method.success),
                f"{method.rps:.1f}" if method.rps is not None else "-",
                f"{method.p99:.0f} ms" if method.p99 is not None else "-",
                style="yellow" if method.route in ill else None,
            )
        self._indented(table)

    def hints(self, hints: Mapping[str, str]) -> None:
        """Commands to try, each with what it shows."""
        grid = Table.grid(padding=(0, 3, 0, 0))
        for command, shows in hints.items():
            grid.add_row(Text(command, style="bold"), Text(shows, style="dim"))
        self._indented(grid)

    def _remark(self, sign: str, style: str, what: str) -> None:
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_row(Text(sign, style=style), Text(what))
        self._indented(grid)

    def _indented(self, table: Table) -> None:
        outer = Table.grid(padding=0)
        outer.add_row(" " * INDENT, table)
        with self._console.capture() as captured:
            self._console.print(outer)
        # Cells are padded to their column's width; the last one need not be.
        for line in captured.get().splitlines():
            self._console.out(line.rstrip(), highlight=False)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _short(identity: str) -> str:
    account, dot, _ = identity.partition(".serviceaccount.identity.")
    return account if dot else identity or "-"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f} %"
