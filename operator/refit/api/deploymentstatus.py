"""The status of a ModelDeployment: what was observed, and what must be remembered."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from refit.api.base import (
    ATOMIC,
    ApiModel,
    Choice,
    Line,
    Number,
    ObjectName,
    Sha256,
    Text,
    Time,
    Uri,
    Word,
)
from refit.api.conditions import Condition
from refit.api.measured import LastMeasurement
from refit.api.metrics import Metrics
from refit.api.outcome import Comparison, Shadow
from refit.api.reports import REPORTS_LENGTH, Report

HISTORY_LENGTH = 20
CONDITIONS_SCHEMA = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}


class TrainingPhase(Choice):
    """Of one training: it runs, or it ended in a version, below the bound, not better than what serves, refused, or failed."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    BELOW_BOUND = "BelowBound"
    CHAMPION_KEPT = "ChampionKept"
    REFUSED = "Refused"
    FAILED = "Failed"


class TrainingStatus(ApiModel):
    """The newest training: its key (what it is the training of), attempt, Job and end."""

    key: Word
    spec_hash: Word
    attempt: Annotated[int, Field(ge=1, le=99)] = 1
    job: ObjectName
    phase: TrainingPhase
    cause: Line = ""
    requested: Word = ""
    reason: Word = ""
    message: Text = ""
    start_time: Time | None = None
    completion_time: Time | None = None
    run_id: Word | None = None
    rows: Annotated[int, Field(ge=0)] | None = None
    data_sha256: Sha256 | None = None
    data_valid: bool | None = None
    data_message: Text = ""
    fit_seconds: Number | None = None
    total_seconds: Number | None = None
    metrics: Metrics = Metrics()
    request: ObjectName | None = None
    comparison: Comparison | None = None
    shadow: Shadow | None = None

    model_config = ConfigDict(json_schema_extra=ATOMIC)


class Artifact(ApiModel):
    """A file by address and digest."""

    uri: Uri
    sha256: Sha256


class VersionState(Choice):
    """Of one registered version: next in line, live, was live, or refused by roll-out."""

    CANDIDATE = "Candidate"
    SERVING = "Serving"
    RETIRED = "Retired"
    FAILED = "Failed"


class VersionRecord(ApiModel):
    """One registered version: what it is, why it came, from when until when it was served.

    `request` is the RemediationRequest that last had it rolled out.
    `profile` is what its training data looked like; a version of an older Refit has none and is not measured.
    """

    version: Annotated[int, Field(ge=1)]
    state: VersionState
    key: Word
    spec_hash: Word
    artifact: Artifact
    golden: Artifact
    profile: Artifact | None = None
    algorithm: Word
    metric: Word
    value: Number
    run_id: Word
    data_sha256: Sha256
    reason: Line = ""
    message: Text = ""
    request: ObjectName | None = None
    create_time: Time
    rollout_time: Time | None = None
    since: Time | None = None
    until: Time | None = None

    @property
    def served_before(self) -> bool:
        """It served once, and was not refused since."""
        return self.state == VersionState.RETIRED and self.since is not None


class MeasurementPhase(Choice):
    """Of one measurement: its Job runs, or it ended."""

    RUNNING = "Running"
    ENDED = "Ended"


class MeasurementStatus(ApiModel):
    """The newest measurement that was ordered: its key, Job and window [since, until)."""

    key: Word
    job: ObjectName
    phase: MeasurementPhase
    version: Annotated[int, Field(ge=1)]
    since: Time
    until: Time
    requested: Word = ""

    model_config = ConfigDict(json_schema_extra=ATOMIC)


class ServingStatus(ApiModel):
    """The version that answers, as read back from the endpoint."""

    version: Annotated[int, Field(ge=1)]
    artifact: Artifact
    since: Time

    model_config = ConfigDict(json_schema_extra=ATOMIC)


class CanaryPhase(Choice):
    """Of one canary: its pods start, it gets its share, all requests move to it; or it ended, or it was left out."""

    STARTING = "Starting"
    SPLITTING = "Splitting"
    PROMOTING = "Promoting"
    PASSED = "Passed"
    FAILED = "Failed"
    ABORTED = "Aborted"
    SKIPPED = "Skipped"


class CanaryStatus(ApiModel):
    """The newest canary: the version, the percentage of requests it gets, since when, and what became of them.

    `probes` are the operator's own requests before the first of a client; they do not count.
    """

    version: Annotated[int, Field(ge=1)]
    phase: CanaryPhase
    weight: Annotated[int, Field(ge=0, le=50)] = 0
    since: Time | None = None
    probes: Annotated[int, Field(ge=0)] | None = None
    requests: Annotated[int, Field(ge=0)] = 0
    errors: Annotated[int, Field(ge=0)] = 0
    message: Text = ""

    model_config = ConfigDict(json_schema_extra=ATOMIC)


class Hold(ApiModel):
    """After a rollback nothing is trained or deployed by itself, until the spec asks for another model
    or a person approves one; else what was taken back would come again."""

    request: ObjectName
    version: Annotated[int, Field(ge=1)]
    spec_hash: Word
    since: Time

    model_config = ConfigDict(json_schema_extra=ATOMIC)


class Override(ApiModel):
    """What a request changed of how the model is served, beside the spec: replicas until spec.serving
    names others, and the last restart."""

    replicas: Annotated[int, Field(ge=1, le=64)] | None = None
    instead_of: Annotated[int, Field(ge=0, le=64)] | None = None
    replicas_request: ObjectName | None = None
    restart_request: ObjectName | None = None

    model_config = ConfigDict(json_schema_extra=ATOMIC)


class ModelDeploymentStatus(ApiModel):
    """What is. `observedGeneration` is -1 until the first pass."""

    observed_generation: Annotated[int, Field(ge=-1)] = -1
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16, json_schema_extra=CONDITIONS_SCHEMA)] = ()
    training: TrainingStatus | None = None
    serving: ServingStatus | None = None
    url: Uri | None = None
    metric: Line | None = None
    drift: Line | None = None
    history: Annotated[
        tuple[VersionRecord, ...],
        Field(max_length=HISTORY_LENGTH, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    canary: CanaryStatus | None = None
    hold: Hold | None = None
    override: Override | None = None
    open_requests: Annotated[tuple[ObjectName, ...], Field(min_length=1, max_length=32)] | None = None
    last_schedule_time: Time | None = None
    measurement: MeasurementStatus | None = None
    last_measurement: LastMeasurement | None = None
    reports: (
        Annotated[
            tuple[Report, ...],
            Field(min_length=1, max_length=REPORTS_LENGTH, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        ]
        | None
    ) = None


def status_of(manifest: dict[str, Any]) -> ModelDeploymentStatus:
    """The typed status of a ModelDeployment as read from the API server; empty if there is none."""
    return ModelDeploymentStatus.model_validate(manifest.get("status") or {})
