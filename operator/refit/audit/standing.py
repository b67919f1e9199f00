"""Standing: the rows of a database as they are verified, all of them in order or in ranges of their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection

from refit.audit import database, queries
from refit.audit.checkpoints import Checkpoint
from refit.audit.rows import Line
from refit.audit.verification import Report, Start, Walk, verify

LEAST = 5000
"""Rows for which it is worth to begin another process."""


@dataclass(frozen=True)
class Range:
    """The rows behind one number and up to another."""

    url: URL
    password_file: Path | None
    after: int
    until: int
    first: bool

    def lines(self) -> Iterator[Line]:
        engine = database.engine_of(self.url, self.password_file)
        try:
            with engine.connect() as connection, database.transaction(connection, writes=False):
                yield from queries.stored(connection, self.after if self.first else self.after - 1, until=self.until)
        finally:
            engine.dispose()


def verified(
    connection: Connection,
    secrets: Mapping[str, bytes],
    anchors: Iterable[Checkpoint] = (),
    walk: Walk | None = None,
) -> Report:
    """All rows against their hashes, macs, these checkpoints and the one behind which rows were archived."""
    base = queries.base(connection)
    known = anchors if base is None else (*anchors, base)
    start = Start(sequence=base.sequence, head=base.head) if base is not None else None
    return verify(queries.stored(connection), secrets=secrets, checkpoints=known, start=start, walk=walk)


def divided(
    connection: Connection, url: URL, password_file: Path | None, count: int, least: int = LEAST
) -> Sequence[Range]:
    """All rows that stand, in up to so many ranges of about equal size."""
    base, last = queries.base(connection), queries.last(connection, 0)[0]
    begin = base.sequence if base is not None else 0
    count = min(count, (last - begin) // least)
    ends = [begin + (last - begin) * number // count for number in range(1, count + 1)]
    # The first begins with whatever stands, were it a row that should have left.
    return [Range(url, password_file, after, end, not after) for after, end in zip((0, *ends), ends, strict=False)]
