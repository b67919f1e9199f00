"""How good the model is: on the rows whose truth came, with what noise alone could do; and, marked as such, an estimate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refit.api.measured import ModelQuality, QualityVerdict
from refit.api.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS, Metric, Metrics
from refit.api.modeldeployment import Task
from refit.api.monitoring import QualityBound
from refit.api.profile import Profile
from refit_monitor.columns import Floats, plain
from refit_monitor.scores import OF_CONFUSION, Numbers, confusion, score

ENOUGH_LABELS = 30
RESAMPLES = 500
RESAMPLED_ROWS = 20_000
"""More labelled rows than that are resampled from so many, drawn at random: the noise is then overstated, not missed."""
INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, kw_only=True)
class BoundMeasured:
    """One bound of spec.monitoring.quality: the value, the interval that noise leaves it, and whether it is missed."""

    metric: Metric
    minimum: float | None
    maximum: float | None
    value: float
    low: float
    high: float

    @property
    def missed(self) -> bool:
        """Missed beyond noise: even the better end of the interval is on the wrong side."""
        return (self.minimum is not None and self.high < self.minimum) or (
            self.maximum is not None and self.low > self.maximum
        )

    def told(self) -> str:
        bound = f"minimum {plain(self.minimum)}" if self.minimum is not None else f"maximum {plain(self.maximum or 0)}"
        return f"{self.metric} {self.value:.4g} [{self.low:.4g}, {self.high:.4g}] misses its {bound}"

    def record(self) -> dict[str, Any]:
        found = {"metric": self.metric.value, "value": self.value, "low": self.low, "high": self.high}
        found |= {"minimum": self.minimum} if self.minimum is not None else {}
        found |= {"maximum": self.maximum} if self.maximum is not None else {}
        return found | {"missed": self.missed}


@dataclass(frozen=True, kw_only=True)
class QualityMeasured:
    """The model's quality in one window."""

    verdict: QualityVerdict = QualityVerdict.UNKNOWN
    labelled: int = 0
    coverage: float = 0.0
    delay_seconds: float | None = None
    metrics: dict[Metric, float] = field(default_factory=dict)
    bounds: tuple[BoundMeasured, ...] = ()
    estimated: dict[Metric, float] = field(default_factory=dict)
    message: str = ""

    def record(self) -> dict[str, Any]:
        """As the collector keeps it."""
        return {
            "verdict": self.verdict.value,
            "labelled": self.labelled,
            "coverage": self.coverage,
            **({} if self.delay_seconds is None else {"delaySeconds": self.delay_seconds}),
            "metrics": {metric.value: value for metric, value in self.metrics.items()},
            "bounds": [bound.record() for bound in self.bounds],
            "estimated": {metric.value: value for metric, value in self.estimated.items()},
            "message": self.message,
        }

    def short(self) -> ModelQuality:
        return ModelQuality(
            verdict=self.verdict,
            labelled=self.labelled,
            coverage=f"{self.coverage:.4f}",
            metrics=_told(self.metrics),
            estimated=_told(self.estimated) if self.estimated else None,
            missed=tuple(bound.metric for bound in self.bounds if bound.missed),
            message=self.message[:1024],
        )


def measured(
    profile: Profile,
    answers: Numbers,
    truth: Numbers,
    bounds: Iterable[QualityBound],
    rng: np.random.Generator,
    *,
    delay_seconds: float | None = None,
    unknown: int = 0,
) -> QualityMeasured:
    """The quality of `answers`; `truth` is -1 or NaN where it has not come. `unknown` labels were of no class."""
    there = truth >= 0 if profile.task is Task.CLASSIFICATION else np.isfinite(truth)
    there = there & np.isfinite(answers).all(axis=1)
    labelled = int(there.sum())
    coverage = labelled / len(truth) if len(truth) else 0.0
    estimated = estimate(profile, answers)
    note = f"; {unknown} labels are none of {', '.join(profile.classes[:8])}" if unknown else ""
    if not labelled:
        message = f"no labels{note}" if not note else note.removeprefix("; ")
        return QualityMeasured(estimated=estimated, message=message)
    known, said = truth[there], answers[there]
    wanted = CLASSIFICATION_METRICS if profile.task is Task.CLASSIFICATION else REGRESSION_METRICS
    values = {metric: score(metric, known, said) for metric in wanted}
    bounded = tuple(bounds)
    kept = tuple(_bound(bound, values[bound.metric], known, said, rng) for bound in bounded if bound.metric in values)
    missed = [bound for bound in kept if bound.missed]
    if not bounded:
        verdict, message = QualityVerdict.UNKNOWN, "spec.monitoring.quality has no bound"
    elif labelled < ENOUGH_LABELS:
        verdict = QualityVerdict.UNKNOWN
        message = f"{labelled} labelled rows, a verdict needs {ENOUGH_LABELS}"
    elif missed:
        verdict, message = QualityVerdict.LOW, "; ".join(bound.told() for bound in missed)
    else:
        verdict, message = QualityVerdict.OK, f"{labelled} labelled rows keep every bound, within noise of 95 %"
    return QualityMeasured(
        verdict=verdict,
        labelled=labelled,
        coverage=coverage,
        delay_seconds=delay_seconds,
        metrics={metric: value for metric, value in values.items() if np.isfinite(value)},
        bounds=kept if labelled >= ENOUGH_LABELS else (),
        estimated=estimated,
        message=message + note,
    )


def _bound(
    bound: QualityBound, value: float, truth: Numbers, answers: Numbers, rng: np.random.Generator
) -> BoundMeasured:
    low, high = interval(bound.metric, truth, answers, rng)
    return BoundMeasured(
        metric=bound.metric,
        minimum=float(bound.minimum) if bound.minimum is not None else None,
        maximum=float(bound.maximum) if bound.maximum is not None else None,
        value=value,
        low=min(low, value),
        high=max(high, value),
    )


def interval(metric: Metric, truth: Numbers, answers: Numbers, rng: np.random.Generator) -> tuple[float, float]:
    """Where 95 % of the metric's values lie when the rows are drawn again (percentile bootstrap, Efron 1979)."""
    rows = len(truth)
    if metric in OF_CONFUSION:
        # Rows of the same truth and answer are alike: their numbers are drawn instead of them.
        cells = confusion(truth, answers, np.ones(rows))
        drawn = rng.multinomial(rows, cells.ravel() / rows, size=RESAMPLES)
        found = [OF_CONFUSION[metric](again.reshape(cells.shape).astype(np.float64)) for again in drawn]
    else:
        if rows > RESAMPLED_ROWS:
            chosen = rng.choice(rows, RESAMPLED_ROWS, replace=False)
            truth, answers, rows = truth[chosen], answers[chosen], RESAMPLED_ROWS
        found = [
            score(metric, truth, answers, np.bincount(rng.integers(0, rows, rows), minlength=rows).astype(np.float64))
            for _ in range(RESAMPLES)
        ]
    finite = np.array(found)[np.isfinite(found)]
    low, high = np.percentile(finite, INTERVAL) if finite.size else (np.nan, np.nan)
    return float(low), float(high)


def estimate(profile: Profile, answers: Numbers) -> dict[Metric, float]:
    """What the metrics may be, from the answers alone: each is right as often as held-out answers like it were.

    Confidence-based performance estimation. It sees a change of inputs, never one of what they mean, so it decides
    nothing.
    """
    answers = answers[np.isfinite(answers).all(axis=1)]
    if not len(answers):
        return {}
    if profile.task is Task.REGRESSION:
        table = profile.answers.errors
        if not table:
            return {}
        places = np.minimum(np.searchsorted(np.array([found.upto for found in table]), answers[:, 0]), len(table) - 1)
        absolute = np.array([found.absolute for found in table])[places].mean()
        squared = np.array([found.squared for found in table])[places].mean()
        return {Metric.MAE: float(absolute), Metric.RMSE: float(np.sqrt(squared))}
    if any(not profile.answers.confidence.get(label) for label in profile.classes):
        return {}
    probable = np.column_stack([_calibrated(profile, label, answers[:, k]) for k, label in enumerate(profile.classes)])
    probable /= probable.sum(axis=1, keepdims=True)
    said = answers.argmax(axis=1)
    classes = len(profile.classes)
    cells = np.array([np.bincount(said, probable[:, k], classes) for k in range(classes)], dtype=np.float64)
    return {metric: of(cells) for metric, of in OF_CONFUSION.items()}


def _calibrated(profile: Profile, label: str, probabilities: Floats) -> Floats:
    """How often held-out rows of such a probability were of the class; between two bins, between both."""
    table = profile.answers.confidence[label]
    means = np.array([found.mean for found in table])
    # Half a hit and half a miss more: a bin of ten rows does not make anything certain.
    hits = np.array([(found.hits + 0.5) / (found.rows + 1) for found in table])
    return np.asarray(np.interp(probabilities, means, hits), dtype=np.float64)


def _told(values: dict[Metric, float]) -> Metrics:
    return Metrics(**{metric.value: f"{value:.6g}" for metric, value in values.items() if np.isfinite(value)})
