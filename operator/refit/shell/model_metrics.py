"""Metrics of each model: what waits for a decision, how requests end, and how often it should be measured.

A gauge's series lives as long as what it tells of; who looks at a model's series looks at its newest pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, Histogram

from refit.api.remediationrequest import CLOSED, RemediationRequestStatus, RequestPhase
from refit.core.observed import Deployment, RequestSeen

BUCKETS = (1, 10, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600)
Key = tuple[str, str]


class ModelMetrics:
    """Series with the labels `namespace` and `model`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        model = ["namespace", "model"]
        self._open = Gauge(
            "refit_open_requests",
            "RemediationRequests of which something may still come, by action and phase.",
            [*model, "action", "phase"],
            registry=registry,
        )
        self._waiting = Gauge(
            "refit_oldest_undecided_timestamp_seconds",
            "When the oldest RemediationRequest was made that waits for a decision.",
            model,
            registry=registry,
        )
        self._interval = Gauge(
            "refit_measurement_expected_seconds",
            "How often a served model should be measured.",
            model,
            registry=registry,
        )
        self._ended = Histogram(
            "refit_request_duration_seconds",
            "Time from making a RemediationRequest to its end, by action and the phase in which it ended.",
            ["action", "phase"],
            registry=registry,
            buckets=BUCKETS,
        )
        self._series: dict[Key, dict[tuple[Gauge, tuple[str, ...]], float]] = {}

    def saw(self, deployment: Deployment, requests: Iterable[RequestSeen]) -> None:
        """A model and its requests as they stand."""
        key = (deployment.namespace, deployment.name)
        opened = [request for request in requests if request.open]
        counted = Counter(
            (request.spec.action.value, request.status.phase or RequestPhase.PENDING) for request in opened
        )
        series: dict[tuple[Gauge, tuple[str, ...]], float] = {
            (self._open, (*key, action, phase.value)): float(n) for (action, phase), n in counted.items()
        }
        undecided = [request for request in opened if request.status.phase == RequestPhase.AWAITING_APPROVAL]
        if undecided:
            series[self._waiting, key] = min(request.created.timestamp() for request in undecided)
        if deployment.spec.monitoring is not None and deployment.status.serving is not None:
            series[self._interval, key] = float(deployment.spec.monitoring.interval_seconds)
        self._replace(key, series)

    def ended(self, request: RequestSeen, status: RemediationRequestStatus, now: datetime) -> None:
        """A request's status was written; it counts when it has come to its end by that."""
        if request.open and status.phase in CLOSED:
            seconds = (now - request.created).total_seconds()
            self._ended.labels(request.spec.action.value, status.phase).observe(max(0.0, seconds))

    def forget(self, key: Key) -> None:
        """A ModelDeployment that is no more."""
        self._replace(key, {})

    def _replace(self, key: Key, series: dict[tuple[Gauge, tuple[str, ...]], float]) -> None:
        for gauge, labels in self._series.get(key, {}).keys() - series.keys():
            gauge.remove(*labels)
        for (gauge, labels), value in series.items():
            gauge.labels(*labels).set(value)
        if series:
            self._series[key] = series
        else:
            self._series.pop(key, None)
