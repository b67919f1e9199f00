"""Drift of one column: how far the window is from the reference, by the statistic asked for, and how certain that is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from refit.api.dataspec import ColumnType
from refit.api.monitoring import Drift, DriftMethod
from refit.api.profile import CategoryProfile, NumberProfile
from refit_monitor import certainty, effects
from refit_monitor.columns import Counts, Floats, NumbersSeen, Seen, TextsSeen
from refit_monitor.effects import NumberPair
from refit_monitor.errors import BadInputError
from refit_monitor.measured_columns import ColumnDrift

MISSING_RATE = "MissingRate"
"""The method of a column whose share of missing values is what changed."""
WAYS = 2
"""In which a column can change, its values and its share of missing ones: each must be that much more certain. Counted
even where nothing is missing, which keeps false alarms well below alpha and not just about there."""
WASSERSTEIN_CELLS = 128
METHODS = {
    ColumnType.NUMBER: (
        DriftMethod.KS,
        DriftMethod.WASSERSTEIN,
        DriftMethod.PSI,
        DriftMethod.JENSEN_SHANNON,
        DriftMethod.CHI_SQUARE,
        DriftMethod.TVD,
    ),
    ColumnType.CATEGORY: (DriftMethod.TVD, DriftMethod.CHI_SQUARE, DriftMethod.PSI, DriftMethod.JENSEN_SHANNON),
}
"""What can decide for a type of column; the first does where nothing else is asked for."""


class Part(NamedTuple):
    """One way in which a column can have changed."""

    method: str
    effect: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When a column has drifted, and the seed of what is drawn for it."""

    threshold: float
    method: DriftMethod | None = None
    seed: str = ""


class Rules:
    """spec.monitoring.drift, by column."""

    def __init__(self, drift: Drift, seed: str) -> None:
        self._all = float(drift.threshold)
        self._own = {own.column: own for own in drift.features}
        self._seed = seed

    def of(self, column: str) -> Rule:
        own = self._own.get(column)
        return Rule(
            threshold=float(own.threshold) if own is not None and own.threshold is not None else self._all,
            method=own.method if own is not None else None,
            seed=f"{self._seed}/{column}",
        )

    def within(self, segment: str, column: str) -> Rule:
        """That of the column, with a seed of its own: what is drawn for a segment is not what is drawn for another."""
        return replace(self.of(column), seed=f"{self._seed}/segments/{segment}/{column}")

    def of_answers(self, column: str) -> Rule:
        """Answers have the common threshold; a rule of their own would be taken for that of an input."""
        return Rule(threshold=self._all, seed=f"{self._seed}/answers/{column}")

    def check(self, types: dict[str, ColumnType]) -> None:
        """Raises BadInputError for a column that is none, or a method that does not fit it."""
        for place, (column, own) in enumerate(self._own.items()):
            where = f"spec.monitoring.drift.features[{place}]"
            if column not in types:
                known = ", ".join(list(types)[:20])
                raise BadInputError(f"{where}.column: the model has no input {column!r}; it has {known}")
            if own.method is not None and own.method not in METHODS[types[column]]:
                fitting = ", ".join(METHODS[types[column]])
                raise BadInputError(
                    f"{where}.method: {own.method} does not fit {column!r}, a {types[column]}; one of {fitting}"
                )


def column_drift(
    name: str, profile: NumberProfile | CategoryProfile, seen: Seen, rule: Rule, *, note: str = ""
) -> ColumnDrift:
    """What is found of one column; the verdict, which needs all columns, is not in it yet."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(rule.seed.encode()).digest()[:8]))
    statistics: dict[str, float] = {}
    if isinstance(profile, NumberProfile):
        assert isinstance(seen, NumbersSeen)  # noqa: S101 - columns are read by the profile's type
        kind = ColumnType.NUMBER
    else:
        assert isinstance(seen, TextsSeen)  # noqa: S101 - columns are read by the profile's type
        kind = ColumnType.CATEGORY
    method = rule.method or METHODS[kind][0]
    parts = [Part(method, 0.0, 1.0)]
    if profile.count and seen.count:
        part, statistics = (
            _numbers(effects.number_pair(profile, seen), method, rule.threshold, rng)
            if isinstance(profile, NumberProfile) and isinstance(seen, NumbersSeen)
            else _texts(profile, seen, method, rng)  # type: ignore[arg-type]  # the two types go together, as asserted
        )
        parts = [part]
    else:
        note = note or ("no value in the window" if profile.count else "no value in the reference")
    missing = seen.missing + seen.wrong
    if missing or profile.missing:
        parts.append(_missing(profile, seen, rng))
    # The first is the column's own, and gives way only to one that could make a difference.
    deciding = max(
        parts, key=lambda part: (part.effect >= rule.threshold, -part.p_value if part.effect >= rule.threshold else 0)
    )
    return ColumnDrift(
        column=name,
        type=kind,
        method=deciding.method,
        effect=deciding.effect,
        threshold=rule.threshold,
        p_value=min(1.0, deciding.p_value * WAYS),
        missing=missing / seen.rows if seen.rows else 0.0,
        statistics=statistics,
        note=note,
    )


def _missing(profile: NumberProfile | CategoryProfile, seen: Seen, rng: np.random.Generator) -> Part:
    reference = np.array([profile.missing, profile.count], dtype=np.int64)
    window = np.array([seen.missing + seen.wrong, seen.count], dtype=np.int64)
    _, p_value = certainty.counted(reference, window, rng)
    change = abs(window[0] / window.sum() - reference[0] / reference.sum()) if window.sum() else 0.0
    return Part(MISSING_RATE, float(change), p_value)


def _numbers(
    pair: NumberPair, method: DriftMethod, threshold: float, rng: np.random.Generator
) -> tuple[Part, dict[str, float]]:
    distance = pair.distance()
    ks_p_value = certainty.kolmogorov_smirnov(pair, distance)
    binned, statistics = _counted(*pair.bins(), rng if method in EFFECTS else None)
    statistics |= {"ks": distance, "ksPValue": ks_p_value, "wasserstein": pair.wasserstein()}
    if method is DriftMethod.KS:
        return Part(method, distance, ks_p_value), statistics
    if method is DriftMethod.WASSERSTEIN:
        effect = min(1.0, statistics["wasserstein"])
        # Its own null takes a while, and can only matter where the effect is there.
        certain = _wasserstein_p_value(pair, rng, ks_p_value) if effect >= threshold else ks_p_value
        return Part(method, effect, certain), statistics
    return Part(method, EFFECTS[method](statistics), binned), statistics


def _texts(
    profile: CategoryProfile, seen: TextsSeen, method: DriftMethod, rng: np.random.Generator
) -> tuple[Part, dict[str, float]]:
    reference, window = effects.word_counts(profile, seen)
    p_value, statistics = _counted(reference, window, rng)
    statistics["unseen"] = float(window[reference == 0].sum() / window.sum())
    return Part(method, EFFECTS[method](statistics), p_value), statistics


def _counted(reference: Counts, window: Counts, rng: np.random.Generator | None) -> tuple[float, dict[str, float]]:
    """The p-value of counts in cells, and every statistic of them."""
    p, q = effects.shares(reference), effects.shares(window)
    statistic, p_value = certainty.counted(reference, window, rng)
    return p_value, {
        "tvd": effects.total_variation(p, q),
        "psi": effects.stability_index(p, q),
        "jensenShannon": effects.jensen_shannon(p, q),
        "triangular": effects.triangular(p, q),
        "chiSquare": statistic,
        "chiSquarePValue": p_value,
    }


def _wasserstein_p_value(pair: NumberPair, rng: np.random.Generator, ks_p_value: float) -> float:
    """Of the distance, from windows drawn out of both samples together, on a grid of at most 128 cells; beyond what
    draws can tell, Kolmogorov and Smirnov's."""
    ranks = np.arange(1, WASSERSTEIN_CELLS) / WASSERSTEIN_CELLS * pair.profile.count
    ends = np.unique(np.searchsorted(pair.reference_upto, ranks))
    reference = np.diff(np.concatenate(([0], pair.reference_upto[ends], [pair.profile.count])))
    window = np.diff(np.concatenate(([0], pair.window_upto[ends], [pair.seen.count])))
    places = np.append(pair.knots[ends], max(pair.knots[-1], pair.seen.ordered[-1])).astype(np.float64)
    there = reference + window > 0
    pooled, widths = (reference + window)[there], np.diff(places[there])
    m, n = pair.profile.count, pair.seen.count

    def distances(windows: Counts) -> Floats:
        ours = np.cumsum(windows, axis=1)[:, :-1]
        theirs = np.cumsum(pooled - windows, axis=1)[:, :-1]
        return np.asarray((np.abs(ours / n - theirs / m) * widths).sum(axis=1), dtype=np.float64)

    found = float(distances(window[there][None, :])[0])
    return certainty.drawn_p_value(
        lambda windows: distances(windows) >= found * (1 - 1e-9), pooled, n, rng, beyond=lambda: ks_p_value
    )


EFFECTS: dict[DriftMethod, Callable[[dict[str, float]], float]] = {
    DriftMethod.TVD: lambda found: found["tvd"],
    DriftMethod.CHI_SQUARE: lambda found: found["triangular"],
    DriftMethod.PSI: lambda found: min(1.0, found["psi"]),
    DriftMethod.JENSEN_SHANNON: lambda found: found["jensenShannon"],
}
"""The bounded effect of each statistic of counts in cells."""
