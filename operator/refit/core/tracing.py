"""Tracing: which trace a Job, a request and a report belong to, and the spans that a change of state ends.

A trace begins with its first cause: an alert, a measurement, a training, or the request that a person makes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from refit.api import jobs, traces
from refit.api.conditions import find
from refit.api.deploymentstatus import MeasurementPhase, ModelDeploymentStatus, TrainingPhase, TrainingStatus
from refit.api.measured import Verdict
from refit.api.reasons import ConditionType
from refit.api.remediationrequest import CLOSED, RemediationRequestStatus, RequestPhase
from refit.api.times import moment
from refit.core.observed import AlertSeen, Deployment, Manifest, RequestSeen


@dataclass(frozen=True, kw_only=True)
class Span:
    """Something that took its time and has ended. `part` and `within` are what the ids of it and its parent are
    computed from; it has no parent where `within` is empty."""

    trace: str
    part: str
    within: str
    name: str
    start: datetime
    end: datetime
    failed: bool = False
    attributes: dict[str, str] = field(default_factory=dict)


def of_alert(deployment: Deployment, alert: AlertSeen) -> str:
    """The trace that an alert begins: of one alert the same, however often it is sent."""
    return traces.trace_id(f"alert {deployment.namespace}/{deployment.name} {alert.fingerprint} {alert.starts_at}")


def of_measurement(deployment: Deployment, key: str) -> str:
    """The trace that a measurement begins."""
    return traces.trace_id(f"measurement {deployment.uid} {key}")


def of_training(deployment: Deployment, training: TrainingStatus, requests: Iterable[RequestSeen]) -> str:
    """That of the request which asked for it; else the training begins its own."""
    asked = next((request.trace for request in requests if request.name == training.request), "")
    return asked or traces.trace_id(f"training {deployment.uid} {training.key}")


def traced(job: Manifest, trace: str) -> Manifest:
    """The Job as a part of that trace: its annotation says so, and its containers are told."""
    found = copy.deepcopy(job)
    found["metadata"].setdefault("annotations", {})[traces.ANNOTATION] = trace
    template = found["spec"]["template"]
    template["metadata"].setdefault("annotations", {})[traces.ANNOTATION] = trace
    told = {"name": jobs.TRACEPARENT, "value": traces.parent(trace, found["metadata"]["name"])}
    for container in template["spec"]["containers"]:
        container["env"] = [*container.get("env", ()), told]
    return found


def spans(
    deployment: Deployment, after: ModelDeploymentStatus, requests: Iterable[RequestSeen], now: datetime
) -> tuple[Span, ...]:
    """The training and the measurement that this change of a model's status ended."""
    found = (_training(deployment, after, tuple(requests), now), _measurement(deployment, after, now))
    return tuple(span for span in found if span is not None)


def _training(
    deployment: Deployment, after: ModelDeploymentStatus, requests: tuple[RequestSeen, ...], now: datetime
) -> Span | None:
    before, ended = deployment.status.training, after.training
    if before is None or ended is None or before.key != ended.key:
        return None
    if before.phase != TrainingPhase.RUNNING or ended.phase == TrainingPhase.RUNNING:
        return None
    return Span(
        trace=of_training(deployment, ended, requests),
        part=ended.job,
        within=next((request.uid for request in requests if request.name == ended.request), ""),
        name="training",
        start=moment(ended.start_time) if ended.start_time else now,
        end=now,
        failed=ended.phase == TrainingPhase.FAILED,
        attributes=_attributes(deployment) | {"k8s.job.name": ended.job, "refit.cause": ended.cause},
    )


def _measurement(deployment: Deployment, after: ModelDeploymentStatus, now: datetime) -> Span | None:
    before, ended = deployment.status.measurement, after.measurement
    if before is None or before.phase != MeasurementPhase.RUNNING:
        return None
    if ended is not None and ended.key == before.key and ended.phase == MeasurementPhase.RUNNING:
        return None
    last = after.last_measurement
    return Span(
        trace=of_measurement(deployment, before.key),
        part=before.job,
        within="",
        name="measurement",
        start=min(moment(before.until), now),
        end=now,
        failed=last is not None and last.key == before.key and last.verdict == Verdict.ERROR,
        attributes=_attributes(deployment) | {"k8s.job.name": before.job},
    )


def _attributes(deployment: Deployment) -> dict[str, str]:
    return {"k8s.namespace.name": deployment.namespace, "refit.model": deployment.name}


def request_spans(request: RequestSeen, after: RemediationRequestStatus, now: datetime) -> tuple[Span, ...]:
    """The phase that a request has left by this change, and the whole of it where that was its last."""
    phase = request.status.phase or RequestPhase.PENDING
    if after.phase == phase:
        return ()
    attributes = {"refit.request": request.name, "refit.action": request.spec.action.value}
    failed = after.phase == RequestPhase.FAILED
    found = []
    ready = find(request.status.conditions, ConditionType.READY)
    since = request.created
    if phase != RequestPhase.PENDING and request.status.execution is not None:
        since = moment(request.status.execution.start_time)
    elif phase != RequestPhase.PENDING and ready is not None:
        since = moment(ready.last_transition_time)
    found.append(
        Span(
            trace=request.trace,
            part=f"{request.uid} {phase}",
            within=request.uid,
            name=f"request {phase}",
            start=min(since, now),
            end=now,
            attributes=attributes,
        )
    )
    if after.phase in CLOSED:
        found.append(
            Span(
                trace=request.trace,
                part=request.uid,
                within="",
                name=f"request {request.spec.action}",
                start=request.created,
                end=now,
                failed=failed,
                attributes={**attributes, "refit.phase": after.phase.value, "refit.trigger": request.spec.trigger.type},
            )
        )
    return tuple(found)
