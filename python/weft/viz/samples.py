"""The Prometheus text format, as far as the tables need it: which families, which labels, which values. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """What one measured number is about."""

    name: str
    labels: Labels

    def label(self, name: str) -> str:
        """The label's value, or empty."""
        return next((value for key, value in self.labels if key == name), "")


Sample = Mapping[Series, float]
"""One reading of one proxy."""


def parse(text: str) -> Sample:
    """The samples of the kept families; lines that are not samples are passed over. At most `MAX_SERIES`."""
    samples: dict[Series, float] = {}
    for line in text.splitlines():
        if not line.startswith(KEPT):
            continue
        found = _LINE.match(line)
        if found is None:
            continue
        name, labels, value = found.groups()
        series = _known.get((name, labels or ""))
        if series is None:
            series = Series(name, tuple(sorted((key, _unescape(raw)) for key, raw in _LABEL.findall(labels or ""))))
            if len(_known) < _KNOWN_LIMIT:
                _known[(name, labels or "")] = series
        samples[series] = float(value)
        if len(samples) >= MAX_SERIES:
            break
    return samples


def _unescape(text: str) -> str:
    return text.replace(r"\"", '"').replace(r"\n", "\n").replace("\\\\", "\\") if "\\" in text else text


KEPT = (
    "request_total",
    "response_total",
    "response_latency_ms_bucket",
    "tcp_open_total",
    "tcp_open_connections",
    "tcp_read_bytes_total",
    "tcp_write_bytes_total",
    "inbound_http_authz_deny_total",
    "inbound_tcp_authz_deny_total",
    "outbound_http_route_request_statuses_total",
    "outbound_grpc_route_request_statuses_total",
    "outbound_http_route_request_duration_seconds_bucket",
    "outbound_grpc_route_request_duration_seconds_bucket",
)
MAX_SERIES = 5000
_known: dict[tuple[str, str], Series] = {}
"""The same series comes again every two seconds: parsed once, and one object in all readings."""
_KNOWN_LIMIT = 100_000
_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+([^\s]+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
