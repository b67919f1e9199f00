"""The last measurement: how far the requests are from what the model learned from, by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, ValidationError

from refit.api.base import ApiModel
from refit.api.measured import FeatureDrift, LastMeasurement, Verdict
from refit.api.summaries import short
from refit.api.times import age
from refit_ui.views.tones import Band, Chip, Tone, band, banded

VERDICTS = {
    Verdict.NO_DRIFT: Chip(Tone.GOOD, "No drift"),
    Verdict.DRIFT: Chip(Tone.DOUBT, "Drift"),
    Verdict.INCONCLUSIVE: Chip(Tone.CALM, "Too few rows to say"),
    Verdict.ERROR: Chip(Tone.BAD, "Could not be measured"),
}
METHODS = {"ks": "Kolmogorov-Smirnov distance", "tvd": "total variation distance"}

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Column(ApiModel):
    """One column of a measurement as the collector keeps it, as far as a bar tells it."""

    column: Annotated[str, Field(max_length=128)]
    method: str = ""
    effect: Share
    p_adjusted: Share = 1.0
    drifted: bool = False


class Whole(ApiModel):
    """A measurement as the collector keeps it: with every column, drifted or not."""

    key: str
    columns: Annotated[tuple[Column, ...], Field(max_length=1024)] = ()


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One column; the effect is from 0 to 1."""

    column: str
    effect: float
    band: Band
    chip: Chip
    method: str
    p_value: str
    drifted: bool = True


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What is shown of a measurement. `others` counts the columns that are measured and not among the bars."""

    verdict: Chip
    message: str
    when: str
    rows: int
    bars: tuple[Bar, ...]
    others: int
    prediction: Bar | None
    data: str
    report: str


def whole(record: Mapping[str, Any]) -> Whole | None:
    """The collector's record; None if it is not as it should be."""
    try:
        return Whole.model_validate(record)
    except ValidationError:
        return None


def drift(last: LastMeasurement, now: datetime, found: Whole | None = None) -> Drift:
    """With every column where the whole measurement is known, else with those that drifted."""
    quality = last.data_quality
    bars = map(_bar, last.features) if found is None else map(_column, found.columns)
    return Drift(
        verdict=VERDICTS[last.verdict],
        message=last.message,
        when=f"{age(last.time, now)} ago",
        rows=last.rows,
        bars=tuple(sorted(bars, key=lambda bar: (-bar.effect, bar.column))),
        others=max(0, last.measured - last.drifted) if found is None else 0,
        prediction=_bar(last.prediction) if last.prediction is not None else None,
        data="not measured"
        if quality is None
        else f"{short(quality.score)} of 100{f': {quality.message}' if quality.message else ''}",
        report=last.report or "",
    )


def _bar(found: FeatureDrift) -> Bar:
    return _made(found.column, float(found.effect), found.method, short(found.p_value), drifted=True)


def _column(found: Column) -> Bar:
    return _made(found.column, found.effect, found.method, f"{found.p_adjusted:.3g}", drifted=found.drifted)


def _made(column: str, effect: float, method: str, p_value: str, *, drifted: bool) -> Bar:
    return Bar(
        column=column,
        effect=effect,
        band=band(effect),
        chip=banded(effect),
        method=METHODS.get(method, method),
        p_value=p_value,
        drifted=drifted,
    )
