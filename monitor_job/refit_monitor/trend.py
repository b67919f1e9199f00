"""Where a model's quality is going over its measurements: the Mann-Kendall test (Mann 1945, Kendall 1975).

A point is a window's value of one measure: of the metric that the model was chosen by, on labelled rows; where none
have labels, of the same by estimate; else of the largest effect of drift. Windows that overlap are no evidence of
their own, so a point counts only if its window begins after the last one's end; each measurement carries the points
so far, of its version.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from refit.api.measured import Direction
from refit.api.metrics import LOWER_IS_BETTER, Metric

FEWEST, MOST = 8, 64
ALPHA = 0.05
TEST = "Mann-Kendall"
DRIFT_EFFECT = "largest drift effect"


class Point(NamedTuple):
    """A window and its measures, by source."""

    since: str
    until: str
    values: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Trend:
    """The direction, of what, and how certain it is."""

    direction: Direction
    source: str
    p_value: float | None
    points: int
    series: tuple[Point, ...]

    def record(self) -> dict[str, Any]:
        """As the collector keeps it, with the points for the next measurement."""
        return {
            "direction": self.direction.value,
            "test": TEST,
            "source": self.source,
            **({} if self.p_value is None else {"pValue": self.p_value}),
            "points": self.points,
            "series": [{"since": p.since, "until": p.until, "values": p.values} for p in self.series],
        }


def trend(earlier: Iterable[Mapping[str, Any]], version: int | None, key: str, point: Point, metric: Metric) -> Trend:
    """The trend up to `point`; `earlier` are measurements as the collector keeps them, the newest first."""
    series = next(
        (
            _series(found)
            for found in earlier
            if found.get("version") == version and found.get("key") != key and _series(found)
        ),
        [],
    )
    if point.values and (not series or point.since >= series[-1].until):
        series = [*series, point][-MOST:]
    for source, sign in _sources(metric):
        values = [found.values[source] for found in series if source in found.values]
        if len(values) < FEWEST:
            continue
        p_value, rising = mann_kendall(values)
        direction = Direction.STABLE
        if p_value <= ALPHA:
            direction = Direction.IMPROVING if (rising > 0) is (sign > 0) else Direction.DEGRADING
        return Trend(direction=direction, source=source, p_value=p_value, points=len(values), series=tuple(series))
    return Trend(direction=Direction.UNKNOWN, source="", p_value=None, points=len(series), series=tuple(series))


def sources(metric: Metric, measured: Mapping[Metric, float], estimated: Mapping[Metric, float]) -> dict[str, float]:
    """A measurement's values by source, but for drift's."""
    found = {f"{metric} measured": measured.get(metric), f"{metric} estimated": estimated.get(metric)}
    return {name: value for name, value in found.items() if value is not None}


def _sources(metric: Metric) -> tuple[tuple[str, int], ...]:
    sign = -1 if metric in LOWER_IS_BETTER else 1
    return ((f"{metric} measured", sign), (f"{metric} estimated", sign), (DRIFT_EFFECT, -1))


def _series(found: Mapping[str, Any]) -> list[Point]:
    kept = found.get("trend") or {}
    return [Point(point["since"], point["until"], point["values"]) for point in kept.get("series", [])]


def mann_kendall(values: list[float]) -> tuple[float, int]:
    """The two-sided p-value, with ties corrected for and continuity; and the statistic, above 0 where values rise."""
    n = len(values)
    statistic = sum(
        (later > earlier) - (later < earlier) for place, earlier in enumerate(values) for later in values[place + 1 :]
    )
    ties = [values.count(value) for value in set(values)]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if not statistic or variance <= 0:
        return 1.0, statistic
    z = (abs(statistic) - 1) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2)), statistic
