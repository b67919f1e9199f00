"""What is found of each column: its effect, how certain it is, and every statistic beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from refit.api.dataspec import ColumnType
from refit.api.measured import FeatureDrift

SEGMENTS_PART = 0.2
"""Of alpha, where segments are compared: they are many more columns than the whole window has, and must not cost it its sight."""


@dataclass(frozen=True, kw_only=True)
class ColumnDrift:
    """One column of inputs or answers. `p_adjusted` is corrected over all columns of the measurement."""

    column: str
    type: ColumnType
    method: str
    effect: float
    threshold: float
    p_value: float
    p_adjusted: float = 1.0
    drifted: bool = False
    missing: float = 0.0
    statistics: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def record(self) -> dict[str, Any]:
        """As the collector keeps it."""
        return {
            "column": self.column,
            "type": self.type.value,
            "method": self.method,
            "effect": self.effect,
            "threshold": self.threshold,
            "pValue": self.p_value,
            "pAdjusted": self.p_adjusted,
            "drifted": self.drifted,
            "missing": self.missing,
            "statistics": self.statistics,
            "note": self.note,
        }

    def short(self) -> FeatureDrift:
        return FeatureDrift(
            column=self.column, method=self.method, effect=decimal(self.effect), p_value=decimal(self.p_adjusted)
        )


def decimal(value: float) -> str:
    """A number as the API takes it: four significant digits."""
    return f"{value:.4g}"


def judged(
    found: Sequence[ColumnDrift], alpha: float, *, enough: bool, within: Sequence[ColumnDrift] = ()
) -> list[ColumnDrift]:
    """Every column's verdict, those of the whole window first and then those `within` segments: the effect reaches its
    threshold, and the p-value holds among all of them (weighted correction, Holm 1979).

    With too few rows (`enough`) nothing is said to have drifted.
    """
    every = [*found, *within]
    part = SEGMENTS_PART / (1 - SEGMENTS_PART) * len(found) / len(within) if within else 0.0
    weights = [1.0] * len(found) + [part] * len(within)
    order = sorted(range(len(every)), key=lambda place: every[place].p_value / weights[place])
    judged = list(every)
    left, largest = sum(weights), 0.0
    for place in order:
        column = every[place]
        largest = max(largest, min(1.0, column.p_value / weights[place] * left))
        left -= weights[place]
        judged[place] = replace(
            column,
            p_adjusted=largest,
            drifted=enough and column.effect >= column.threshold and largest <= alpha,
        )
    return judged
