"""The notifier's own metrics. No label holds more than a receiver's name."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class NotifyMetrics:
    """In the registry of whoever runs the notifier; `waiting` is asked when it is scraped."""

    def __init__(self, registry: CollectorRegistry, waiting: Callable[[], float]) -> None:
        self.deliveries = Counter(
            "refit_notifications",
            "Notices by receiver and result: sent, failed (tried again), dropped (given up after a day).",
            ["receiver", "result"],
            registry=registry,
        )
        Gauge(
            "refit_notifications_waiting", "Notices that somebody has still to be told.", registry=registry
        ).set_function(waiting)
