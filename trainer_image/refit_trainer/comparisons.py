"""Champion against challenger: on rows that are new to both, and on logged requests where nobody sees the challenger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refit.api.dataspec import ColumnType
from refit.api.metrics import Metric
from refit.api.outcome import Comparison, Shadow
from refit_trainer.datasets import Dataset
from refit_trainer.errors import RefusedError
from refit_trainer.exports import Served
from refit_trainer.resampling import FEWEST_ROWS, difference
from refit_trainer.retrainings import NewRows, Retraining
from refit_trainer.scores import number
from refit_trainer.versions import Version, logged
from refit_trainer.windows import LABEL, PREDICTION

METHOD = "paired bootstrap"
APART = 0.1
"""Part of the spread of the champion's predictions by which two of them differ."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """How the comparison ended; `comparison` is None where there was nothing to compare on, and the champion stays."""

    comparison: Comparison | None
    told: str

    @property
    def better(self) -> bool:
        return self.comparison is not None and self.comparison.better


def contest(
    new: NewRows, champion: Version, challenger: Served, dataset: Dataset, metric: Metric, seed: int
) -> Contest:
    """The challenger against the champion on rows that are new to both."""
    rows = len(new.rows)
    if rows < FEWEST_ROWS:
        return Contest(
            comparison=None,
            told=f"version {champion.number} stays: {rows} rows are new to both models, a comparison needs "
            f"{FEWEST_ROWS} ({new.told})",
        )
    try:
        theirs = champion.answers(new.rows.frame, dataset.classes)
    except RefusedError as error:
        return Contest(
            comparison=None, told=f"version {champion.number} stays, it can not be compared: {error.message}"
        )
    ours = challenger.answers(new.rows.frame)
    found = difference(metric, new.rows.answers, theirs, ours, seed)
    if not np.isfinite([found.champion, found.challenger, found.low, found.high]).all():
        return Contest(
            comparison=None,
            told=f"version {champion.number} stays: {metric} has no meaning on {rows} rows ({new.told})",
        )
    comparison = Comparison(
        metric=metric.value,
        champion=number(found.champion),
        challenger=number(found.challenger),
        low=number(found.low),
        high=number(found.high),
        rows=rows,
        better=found.better,
        method=f"{METHOD} on {new.told}"[:256],
    )
    apart = f"[{comparison.low}, {comparison.high}]"
    told = f"{metric} {comparison.challenger} against {comparison.champion} of version {champion.number} on {rows} rows"
    if found.better:
        return Contest(comparison=comparison, told=f"{told}, difference {apart}: better beyond chance")
    return Contest(
        comparison=comparison,
        told=f"version {champion.number} stays: {told}, difference {apart}: not better beyond chance",
    )


def shadow(held: Retraining, challenger: Served) -> Shadow | None:
    """The challenger on the latest requests that the champion answered; None where there are none to ask."""
    if held.requests is None:
        return None
    table = held.requests.recent
    table = table.filter(np.asarray(table.column("version").to_numpy()) == held.champion.number)
    if not table.num_rows:
        return None
    try:
        frame = logged(challenger.signature.inputs, table)
    except RefusedError:
        return None  # a masked column: nobody can ask that again
    failed = np.zeros(len(frame), dtype=bool)
    for column in challenger.signature.inputs:
        if not column.nullable:
            values = frame[column.name].to_numpy()
            failed |= np.isnan(values) if column.type is ColumnType.NUMBER else values == ""
    answers = challenger.answers(frame)
    failed |= ~np.isfinite(answers).all(axis=1)
    differing = _differing(challenger, answers, table) & ~failed
    return Shadow(requests=len(frame), differing=int(differing.sum()), failed=int(failed.sum()))


def _differing(challenger: Served, answers: np.ndarray, table: object) -> np.ndarray:
    """Where the challenger says another class, or a number that is far from the champion's."""
    names = table.column_names  # type: ignore[attr-defined]  # pyarrow ships no types
    wanted = LABEL if challenger.signature.classes else PREDICTION
    if wanted not in names:
        return np.zeros(len(answers), dtype=bool)
    said = table.column(wanted).to_pylist()  # type: ignore[attr-defined]  # as above
    if challenger.signature.classes:
        classes = challenger.signature.classes
        return np.array([classes[place] != str(was) for place, was in zip(answers.argmax(axis=1), said, strict=True)])
    was = np.array([np.nan if value is None else value for value in said], dtype=np.float64)
    return np.asarray(np.abs(answers[:, 0] - was) > APART * np.nanstd(was))
