"""Figures: what was measured, beside what it is compared with and what it should be."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table. `ratio` is this figure through the other's; `goal` is in the figure's own unit."""

    what: str
    value: float
    unit: str
    compared_with: str = ""
    ratio: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def goal(self) -> str:
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return f">= {self.at_least:g}" if self.at_least is not None else ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return self.value >= self.at_least if self.at_least is not None else None

    def record(self) -> dict[str, Any]:
        """As JSON data."""
        found = {key: value for key, value in asdict(self).items() if value is not None}
        return found if self.met is None else found | {"met": self.met}


HEADS = ("what", "figure", "unit", "compared with", "ratio", "goal", "met?")


def table(records: Iterable[dict[str, Any]]) -> str:
    """The records as text, one line each."""
    rows = [list(HEADS)]
    for record in records:
        figure = Figure(**{key: value for key, value in record.items() if key != "met"})
        rows.append(
            [
                figure.what,
                f"{figure.value:,.3g}" if abs(figure.value) < 100 else f"{figure.value:,.0f}",  # noqa: PLR2004
                figure.unit,
                figure.compared_with,
                f"{figure.ratio:.3g}" if figure.ratio is not None else "",
                figure.goal,
                {True: "yes", False: "NO", None: ""}[figure.met],
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def tell(records: list[dict[str, Any]], file: Path | None) -> None:
    """The table on the terminal, and the records in the file if there is one."""
    print(table(records))
    if file is not None:
        file.write_text(json.dumps(records, indent=2) + "\n")
