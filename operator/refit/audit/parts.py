"""Parts: rows that are verified beside one another, by as many processors as there are.

A row covers the hash of the one before it. So a part can be verified from the hash on that stands before it, and all is
well if each part is, and begins with what the one before it ended with.

Parts say nothing else: what there is to say of rows that are not all they should be, the walk along all of them says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from refit.audit.rows import Line, parsed
from refit.audit.verification import Against, State, Walk, one_by_one

MOST = 8
"""Processes at the same time. Each takes 11 MiB, and the operator's pod, where the command is run too, has few."""
EACH = 2
"""Parts for each processor, so that none waits long for the slowest."""
Divide = Callable[[int], "Sequence[Part]"]
"""Makes up to so many parts of all rows, or none where it is not worth it."""


class Part(Protocol):
    """Some rows in order. Another process can be handed it, and read them."""

    @property
    def first(self) -> bool: ...

    def lines(self) -> Iterator[Line]:
        """The row before it, unless it is the first; then its own."""


@dataclass(frozen=True)
class Piece:
    """A part that holds: the hash that stands before it, and its end."""

    head: str
    end: State


Run = Callable[[Callable[[Part], Piece | None], Sequence[Part]], Iterable[Piece | None]]
"""What is done with each part, as by `map`."""


def on_all_processors(divide: Divide) -> Walk:
    """The walk that takes the shortest time here."""
    found = processors()
    return beside(divide(found * EACH), processes(found)) if found > 1 else one_by_one


def processors() -> int:
    """Those that are used."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(found, MOST)


def beside(parts: Sequence[Part], run: Run) -> Walk:
    """The walk along parts; along the rows one by one unless all parts hold, and fit together."""

    def walk(rows: Iterable[Line], state: State, against: Against) -> State:
        try:
            found = (
                _joined(run(partial(_piece, start=state, against=against), parts), state) if len(parts) > 1 else None
            )
        except (OSError, NotImplementedError, BrokenProcessPool):  # there can be no other process, or it was ended
            found = None
        return found or one_by_one(rows, state, against)

    return walk


def processes(count: int) -> Run:
    """So many at the same time."""

    def run(act: Callable[[Part], Piece | None], parts: Sequence[Part]) -> Iterable[Piece | None]:
        with ProcessPoolExecutor(count) as pool:
            return list(pool.map(act, parts))

    return run


def _piece(part: Part, *, start: State, against: Against) -> Piece | None:
    """None unless all its rows are what they should be."""
    try:
        lines = part.lines()
        if not part.first:
            before = parsed(next(lines))
            start = State(sequence=before.sequence, head=before.hash)
        end = one_by_one(lines, start, against)
    except Exception:  # noqa: BLE001  # whatever it is, the walk along all rows meets it and says so
        return None
    return None if end.problem or end.unchained else Piece(start.head, end)


def _joined(pieces: Iterable[Piece | None], start: State) -> State | None:
    """Where the last of them ends, if each begins where the one before it ended."""
    found = start
    for piece in pieces:
        if piece is None or (piece.end.sequence - piece.end.rows, piece.head) != (found.sequence, found.head):
            return None
        found = replace(
            piece.end,
            rows=found.rows + piece.end.rows,
            chained=found.chained or piece.end.chained,
            confirmed=max(found.confirmed, piece.end.confirmed),
        )
    return found
