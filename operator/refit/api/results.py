"""What a Job answers: typed JSON of at most 4,096 bytes in its container's termination message.

This module owns both ends of that wire. The kubelet would cut a longer message silently, so the
writer fails loudly instead. An older Job may finish under a newer operator: unknown fields are
ignored, and a known field never changes its meaning.
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field, ValidationError

from refit.api.base import ApiModel, Choice, Number, Sha256, Text, Uri, Word
from refit.api.measured import LastMeasurement
from refit.api.metrics import Metrics
from refit.api.outcome import Comparison, Shadow
from refit.api.proposal import PredictedImpact, RankedVersion

MESSAGE_LIMIT = 4096
"""Bytes of a termination message that the kubelet keeps."""

EXIT_REFUSED = 3
"""Exit code of a Job that looked at its input and refused it: running it again would not help."""


class TrainingOutcome(Choice):
    """Registered: a version passed every gate. BelowBound: none reached the bound.
    ChampionKept: what was trained is not better beyond chance than what serves.
    Refused: the data or the spec can not be trained on."""

    REGISTERED = "Registered"
    BELOW_BOUND = "BelowBound"
    CHAMPION_KEPT = "ChampionKept"
    REFUSED = "Refused"


class CheckOutcome(ApiModel):
    """One of the data checks."""

    name: Word
    passed: bool
    message: Annotated[str, Field(max_length=256)] = ""


class CandidateScore(ApiModel):
    """A candidate's cross-validated score: mean and standard deviation over folds."""

    algorithm: Word
    mean: Number
    deviation: Number


class Parity(ApiModel):
    """How closely the exported model follows the fitted one, on `rows` rows."""

    rows: Annotated[int, Field(ge=0)]
    max_difference: Number
    differing_labels: Annotated[int, Field(ge=0)]


class Registered(ApiModel):
    """The version that was registered, and where its files are.

    `artifact_uri` is the HTTP address of the ONNX file, `golden_uri` that of a request with its
    answers, against which a roll-out is proved, `profile_uri` that of what the training data looked like.
    """

    version: Annotated[int, Field(ge=1)]
    artifact_uri: Uri
    artifact_sha256: Sha256
    golden_uri: Uri
    golden_sha256: Sha256
    profile_uri: Uri | None = None
    profile_sha256: Sha256 | None = None
    parity: Parity


class ImpactResult(ApiModel):
    """The answer of one impact Job: what the action would bring, and the versions to return to, best first.

    `message` says why there is no number, where there is none.
    """

    key: Word
    predicted: PredictedImpact | None = None
    ranking: Annotated[tuple[RankedVersion, ...], Field(max_length=20)] = ()
    message: Text = ""


class ReportResult(ApiModel):
    """The answer of one report Job: where the PDF is and what it is; or, without an address, why there is none."""

    key: Word
    uri: Uri | None = None
    sha256: Sha256 | None = None
    bytes_: Annotated[int, Field(ge=0, alias="bytes")] = 0
    pages: Annotated[int, Field(ge=0)] = 0
    message: Text = ""


class TrainingResult(ApiModel):
    """The answer of one training Job."""

    key: Word
    outcome: TrainingOutcome
    reason: Word
    message: Text = ""
    run_id: Word | None = None
    algorithm: Word | None = None
    metric: Word
    value: Number | None = None
    metrics: Metrics = Metrics()
    rows: Annotated[int, Field(ge=0)] = 0
    data_sha256: Sha256 | None = None
    checks: Annotated[tuple[CheckOutcome, ...], Field(max_length=16)] = ()
    candidates: Annotated[tuple[CandidateScore, ...], Field(max_length=16)] = ()
    fit_seconds: Number = "0"
    total_seconds: Number = "0"
    registered: Registered | None = None
    comparison: Comparison | None = None
    shadow: Shadow | None = None


class ResultTooLongError(ValueError):
    """The answer does not fit a termination message."""


class ResultUnreadableError(ValueError):
    """What stands in the termination message is not an answer."""


def encode(result: ApiModel) -> str:
    """The answer as compact JSON; raises ResultTooLongError past 4,096 bytes of UTF-8."""
    text = json.dumps(result.wire(), separators=(",", ":"), ensure_ascii=False)
    size = len(text.encode())
    if size > MESSAGE_LIMIT:
        raise ResultTooLongError(f"{type(result).__name__} has {size} bytes, the limit is {MESSAGE_LIMIT}")
    return text


def decode_training(message: str) -> TrainingResult:
    """The answer of a training Job; raises ResultUnreadableError with the beginning of what was there."""
    try:
        return TrainingResult.model_validate_json(message)
    except ValidationError as error:
        raise ResultUnreadableError(f"not a training result: {message[:256]!r}") from error


def decode_impact(message: str) -> ImpactResult:
    """The answer of an impact Job; raises ResultUnreadableError with the beginning of what was there."""
    try:
        return ImpactResult.model_validate_json(message)
    except ValidationError as error:
        raise ResultUnreadableError(f"not an impact: {message[:256]!r}") from error


def decode_measurement(message: str) -> LastMeasurement:
    """The answer of a monitor Job; raises ResultUnreadableError with the beginning of what was there."""
    try:
        return LastMeasurement.model_validate_json(message)
    except ValidationError as error:
        raise ResultUnreadableError(f"not a measurement: {message[:256]!r}") from error


def decode_report(message: str) -> ReportResult:
    """The answer of a report Job; raises ResultUnreadableError with the beginning of what was there."""
    try:
        return ReportResult.model_validate_json(message)
    except ValidationError as error:
        raise ResultUnreadableError(f"not a report: {message[:256]!r}") from error
