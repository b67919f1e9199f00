"""The operator's own metrics, in Prometheus' form. No name, label or help text holds data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from refit.api import meta
from refit.api.conditions import find
from refit.api.deploymentstatus import ModelDeploymentStatus
from refit.api.reasons import ConditionType
from refit.core.observed import Manifest
from refit.shell.model_metrics import ModelMetrics

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass
class PassOutcome:
    """What became of a pass; set before the timer ends."""

    result: str = "done"


class Passes:
    """Duration and result of reconcile passes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "refit_reconcile_duration_seconds", "Duration of a reconcile pass.", registry=registry, buckets=BUCKETS
        )
        self._total = Counter(
            "refit_reconcile_total",
            "Reconcile passes by result: done, gone, stale, error, unreadable.",
            ["result"],
            registry=registry,
        )

    @contextmanager
    def time(self) -> Iterator[PassOutcome]:
        """Measures what runs inside."""
        outcome, begun = PassOutcome(), time.perf_counter()
        try:
            yield outcome
        finally:
            self._seconds.observe(time.perf_counter() - begun)
            self._total.labels(outcome.result).inc()


class AuditMetrics:
    """Whether the audit can be written, and whether somebody else holds how far it went."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.writable = Gauge(
            "refit_audit_writable",
            "1 if a row can be written to the audit, 0 if not: then nothing that needs approval is carried out.",
            registry=registry,
        )
        self.exported = Gauge(
            "refit_audit_checkpoint_exported",
            "1 if the newest checkpoint of the audit could be put in its place, by place: ConfigMap, copy.",
            ["place"],
            registry=registry,
        )


class Metrics:
    """All metrics of the operator, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the time a series began is no news; the client has no types for it
        self.registry = CollectorRegistry()
        self.passes = Passes(self.registry)
        self._jobs_created = Counter(
            "refit_jobs_created", "Jobs created by role: trainer, monitor.", ["role"], registry=self.registry
        )
        self._requests_created = Counter(
            "refit_remediation_requests_created",
            "RemediationRequests that the operator made, by action.",
            ["action"],
            registry=self.registry,
        )
        self._requests = Counter(
            "refit_api_requests",
            "Requests to the API server by verb and status code (0: no answer).",
            ["verb", "code"],
            registry=self.registry,
        )
        self._models = Gauge(
            "refit_models",
            "ModelDeployments by the reason of their Ready condition.",
            ["reason"],
            registry=self.registry,
        )
        self._jobs = Gauge("refit_training_jobs", "Newest trainings by phase.", ["phase"], registry=self.registry)
        self.models = ModelMetrics(self.registry)
        self.audit = AuditMetrics(self.registry)
        self._states: dict[tuple[str, str], tuple[str, str]] = {}

    def watch_queue(
        self, depth: Callable[[], float], oldest: Callable[[], float], longest: Callable[[], float]
    ) -> None:
        """Gauges that ask the queue when they are scraped."""
        for name, text, read in (
            ("refit_queue_depth", "Keys that wait for a worker.", depth),
            ("refit_queue_oldest_seconds", "Age of the key that waits longest.", oldest),
            ("refit_queue_longest_pass_seconds", "Age of the longest running pass.", longest),
        ):
            Gauge(name, text, registry=self.registry).set_function(read)

    def created(self, manifest: Manifest) -> None:
        """A child that was created."""
        if manifest["kind"] == meta.REQUEST_KIND:
            self._requests_created.labels(manifest["spec"]["action"]).inc()
        else:
            self._jobs_created.labels(manifest["metadata"]["labels"][meta.LABEL_ROLE]).inc()

    def count_request(self, verb: str, code: str) -> None:
        """One request to the API server."""
        self._requests.labels(verb, code).inc()

    def saw(self, key: tuple[str, str], status: ModelDeploymentStatus) -> None:
        """The state of a ModelDeployment after a pass."""
        ready = find(status.conditions, ConditionType.READY)
        new = (ready.reason if ready else "Unknown", status.training.phase if status.training else "None")
        old = self._states.get(key)
        if old == new:
            return
        self._leave(old)
        self._states[key] = new
        self._models.labels(new[0]).inc()
        self._jobs.labels(new[1]).inc()

    def forget(self, key: tuple[str, str]) -> None:
        """A ModelDeployment that is no more."""
        self.models.forget(key)
        self._leave(self._states.pop(key, None))

    def _leave(self, state: tuple[str, str] | None) -> None:
        if state is not None:
            self._models.labels(state[0]).dec()
            self._jobs.labels(state[1]).dec()
