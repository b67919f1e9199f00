"""Whether requests are what the model was made for: complete, valid, consistent, unique; and a score of 0 to 100.

A share of bad rows is a problem, and makes the data invalid, when it passes what is tolerated beyond what training
data shows. Formulas and tolerances are in docs/monitoring.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refit.api.measured import DataQuality
from refit.api.profile import ColumnProfile, Profile
from refit_monitor.columns import NumbersSeen, Seen, TextsSeen, plain

WEIGHTS = {"completeness": 0.3, "validity": 0.3, "consistency": 0.25, "uniqueness": 0.15}
TOLERATED = 0.01
"""Share of rows that may break a declared rule or type."""
MISSING_MORE = 0.1
"""By how much the share of missing values may exceed training's."""
ONE_VALUE = 0.95
USUAL_AT_MOST = 0.5
"""A column is stuck when one value has this share of the rows, and had less than that in training."""
REPEATED = 0.5
IMPROBABLE = 1e-4
"""How improbable it must be that a column of few rows is stuck by chance."""
_GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, kw_only=True)
class ColumnQuality:
    """One column, as shares of rows that are not as they should be."""

    name: str
    missing: float = 0.0
    invalid: float = 0.0
    inconsistent: float = 0.0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Quality:
    """All columns, and the score."""

    completeness: float
    validity: float
    consistency: float
    uniqueness: float
    problems: tuple[str, ...]

    @property
    def valid(self) -> bool:
        return not self.problems

    @property
    def score(self) -> float:
        return 100 * sum(weight * float(getattr(self, name)) for name, weight in WEIGHTS.items())

    def record(self) -> dict[str, Any]:
        """As the collector keeps it."""
        return {
            "valid": self.valid,
            "score": round(self.score, 2),
            **{name: round(float(getattr(self, name)), 4) for name in WEIGHTS},
            "problems": list(self.problems),
        }

    def short(self) -> DataQuality:
        return DataQuality(valid=self.valid, score=f"{self.score:.4g}", message="; ".join(self.problems)[:1024])


def quality(columns: Sequence[ColumnQuality], repeated: Repetition | None) -> Quality:
    """All columns together: each share is the mean of the columns' and of the worst one's."""
    problems = tuple(problem for column in columns for problem in column.problems)
    excess = repeated.excess if repeated is not None else 0.0
    if repeated is not None and repeated.same > REPEATED:
        problems += (
            f"{repeated.repeated} of {repeated.rows} rows repeat another row, nearly all of them one and the same",
        )
    return Quality(
        completeness=_share([column.missing for column in columns]),
        validity=_share([column.invalid for column in columns]),
        consistency=_share([column.inconsistent for column in columns]),
        uniqueness=1 - excess,
        problems=problems,
    )


def column_quality(profile: ColumnProfile, seen: Seen) -> ColumnQuality:
    """One column against its profile and what is declared of it."""
    if not seen.rows:
        return ColumnQuality(name=profile.name)
    found = ColumnQuality(name=profile.name)
    for look in (_missing, _wrong, _invalid, _stuck):
        part = look(profile, seen)
        found = replace(
            found,
            missing=max(found.missing, part.missing),
            invalid=max(found.invalid, part.invalid),
            inconsistent=max(found.inconsistent, part.inconsistent),
            problems=(*found.problems, *part.problems),
        )
    return found


def _missing(profile: ColumnProfile, seen: Seen) -> ColumnQuality:
    held = profile.numbers or profile.texts
    usual = held.missing / max(1, held.missing + held.count) if held is not None else 0.0
    share = seen.missing / seen.rows
    excess = max(0.0, share - usual)
    certain = excess - 2 * math.sqrt(max(usual * (1 - usual), 0.01) / seen.rows) > 0
    name = profile.name
    if seen.missing == seen.rows and usual < 1:
        problem = f"{name!r} is missing in all {seen.rows} rows; {usual:.1%} of training data's were"
    elif excess > MISSING_MORE and certain:
        problem = f"{name!r} is missing in {seen.missing} of {seen.rows} rows; {usual:.1%} of training data's were"
    else:
        return ColumnQuality(name=name, missing=excess)
    return ColumnQuality(name=name, missing=excess, problems=(problem,))


def _wrong(profile: ColumnProfile, seen: Seen) -> ColumnQuality:
    """Text, an infinite number or something else where a number should be; fractions where all numbers were whole."""
    share = seen.wrong / seen.rows
    name = profile.name
    if share > TOLERATED:
        problem = f"{name!r} is a {profile.type} but {seen.wrong} of {seen.rows} rows hold something else"
        return ColumnQuality(name=name, inconsistent=share, problems=(problem,))
    if isinstance(seen, NumbersSeen) and profile.numbers is not None and profile.numbers.whole:
        share += seen.fractions() / seen.rows
    return ColumnQuality(name=name, inconsistent=share)


def _invalid(profile: ColumnProfile, seen: Seen) -> ColumnQuality:
    """Values outside of what data.columns declares."""
    told: list[str] = []
    bad = 0
    if isinstance(seen, NumbersSeen):
        for bound, count, word in (
            (profile.minimum, seen.below(profile.minimum) if profile.minimum is not None else 0, "less than min"),
            (profile.maximum, seen.above(profile.maximum) if profile.maximum is not None else 0, "more than max"),
        ):
            bad += count
            if count:
                told.append(f"{profile.name!r} is {word} {plain(bound or 0.0)} in {count} of {seen.rows} rows")
    elif profile.categories:
        declared = set(profile.categories)
        bad = sum(count for word, count in seen.counts.items() if word not in declared)
        if bad:
            listed = ", ".join(profile.categories[:8])
            told.append(f"{profile.name!r} is none of its categories {listed} in {bad} of {seen.rows} rows")
    share = bad / seen.rows
    return ColumnQuality(name=profile.name, invalid=share, problems=tuple(told) if share > TOLERATED else ())


def _stuck(profile: ColumnProfile, seen: Seen) -> ColumnQuality:
    """One value in nearly all rows that was in less than half of training's."""
    value, count = seen.commonest()
    if not count or count < ONE_VALUE * seen.rows:
        return ColumnQuality(name=profile.name)
    usual = _usual(profile, seen, value)
    if usual > USUAL_AT_MOST or count * math.log(max(usual, 1e-3)) > math.log(IMPROBABLE):
        return ColumnQuality(name=profile.name)
    said = "0" if value == "0" else f"one value, {value!r}," if isinstance(seen, TextsSeen) else f"one value, {value},"
    rows = f"all {seen.rows} rows" if count == seen.rows else f"{count} of {seen.rows} rows"
    problem = f"{profile.name!r} is suddenly {said} in {rows}; {usual:.1%} of training data's were"
    return ColumnQuality(name=profile.name, inconsistent=count / seen.rows, problems=(problem,))


def _usual(profile: ColumnProfile, seen: Seen, value: str) -> float:
    """The value's share in training data."""
    if profile.texts is not None:
        return profile.texts.counts.get(value, 0) / max(1, profile.texts.count)
    held = profile.numbers
    if held is None or not held.count or not isinstance(seen, NumbersSeen):
        return 0.0
    place = int(np.searchsorted(np.array(held.knots, dtype=np.float32), np.float32(value)))
    if place >= len(held.knots) or np.float32(held.knots[place]) != np.float32(value):
        return 0.0
    at = held.at[place] if held.at else held.upto[place] - (held.upto[place - 1] if place else 0)
    return at / held.count


@dataclass(frozen=True)
class Repetition:
    """How often rows repeat each other in every input, beyond what training data lets one expect."""

    rows: int
    repeated: int
    excess: float
    same: float
    """The share that one and the same row has. Many rows that come twice are a small world, or a sender that tries
    again; one row that comes always is no world at all."""


class RowCodes:
    """Each row's inputs as one number of 64 bits, built up column by column."""

    def __init__(self, rows: int) -> None:
        self._codes = np.zeros(rows, dtype=np.uint64)

    def add(self, column: NDArray[np.uint32]) -> None:
        # Multiply and fold, in place: equal rows stay equal, others part but for one chance in 2^64.
        self._codes ^= column
        self._codes *= _GOLDEN_RATIO
        self._codes ^= self._codes >> np.uint64(29)

    def _sizes(self) -> NDArray[np.float64]:
        """How many rows there are of each."""
        ordered = np.sort(self._codes)
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        return np.diff(np.append(starts, ordered.size)).astype(np.float64)

    def equal_pairs(self) -> int:
        """How many pairs of rows are equal."""
        sizes = self._sizes()
        return int((sizes * (sizes - 1)).sum() / 2) if self._codes.size else 0

    def repetition(self, profile: Profile) -> Repetition:
        """Against training data, by the chance that two rows are equal; that chance does not depend on the size."""
        rows = self._codes.size
        sizes = self._sizes()
        repeated = rows - sizes.size
        pairs = max(1, profile.rows * (profile.rows - 1) // 2)
        # An upper limit of 95 %: with none seen, three could have been.
        usual = (profile.equal_pairs + 2 * math.sqrt(profile.equal_pairs) + 3) / pairs
        expected = min(1.0, (rows - 1) / 2 * usual)
        found = float((sizes * (sizes - 1)).sum() / max(1, rows * (rows - 1)))
        same = math.sqrt(max(0.0, found - usual))
        return Repetition(rows, repeated, min(1.0, max(0.0, repeated / max(1, rows) - expected, same)), same)


def _share(bad: Sequence[float]) -> float:
    return 1 - (sum(bad) / len(bad) + max(bad)) / 2 if bad else 1.0
