"""How often a class was taken for which, on held-out rows."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from refit.api.confusion import Confusion

MOST_SHOWN = 30
"""Classes: more of them are no longer a table that anybody reads."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """`share` is that of the true class's rows."""

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The true classes down, the predicted ones across."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The counts as a table, each row with its true class before and their sum behind."""
        size = len(self.labels)
        found = [self.cells[place * size : (place + 1) * size] for place in range(size)]
        return tuple(
            (row[0].true, *(str(cell.count) for cell in row), str(sum(cell.count for cell in row))) for row in found
        )


def matrix(content: bytes) -> Matrix | None:
    """What a training stored; None where it can not be read, or has more classes than a table can show."""
    try:
        found = Confusion.model_validate_json(content)
    except ValidationError:
        return None
    if len(found.labels) > MOST_SHOWN:
        return None
    cells = [
        Cell(true=true, predicted=predicted, count=count, share=count / max(sum(counts), 1))
        for true, counts in zip(found.labels, found.counts, strict=True)
        for predicted, count in zip(found.labels, counts, strict=True)
    ]
    return Matrix(labels=found.labels, cells=tuple(cells))
