"""The intake's own metrics. No label holds what a sender wrote."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

COMMIT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class IntakeMetrics:
    """In the registry of whoever runs the intake."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "refit_intake_requests",
            "Requests to the intake by route and status code.",
            ["route", "code"],
            registry=registry,
        )
        self.alerts = Counter(
            "refit_intake_alerts",
            "Alerts by what became of them: stored, resolved, duplicate, late, suspect, folded, held, ignored, truncated.",
            ["outcome"],
            registry=registry,
        )
        self.events = Counter(
            "refit_intake_events", "Signed events by type, stored for the first time.", ["type"], registry=registry
        )
        self.held = Gauge(
            "refit_intake_held_alerts",
            "Alerts that fire and wait to be passed on, as there were too many.",
            registry=registry,
        )
        self.queue_bytes = Gauge(
            "refit_intake_queue_bytes", "Bytes that were received and are not yet on disk.", registry=registry
        )
        self.commit_seconds = Histogram(
            "refit_intake_commit_seconds",
            "Duration of a transaction with its fsync.",
            registry=registry,
            buckets=COMMIT_BUCKETS,
        )
