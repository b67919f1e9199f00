"""What became of the events of the request log, counted.

The event loop counts what it takes in, in numbers that nobody else writes; the log's own threads count
the rest under a lock, a batch at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from threading import Lock

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Reason(StrEnum):
    """Why an event is lost."""

    QUEUE = "queue"
    """More came than could be written down."""
    ENCODING = "encoding"
    """A mistake of ours."""
    SPILL = "spill"
    """The spill was full, and this was among the oldest."""
    DISK = "disk"
    """The spill could not be written or read."""
    TORN = "torn"
    """An earlier process ended while it wrote this line."""
    REFUSED = "refused"
    """The collector does not want it."""
    TOO_LARGE = "too_large"
    """Even by itself it is more than the collector takes."""
    SAME_ID = "same_id"
    """The collector has another event of that id: a client used it again."""


class Tally:
    """Counts of one log. `accepted` and `skipped` belong to the event loop."""

    def __init__(self) -> None:
        self.accepted = 0
        self.skipped = 0
        self.overflowed = 0
        self.left = 0
        self.sent = 0
        self.spilled_bytes = 0
        self._dropped: Counter[Reason] = Counter()
        self._lock = Lock()

    def deliver(self, events: int) -> None:
        with self._lock:
            self.sent += events

    def drop(self, reason: Reason, events: int = 1) -> None:
        with self._lock:
            self._dropped[reason] += events

    @property
    def pending(self) -> int:
        """Events that are neither sent nor lost; those that an earlier process left are among them."""
        with self._lock:
            return self.left + self.accepted - self.sent - self._dropped.total()

    def dropped(self, reason: Reason) -> int:
        return self._dropped[reason] + (self.overflowed if reason is Reason.QUEUE else 0)


class LogMetrics(Collector):
    """The tally as Prometheus metrics, in the labels of the predictor's others."""

    def __init__(self, tally: Tally, name: str, version: str) -> None:
        self._tally = tally
        self._model = {"model": name, "version": version}

    def collect(self) -> Iterator[Metric]:
        tally = self._tally
        yield self._counter("sent", "Events that the collector has stored.", tally.sent)
        dropped = CounterMetricFamily(
            "refit_request_log_dropped", "Events that are lost.", labels=[*self._model, "reason"]
        )
        for reason in Reason:
            dropped.add_metric([*self._model.values(), reason], tally.dropped(reason))
        yield dropped
        yield self._counter("skipped", "The operator's probes, which are no traffic.", tally.skipped)
        yield self._gauge("pending", "Events that are not stored yet.", tally.pending)
        yield self._gauge("spilled_bytes", "Bytes on disk that the collector does not take yet.", tally.spilled_bytes)

    def _counter(self, name: str, text: str, value: int) -> Metric:
        family = CounterMetricFamily(f"refit_request_log_{name}", text, labels=list(self._model))
        family.add_metric(list(self._model.values()), value)
        return family

    def _gauge(self, name: str, text: str, value: int) -> Metric:
        family = GaugeMetricFamily(f"refit_request_log_{name}", text, labels=list(self._model))
        family.add_metric(list(self._model.values()), value)
        return family
