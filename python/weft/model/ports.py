"""Lists of ports as annotations write them: `25,587,3000-3010`."""

from collections.abc import Iterable

Range = tuple[int, int]
"""The first and the last port."""

LISTS = tuple(f"config.linkerd.io/{name}" for name in ("opaque-ports", "skip-inbound-ports", "skip-outbound-ports"))
"""The annotations that are such lists."""


def ranges(text: str) -> list[Range]:
    """Read a list; parts that are no ports are passed over, as Linkerd does."""
    return [found for part in text.split(",") if (found := _range(part)) is not None]


def unreadable(text: str) -> list[str]:
    """Return the parts of a list that are no ports; an empty part is none."""
    return [part.strip() for part in text.split(",") if part.strip() and _range(part) is None]


def contains(listed: Iterable[Range], port: int) -> bool:
    """Say whether a port is in one of the ranges."""
    return any(low <= port <= high for low, high in listed)


def merged(listed: Iterable[Range]) -> list[Range]:
    """Return the same ports in ascending ranges that neither meet nor overlap."""
    result: list[Range] = []
    for low, high in sorted(listed):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], high))
        else:
            result.append((low, high))
    return result


def _range(part: str) -> Range | None:
    low, dash, high = part.strip().partition("-")
    high = high if dash else low
    if not (low.isdecimal() and high.isdecimal() and 0 < int(low) <= int(high) < 65536):
        return None
    return int(low), int(high)
