"""The last measurement: how far the requests are from what the model learned from, by column."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One column; the effect is from 0 to 1."""

    column: str
    effect: float
    band: Band
    chip: Chip
    method: str
    p_value: str


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What is shown of a measurement. `others` counts the columns that did not drift."""

    verdict: Chip
    message: str
    when: str
    rows: int
    bars: tuple[Bar, ...]
    others: int
    prediction: Bar | None
    data: str
    report: str


def drift(last: LastMeasurement, now: datetime) -> Drift:
    quality = last.data_quality
    return Drift(
        verdict=VERDICTS[last.verdict],
        message=last.message,
        when=f"{age(last.time, now)} ago",
        rows=last.rows,
        bars=tuple(sorted(map(_bar, last.features), key=lambda bar: -bar.effect)),
        others=max(0, last.measured - last.drifted),
        prediction=_bar(last.prediction) if last.prediction is not None else None,
        data="not measured"
        if quality is None
        else f"{short(quality.score)} of 100{f': {quality.message}' if quality.message else ''}",
        report=last.report or "",
    )


def _bar(found: FeatureDrift) -> Bar:
    effect = float(found.effect)
    return Bar(
        column=found.column,
        effect=effect,
        band=band(effect),
        chip=banded(effect),
        method=METHODS.get(found.method, found.method),
        p_value=short(found.p_value),
    )
