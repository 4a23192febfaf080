"""Draws figures as an SVG: panels below each other, in each a bar for every peer with the spread of its runs. Pure.

The same records give the same text. Colours follow the reader's light or dark scheme; nothing runs or is fetched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.figures import Record
from bench.goals import OURS
from bench.report import number

_WIDTH = 720
_NAMES = 78
"""Where bars begin: to the left of it stand the peers' names."""
_FIGURES = 250
"""Kept free to the right of the longest bar."""
_TITLE = 30
_ROW = 24
_BAR = 14
_GAP = 14

_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.spread { fill: #59636e; }
rect { fill: #a3aab2; }
rect.ours { fill: #0969da; }
path { stroke: #1f2328; stroke-width: 1.5; fill: none; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.spread { fill: #9198a1; }
rect { fill: #59636e; }
rect.ours { fill: #4493f8; }
path { stroke: #e6edf3; }
}"""


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric of one scenario; a record for each peer, all of the same unit."""

    title: str
    records: Sequence[Record]

    @property
    def height(self) -> int:
        return _TITLE + _ROW * len(self.records) + _GAP


def draw(title: str, panels: Sequence[Panel]) -> str:
    """The whole SVG."""
    height = sum(panel.height for panel in panels) + _GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE}\n</style>",
    ]
    top = _GAP
    for panel in panels:
        lines += _panel(panel, top)
        top += panel.height
    return "\n".join([*lines, "</svg>"]) + "\n"


def _panel(panel: Panel, top: int) -> list[str]:
    # A panel has a scale of its own: bars compare peers, not scenarios.
    longest = max(record.high for record in panel.records)
    scale = (_WIDTH - _NAMES - _FIGURES) / longest if longest > 0 else 0.0
    lines = [f'<text class="title" x="4" y="{top + 14}">{escape(panel.title)}</text>']
    for row, record in enumerate(panel.records):
        lines += _bar(record, top + _TITLE + row * _ROW, scale)
    return lines


def _bar(record: Record, top: int, scale: float) -> list[str]:
    low, median, high = (_NAMES + max(0.0, value) * scale for value in (record.low, record.median, record.high))
    middle = top + _BAR / 2
    ours = ' class="ours"' if record.peer == OURS else ""
    return [
        f'<text x="{_NAMES - 8}" y="{top + 12}" text-anchor="end">{escape(record.peer)}</text>',
        f'<rect{ours} x="{_NAMES}" y="{top}" width="{median - _NAMES:.1f}" height="{_BAR}"/>',
        f'<path d="M{low:.1f} {middle:g}H{high:.1f}M{low:.1f} {top + 3}v8M{high:.1f} {top + 3}v8"/>',
        f'<text x="{high + 8:.1f}" y="{top + 12}">{number(record.median)} {escape(record.unit)} '
        f'<tspan class="spread">({number(record.low)} to {number(record.high)})</tspan></text>',
    ]
