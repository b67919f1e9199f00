"""A window of requests: the inputs by name, what was answered, and what turned out to be true."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from refit.api.dataspec import ColumnType
from refit.api.modeldeployment import Task
from refit.api.profile import Profile
from refit_monitor.columns import coded, plain, values
from refit_monitor.scores import Numbers

INPUT, PROBABILITY = "input.", "probability."
LABEL, PREDICTION, TRUTH = "label", "prediction", "truth"


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What came late, a row: the class's place or -1, or the number or NaN. `unknown` labels were of no class."""

    values: Numbers
    unknown: int = 0
    delay_seconds: float | None = None
    """The median time from an answer to its label."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """`answers` are columns by the collector's names; the inputs that are masked are not there."""

    rows: int
    inputs: dict[str, pa.ChunkedArray]
    answers: dict[str, pa.ChunkedArray] = field(default_factory=dict)
    truth: pa.ChunkedArray | None = None
    answered_at: pa.ChunkedArray | None = None
    labelled_at: pa.ChunkedArray | None = None

    def answered(self, profile: Profile) -> Numbers | None:
        """Probabilities per class, or one number, a row; None where the window does not have them."""
        names = (
            [f"{PROBABILITY}{label}" for label in profile.classes]
            if profile.task is Task.CLASSIFICATION
            else [PREDICTION]
        )
        if not self.rows or not names or any(name not in self.answers for name in names):
            return None
        return np.column_stack([values(self.answers[name]) for name in names])

    def known(self, profile: Profile) -> Truth:
        """The labels, where they have come."""
        if self.truth is None or not self.rows:
            return Truth(values=np.full(self.rows, -1 if profile.classes else np.nan))
        codes, words = coded(self.truth)
        found: Numbers
        if profile.task is Task.CLASSIFICATION:
            place_of = {label: place for place, label in enumerate(profile.classes)}
            places = [-1, *(place_of.get(word, place_of.get(_whole(word), -2)) for word in words)]
            found = np.array(places, dtype=np.int64)[codes]
            unknown = int((found == -2).sum())  # noqa: PLR2004 - as marked above
            found[found < 0] = -1
        else:
            numbers = np.array([np.nan, *(_number(word) for word in words)])
            found = numbers[codes]
            unknown = int(((codes > 0) & ~np.isfinite(found)).sum())
        return Truth(values=found, unknown=unknown, delay_seconds=self._delay())

    def _delay(self) -> float | None:
        if self.answered_at is None or self.labelled_at is None:
            return None
        passed = pc.cast(pc.subtract(self.labelled_at, self.answered_at), pa.int64()).drop_null()
        return float(np.median(passed.to_numpy())) / 1e6 if len(passed) else None

    def only(self, chosen: Numbers) -> Window:
        """The rows chosen by a mask."""
        mask = pa.array(chosen)

        def cut(column: pa.ChunkedArray | None) -> pa.ChunkedArray | None:
            return None if column is None else column.filter(mask)

        return Window(
            rows=int(chosen.sum()),
            inputs={name: column.filter(mask) for name, column in self.inputs.items()},
            answers={name: column.filter(mask) for name, column in self.answers.items()},
            truth=cut(self.truth),
            answered_at=cut(self.answered_at),
            labelled_at=cut(self.labelled_at),
        )


def from_collector(table: pa.Table) -> Window:
    """A window as the collector serves it."""
    names = table.column_names

    def column(name: str) -> pa.ChunkedArray | None:
        return table.column(name) if name in names else None

    return Window(
        rows=table.num_rows,
        inputs={name.removeprefix(INPUT): table.column(name) for name in names if name.startswith(INPUT)},
        answers={
            name: table.column(name) for name in names if name in {LABEL, PREDICTION} or name.startswith(PROBABILITY)
        },
        truth=column(TRUTH),
        answered_at=column("time"),
        labelled_at=column("truth_time"),
    )


def answer_columns(profile: Profile, window: Window, at_most: int) -> dict[str, ColumnType]:
    """The columns in which answers are compared: the label and probabilities, of two classes the second's; or the number."""
    wanted = {LABEL: ColumnType.CATEGORY} if profile.answers.labels is not None else {}
    if profile.answers.predictions is not None:
        wanted[PREDICTION] = ColumnType.NUMBER
    shown = profile.classes[1:] if len(profile.classes) == 2 else profile.classes  # noqa: PLR2004 - two classes
    if len(shown) <= at_most:
        wanted |= {
            f"{PROBABILITY}{label}": ColumnType.NUMBER for label in shown if label in profile.answers.probabilities
        }
    return {name: kind for name, kind in wanted.items() if name in window.answers}


def _whole(word: str) -> str:
    """1.0 as 1: a label may come as the number that a table made of it."""
    number = _number(word)
    return plain(number) if np.isfinite(number) else word


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")
