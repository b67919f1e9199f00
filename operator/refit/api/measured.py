"""What one measurement of a served model says, short enough for a termination message and for status.

The whole measurement, with every feature and statistic, is kept by the collector and in MLflow.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from refit.api.base import ATOMIC, ApiModel, Choice, Line, Number, Share, Text, Time, Uri, Word
from refit.api.metrics import Metric, Metrics


class Verdict(Choice):
    """What a measurement says of drift. Having no opinion is not a no, and failing to measure is not drift."""

    NO_DRIFT = "NoDrift"
    DRIFT = "Drift"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"


class QualityVerdict(Choice):
    """Whether the model keeps its bounds: on labelled rows, never on an estimate. Unknown: too few labels, or no bound."""

    OK = "Ok"
    LOW = "Low"
    UNKNOWN = "Unknown"


class Direction(Choice):
    """Where a model's quality is going over the kept measurements. Unknown: too few of them."""

    IMPROVING = "Improving"
    DEGRADING = "Degrading"
    STABLE = "Stable"
    UNKNOWN = "Unknown"


class FeatureDrift(ApiModel):
    """One column: its bounded effect (0 to 1), the method that found it, and the p-value corrected over all columns."""

    column: Annotated[str, Field(max_length=128)]
    method: Word
    effect: Number
    p_value: Number


class SegmentDrift(FeatureDrift):
    """A column that drifted within a segment of the requests, told as column=value, of so many rows."""

    segment: Line
    rows: Annotated[int, Field(ge=0)]


class DataQuality(ApiModel):
    """Whether the requests are what the model was made for; `score` is from 0 to 100."""

    valid: bool
    score: Number
    message: Text = ""


class ModelQuality(ApiModel):
    """The model against labels that came late, and an estimate where they have not.

    `coverage` is the share of the window's rows that have a label. `estimated` is marked as such
    wherever it is shown and never decides.
    """

    verdict: QualityVerdict = QualityVerdict.UNKNOWN
    labelled: Annotated[int, Field(ge=0)] = 0
    coverage: Share = "0"
    metrics: Metrics = Metrics()
    estimated: Metrics | None = None
    missed: Annotated[tuple[Metric, ...], Field(max_length=12)] = ()
    message: Text = ""


class QueryResult(ApiModel):
    """A user's own PromQL expression: its value, absent if it could not be asked or gave none."""

    name: Word
    value: Number | None = None
    breached: bool = False
    message: Annotated[str, Field(max_length=256)] = ""


class LastMeasurement(ApiModel):
    """The newest measurement of the served version; also what a monitor Job answers.

    `key` names the measurement: asked twice, it is the same one. `features` are the drifted ones, the
    largest effect first, as many as fit; `drifted` counts them all. `segments` are columns that did not
    drift as a whole but within a segment, each in the one where its effect is largest. `coverage` is the
    share of the answered requests that the collector holds, absent where nothing counts them.
    """

    key: Word = ""
    time: Time
    verdict: Verdict
    rows: Annotated[int, Field(ge=0)] = 0
    version: Annotated[int, Field(ge=1)] | None = None
    since: Time | None = None
    until: Time | None = None
    message: Text = ""
    features: Annotated[tuple[FeatureDrift, ...], Field(max_length=16)] = ()
    drifted: Annotated[int, Field(ge=0)] = 0
    measured: Annotated[int, Field(ge=0)] = 0
    prediction: FeatureDrift | None = None
    segments: Annotated[tuple[SegmentDrift, ...], Field(max_length=8)] = ()
    data_quality: DataQuality | None = None
    quality: ModelQuality | None = None
    trend: Direction | None = None
    queries: Annotated[tuple[QueryResult, ...], Field(max_length=16)] = ()
    coverage: Share | None = None
    report: Uri | None = None

    model_config = ConfigDict(json_schema_extra=ATOMIC)
