"""What is found of each column: its effect, how certain it is, and every statistic beside it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from refit.api.dataspec import ColumnType
from refit.api.measured import FeatureDrift


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


def judged(found: list[ColumnDrift], alpha: float, *, enough: bool) -> list[ColumnDrift]:
    """Every column's verdict: the effect reaches its threshold, and the p-value holds among all of them (Holm 1979).

    With too few rows (`enough`) nothing is said to have drifted.
    """
    order = sorted(range(len(found)), key=lambda place: found[place].p_value)
    judged = list(found)
    largest = 0.0
    for rank, place in enumerate(order):
        column = found[place]
        largest = max(largest, min(1.0, column.p_value * (len(found) - rank)))
        judged[place] = replace(
            column,
            p_adjusted=largest,
            drifted=enough and column.effect >= column.threshold and largest <= alpha,
        )
    return judged
