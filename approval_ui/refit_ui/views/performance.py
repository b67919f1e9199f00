"""How good the version that serves is, and by how much that differs from the champion before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from refit.api.deploymentstatus import VersionRecord, VersionState
from refit.api.metrics import LOWER_IS_BETTER, REGRESSION_METRICS, Metric
from refit.api.modeldeployment import Task
from refit.api.objects import Model
from refit_ui.views.tones import Tone

FIRST = {
    Task.CLASSIFICATION: (Metric.ACCURACY, Metric.F1, Metric.ROC_AUC),
    Task.REGRESSION: (Metric.RMSE, Metric.MAE, Metric.R2),
}
NAMES = {
    Metric.ACCURACY: "Accuracy",
    Metric.BALANCED_ACCURACY: "Balanced accuracy",
    Metric.PRECISION: "Precision",
    Metric.RECALL: "Recall",
    Metric.F1: "F1",
    Metric.ROC_AUC: "AUC",
    Metric.PR_AUC: "PR AUC",
    Metric.LOG_LOSS: "Log loss",
    Metric.RMSE: "RMSE",
    Metric.MAE: "MAE",
    Metric.R2: "R²",
    Metric.MAPE: "MAPE",
}
UNKNOWN = "not known"


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A number with a line below it; the tone is that of the line."""

    name: str
    value: str
    below: str = ""
    tone: Tone = Tone.CALM


def previous_champion(model: Model) -> VersionRecord | None:
    """The version that served until the present one did."""
    served = [one for one in model.status.history if one.state == VersionState.RETIRED and one.since is not None]
    return max(served, key=lambda one: (one.until or "", one.version), default=None)


def tiles(
    model: Model, now: Mapping[str, float], before: Mapping[str, float], previous: VersionRecord | None
) -> tuple[Tile, ...]:
    """The task's first three metrics; one that is not known says so."""
    return tuple(_tile(metric, now.get(metric), before.get(metric), previous) for metric in FIRST[model.spec.task])


def more(model: Model, now: Mapping[str, float], before: Mapping[str, float]) -> tuple[tuple[str, str, str], ...]:
    """Every other metric of the task: name, now, before."""
    shown = FIRST[model.spec.task]
    others = [
        one
        for one in Metric
        if one not in shown and (one in REGRESSION_METRICS) == (model.spec.task == Task.REGRESSION)
    ]
    return tuple(
        (NAMES[one], _number(now.get(one)), _number(before.get(one))) for one in others if one in now or one in before
    )


def recorded(record: VersionRecord | None) -> dict[str, float]:
    """The one metric that the history itself keeps, for when MLflow is away."""
    return {record.metric: float(record.value)} if record is not None else {}


def latency(now: float | None, before: float | None, previous: VersionRecord | None) -> Tile:
    """Seconds at the median, as milliseconds; less is better."""
    if now is None:
        return Tile(name="Latency", value=UNKNOWN, below="no Prometheus knows it")
    if before is None or previous is None:
        return Tile(name="Latency", value=f"{1000 * now:.1f} ms", below="no earlier version to compare with")
    change = 1000 * (now - before)
    tone = Tone.GOOD if change < 0 else Tone.BAD if change > 0 else Tone.CALM
    return Tile(
        name="Latency", value=f"{1000 * now:.1f} ms", below=f"{change:+.1f} ms against v{previous.version}", tone=tone
    )


def _tile(metric: Metric, now: float | None, before: float | None, previous: VersionRecord | None) -> Tile:
    if now is None:
        return Tile(name=NAMES[metric], value=UNKNOWN)
    if before is None or previous is None:
        return Tile(name=NAMES[metric], value=_number(now), below="no earlier version to compare with")
    change = now - before
    if round(change, 4) == 0:
        return Tile(name=NAMES[metric], value=_number(now), below=f"as v{previous.version}")
    better = (change < 0) == (metric in LOWER_IS_BETTER)
    return Tile(
        name=NAMES[metric],
        value=_number(now),
        below=f"{change:+.3f} against v{previous.version}",
        tone=Tone.GOOD if better else Tone.BAD,
    )


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"
