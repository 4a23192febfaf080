"""The control plane's own metrics, read from its parts when somebody asks. Labels are method names: a fixed set."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Gauges:
    """A registry of its own, so that two control planes can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._streams = Gauge("weft_streams", "Open streams of proxies", ["method"], registry=self.registry)
        self._total = Counter("weft_streams_opened", "Streams that proxies opened", ["method"], registry=self.registry)

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Add a gauge whose value is read at each scrape."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def stream(self, method: str) -> AbstractContextManager[None]:
        """Count a stream for as long as it is open."""
        self._total.labels(method).inc()
        return self._streams.labels(method).track_inprogress()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text form."""
        return generate_latest(self.registry)
