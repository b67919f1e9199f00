"""What the operator orders of a Job beside the spec: a measurement, a retraining, an estimate of what an action would bring, a report."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from refit.api.base import ApiModel, Line, ObjectName, Sha256, Time, Uri, Word
from refit.api.deploymentstatus import HISTORY_LENGTH, CanaryStatus, TrainingStatus, VersionRecord
from refit.api.measured import LastMeasurement
from refit.api.proposal import EvidenceWindow
from refit.api.remediation import RowsRule
from refit.api.remediationrequest import Action, RemediationRequestSpec, RemediationRequestStatus
from refit.api.reports import ReportKind


class MeasurementOrder(ApiModel):
    """One measurement. `key` is also its id in the collector, so that a Job that runs twice measures once.

    The window is [since, until). `interval_seconds` is how often it is measured, for rules about staleness.
    """

    key: Word
    version: Annotated[int, Field(ge=1)]
    since: Time
    until: Time
    interval_seconds: Annotated[int, Field(ge=1)]
    profile_uri: Uri
    profile_sha256: Sha256
    run_id: Word


class VersionOrder(ApiModel):
    """A registered version by number, address and digest."""

    version: Annotated[int, Field(ge=1)]
    artifact_uri: Uri
    artifact_sha256: Sha256


class RetrainingOrder(ApiModel):
    """A training that follows one that serves: what it learns from beside the source, and whom it must beat.

    Without a window it learns from the source alone; with one, from what `rows` says.
    """

    champion: VersionOrder
    rows: RowsRule
    window: EvidenceWindow | None = None
    request: ObjectName | None = None


class ImpactOrder(ApiModel):
    """An estimate of what an action would bring, on the requests of the window.

    `serving` is what answers now, `versions` are those that one could return to or promote, `to_version` is
    the one that the action is about, and `budget_seconds` is how long a trial training may take.
    """

    key: Word
    action: Action
    window: EvidenceWindow
    serving: VersionOrder
    versions: Annotated[tuple[VersionOrder, ...], Field(max_length=20)] = ()
    to_version: Annotated[int, Field(ge=1)] | None = None
    rows: RowsRule = RowsRule.APPEND
    budget_seconds: Annotated[int, Field(ge=10, le=3600)] = 120


class ReportedRequest(ApiModel):
    """A RemediationRequest as a report tells of it."""

    name: ObjectName
    uid: Word
    created: Time
    spec: RemediationRequestSpec
    status: RemediationRequestStatus


class ReportOrder(ApiModel):
    """One report, with all that it tells but the numbers of each column, which the collector keeps.

    `time` is when its cause was: it dates the report, so that the same order gives the same bytes. `uri` is where the
    PDF goes. `evidence` is the measurement whose columns are shown, and `omitted` says what did not fit the order.
    """

    key: Word
    kind: ReportKind
    time: Time
    uri: Uri
    cluster: Line = ""
    namespace: Word
    model: ObjectName
    trace: Word = ""
    serving: Annotated[int, Field(ge=1)] | None = None
    versions: Annotated[tuple[VersionRecord, ...], Field(max_length=HISTORY_LENGTH)] = ()
    training: TrainingStatus | None = None
    canary: CanaryStatus | None = None
    measurement: LastMeasurement | None = None
    evidence: Word = ""
    request: ReportedRequest | None = None
    omitted: Annotated[tuple[Line, ...], Field(max_length=8)] = ()
