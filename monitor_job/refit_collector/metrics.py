"""What the collector counts of itself, as Prometheus metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

MODEL = ("namespace", "model")
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5)


class Metrics:
    """The collector's own series, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter("refit_collector_events", "Events stored.", MODEL, registry=self.registry)
        self.duplicates = Counter(
            "refit_collector_duplicates", "Events and labels that were known.", MODEL, registry=self.registry
        )
        self.refused = Counter(
            "refit_collector_refused", "Events, labels and requests refused.", ["reason"], registry=self.registry
        )
        self.orphans = Counter(
            "refit_collector_orphans",
            "Halves of CloudEvents whose other half never came.",
            [*MODEL, "kind"],
            registry=self.registry,
        )
        self.labels = Counter("refit_collector_labels", "Labels stored.", MODEL, registry=self.registry)
        self.rejected = Counter(
            "refit_collector_rejected", "Requests answered 503, to be sent again.", registry=self.registry
        )
        self.expired = Counter("refit_collector_expired_rows", "Rows removed by retention.", registry=self.registry)
        self.failures = Counter(
            "refit_collector_maintenance_failures", "Rolling or expiry that failed.", registry=self.registry
        )
        self.commits = Histogram(
            "refit_collector_commit_seconds", "Time of a group commit.", buckets=SECONDS, registry=self.registry
        )
        self.queue = Gauge(
            "refit_collector_queue_bytes", "Bytes of requests that wait to be stored.", registry=self.registry
        )
        self.segments = Gauge("refit_collector_segments", "Parquet files.", registry=self.registry)
        self.disk = Gauge("refit_collector_disk_bytes", "Bytes of the store on disk.", registry=self.registry)

    def forget(self, namespace: str, model: str) -> None:
        """The series of a model that was removed."""
        for counter in (self.events, self.duplicates, self.labels):
            counter.remove_by_labels({"namespace": namespace, "model": model})
        self.orphans.remove_by_labels({"namespace": namespace, "model": model})
