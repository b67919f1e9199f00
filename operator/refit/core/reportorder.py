"""The order of a report: what of all that was observed a report of this cause tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refit.api import traces
from refit.api.deploymentstatus import ModelDeploymentStatus, TrainingStatus, VersionRecord
from refit.api.orders import ReportedRequest, ReportOrder
from refit.api.reports import ReportKind
from refit.api.times import stamp
from refit.core import tracing
from refit.core.observed import Config, Observed, RequestSeen
from refit.core.serving import served


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What a report is made of. `home` is the version with whose run it is kept, `linked` the request that names it."""

    key: str
    kind: ReportKind
    time: datetime
    about: str
    home: VersionRecord
    request: RequestSeen | None = None
    linked: str | None = None

    @property
    def file(self) -> str:
        """The end of the PDF's address."""
        return f"/reports/{self.kind.lower()}-{self.key}.pdf"


def order(cause: Cause, seen: Observed, status: ModelDeploymentStatus, config: Config) -> ReportOrder:
    """The order. It holds all that the report tells but the numbers of each column."""
    deployment, home = seen.deployment, cause.home
    request = cause.request or next((each for each in seen.requests if each.name == cause.linked), None)
    serving = served(status.history)
    last = status.last_measurement
    asked = request.spec.trigger.measurement if request is not None else None
    return ReportOrder(
        key=cause.key,
        kind=cause.kind,
        time=stamp(cause.time),
        uri=(home.profile or home.artifact).uri.rsplit("/", 1)[0] + cause.file,
        cluster=config.cluster_name,
        namespace=deployment.namespace,
        model=deployment.name,
        trace=_trace(cause, request, seen, status),
        serving=serving.version if serving is not None else None,
        versions=tuple(sorted(status.history, key=lambda record: record.version)),
        training=_training(cause, status),
        canary=status.canary if status.canary is not None and status.canary.version == home.version else None,
        measurement=last if cause.kind is not ReportKind.DEPLOYMENT else None,
        evidence=_evidence(cause, asked or "", last.key if last is not None else ""),
        request=_reported(request),
    )


def _trace(cause: Cause, request: RequestSeen | None, seen: Observed, status: ModelDeploymentStatus) -> str:
    """That of the request; else of the measurement or the training that it tells of."""
    if request is not None:
        return request.trace
    if cause.kind is ReportKind.DRIFT and status.last_measurement is not None:
        return tracing.of_measurement(seen.deployment, status.last_measurement.key)
    training = _training(cause, status)
    if training is not None:
        return tracing.of_training(seen.deployment, training, seen.requests)
    return traces.trace_id(f"{seen.deployment.uid} {cause.key}")


def _training(cause: Cause, status: ModelDeploymentStatus) -> TrainingStatus | None:
    """The training that the report tells of: the one that made the version, or that the request began."""
    training = status.training
    if training is None:
        return None
    made = cause.kind is ReportKind.DEPLOYMENT and training.run_id == cause.home.run_id
    began = cause.kind is ReportKind.INCIDENT and cause.linked is not None and training.request == cause.linked
    return training if made or began else None


def _evidence(cause: Cause, asked: str, last: str) -> str:
    """The measurement that the report shows: for a request the one that it refers to."""
    if cause.kind is ReportKind.DEPLOYMENT:
        return ""
    return (last if cause.kind is ReportKind.DRIFT else asked)[:64]


def _reported(request: RequestSeen | None) -> ReportedRequest | None:
    if request is None:
        return None
    return ReportedRequest(
        name=request.name,
        uid=request.uid,
        created=stamp(request.created),
        spec=request.spec,
        status=request.status.model_copy(update={"reports": ()}),
    )
