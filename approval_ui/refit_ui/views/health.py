"""How a model is, in one word, and the table of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refit.api.conditions import ConditionStatus
from refit.api.objects import Model
from refit.api.reasons import ConditionType
from refit.api.times import age
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import Chip, Tone

WORST_FIRST = (Tone.BAD, Tone.DOUBT, Tone.WORK, Tone.CALM, Tone.GOOD)


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """One model on the overview. `waiting` counts the requests that wait for a person."""

    namespace: str
    name: str
    health: Chip
    why: str
    version: str
    metric: str
    drift: str
    measured: str
    waiting: int
    open: int


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Counts for the tiles, and a row per model, the worst first."""

    models: int
    well: int
    drifted: int
    troubled: int
    waiting: int
    rows: tuple[ModelRow, ...]


def overview(snapshot: Snapshot, now: datetime) -> Overview:
    waiting: dict[tuple[str, str], int] = {}
    opened: dict[tuple[str, str], int] = {}
    for request in snapshot.requests:
        if request.open:
            key = (request.namespace, request.spec.target_ref.name)
            opened[key] = opened.get(key, 0) + 1
    for request in snapshot.waiting:
        key = (request.namespace, request.spec.target_ref.name)
        waiting[key] = waiting.get(key, 0) + 1
    rows = [
        _row(
            one, now, waiting=waiting.get((one.namespace, one.name), 0), opened=opened.get((one.namespace, one.name), 0)
        )
        for one in snapshot.models
    ]
    rows.sort(key=lambda row: (WORST_FIRST.index(row.health.tone), -row.waiting, row.namespace, row.name))
    return Overview(
        models=len(rows),
        well=sum(row.health.tone == Tone.GOOD for row in rows),
        drifted=sum(is_true(one, ConditionType.DRIFTED) for one in snapshot.models),
        troubled=sum(row.health.tone == Tone.BAD for row in rows),
        waiting=len(snapshot.waiting),
        rows=tuple(rows),
    )


def health(model: Model) -> Chip:
    """What a person should know first."""
    ready = model.condition(ConditionType.READY)
    if ready is None:
        return Chip(Tone.CALM, "Not looked at yet")
    if is_true(model, ConditionType.STALLED):
        return Chip(Tone.BAD, "Needs a person")
    if ready.status != ConditionStatus.TRUE:
        return Chip(Tone.WORK, "Working")
    quality = model.condition(ConditionType.QUALITY_OK)
    if quality is not None and quality.status == ConditionStatus.FALSE:
        return Chip(Tone.BAD, "Quality low")
    if is_true(model, ConditionType.DRIFTED):
        return Chip(Tone.DOUBT, "Drifted")
    return Chip(Tone.GOOD, "Healthy")


def is_true(model: Model, kind: ConditionType) -> bool:
    found = model.condition(kind)
    return found is not None and found.status == ConditionStatus.TRUE


def _why(model: Model, tone: Tone) -> str:
    """The message behind the word."""
    if tone == Tone.DOUBT:
        found = model.condition(ConditionType.DRIFTED)
    elif tone == Tone.BAD and not is_true(model, ConditionType.STALLED):
        found = model.condition(ConditionType.QUALITY_OK)
    else:
        found = model.condition(ConditionType.READY)
    return found.message if found is not None else "The operator has not looked at it yet."


def _row(model: Model, now: datetime, *, waiting: int, opened: int) -> ModelRow:
    status, chip = model.status, health(model)
    last = status.last_measurement
    return ModelRow(
        namespace=model.namespace,
        name=model.name,
        health=chip,
        why=_why(model, chip.tone),
        version=f"v{status.serving.version}" if status.serving is not None else "none",
        metric=_shortened(status.metric) if status.metric else "not known",
        drift=status.drift or "not measured",
        measured=f"{age(last.time, now)} ago" if last is not None else "never",
        waiting=waiting,
        open=opened,
    )


def _shortened(metric: str) -> str:
    """f1 0.835616 as f1 0.836."""
    name, _, value = metric.partition(" ")
    try:
        return f"{name} {float(value):.3f}"
    except ValueError:
        return metric
