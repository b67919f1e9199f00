"""Rows by the values of one column, so that each group of any other column is a slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from refit_monitor.columns import Counts, coded


@dataclass(frozen=True)
class Group:
    """The rows of one value, "" where it is missing: so many of the ordered ones, from `first` on."""

    value: str
    first: int
    rows: int


@dataclass(frozen=True)
class Groups:
    """The groups, the largest first; `order` puts the rows of each together."""

    order: Counts
    found: tuple[Group, ...]

    def ordered(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        return column.take(pa.array(self.order))

    def places(self, *groups: Group) -> Counts:
        """The numbers of their rows, ascending."""
        return np.sort(np.concatenate([self.order[group.first : group.first + group.rows] for group in groups]))


def grouped(column: pa.ChunkedArray) -> Groups:
    """The rows by the column's values."""
    codes, words = coded(column)
    sizes = np.bincount(codes, minlength=len(words) + 1)
    starts = np.cumsum(sizes) - sizes
    values = ["", *words]
    largest = [int(place) for place in np.argsort(-sizes, kind="stable") if sizes[place]]
    return Groups(
        order=np.argsort(codes, kind="stable"),
        found=tuple(Group(values[place], int(starts[place]), int(sizes[place])) for place in largest),
    )
