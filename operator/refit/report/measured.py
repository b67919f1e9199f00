"""A measurement as the collector keeps it, as far as a report tells it; and the same from the short one in a status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from refit.api.base import ApiModel
from refit.api.measured import LastMeasurement

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Column(ApiModel):
    """One column of inputs or answers. Without a threshold it comes from a status, which tells only of drifted ones."""

    column: str
    type: str = ""
    method: str = ""
    effect: Share
    threshold: Share | None = None
    p_adjusted: Share = 1.0
    drifted: bool = False
    missing: Share = 0.0
    statistics: dict[str, float | None] = {}
    note: str = ""


class Bound(ApiModel):
    """A metric that the spec bounds, with the interval it is known to."""

    metric: str
    value: float
    low: float
    high: float
    minimum: float | None = None
    maximum: float | None = None
    missed: bool = False


class Quality(ApiModel):
    """The model against its labels."""

    verdict: str = ""
    labelled: int = 0
    metrics: dict[str, float] = {}
    bounds: tuple[Bound, ...] = ()
    message: str = ""


class Faults(ApiModel):
    """The requests themselves: a score from 0 to 100, and what is wrong with them."""

    valid: bool
    score: float
    problems: tuple[str, ...] = ()


class Measured(ApiModel):
    """One measurement. `whole` says that every column is in it."""

    key: str
    time: str
    version: int | None = None
    since: str | None = None
    until: str | None = None
    rows: int = 0
    verdict: str
    message: str = ""
    columns: tuple[Column, ...] = ()
    prediction: tuple[Column, ...] = ()
    data_quality: Faults | None = None
    quality: Quality | None = None
    report: str | None = None
    counted: int = 0
    flagged: int = 0
    whole: bool = True

    @property
    def drifted(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.drifted)

    @property
    def ordered(self) -> tuple[Column, ...]:
        """The inputs: those that drifted first, the largest effect first."""
        return tuple(sorted(self.columns, key=lambda column: (not column.drifted, -column.effect, column.column)))


def of_record(records: Iterable[Mapping[str, Any]], key: str) -> Measured | None:
    """The measurement of that key among those that the collector gave; None if it is not there or cannot be read."""
    for record in records:
        if record.get("key") == key:
            try:
                found = Measured.model_validate(record)
            except ValidationError:
                return None
            return found.model_copy(update={"counted": len(found.columns), "flagged": len(found.drifted)})
    return None


def of_status(last: LastMeasurement) -> Measured:
    """What a status holds: the columns that drifted, as many as fit."""
    quality, data = last.quality, last.data_quality
    return Measured(
        key=last.key,
        time=last.time,
        version=last.version,
        since=last.since,
        until=last.until,
        rows=last.rows,
        verdict=last.verdict,
        message=last.message,
        columns=tuple(
            Column(
                column=feature.column,
                method=feature.method,
                effect=_share(feature.effect),
                p_adjusted=_share(feature.p_value),
                drifted=True,
            )
            for feature in last.features
        ),
        prediction=()
        if last.prediction is None
        else (
            Column(
                column=last.prediction.column,
                method=last.prediction.method,
                effect=_share(last.prediction.effect),
                p_adjusted=_share(last.prediction.p_value),
                drifted=True,
            ),
        ),
        data_quality=None
        if data is None
        else Faults(valid=data.valid, score=float(data.score), problems=(data.message,) if data.message else ()),
        quality=None
        if quality is None
        else Quality(
            verdict=quality.verdict,
            labelled=quality.labelled,
            metrics={name: float(value) for name, value in quality.metrics.wire().items()},
            message=quality.message,
        ),
        report=last.report,
        counted=last.measured,
        flagged=last.drifted,
        whole=False,
    )


def _share(value: str) -> float:
    return min(1.0, max(0.0, float(value)))
