"""Queries: what is read of the tables and what is written into them, on a connection that somebody else opened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Select, bindparam, insert, select, text
from sqlalchemy.sql.elements import ColumnElement

from refit.api.entries import EntryKind
from refit.audit import checkpoints, rows
from refit.audit.checkpoints import Checkpoint
from refit.audit.rows import COLUMNS, LedgerError, Line, Row, row_of
from refit.audit.tables import AUDIT, BASE

ALL = select(*(AUDIT.c[name] for name in COLUMNS)).order_by(AUDIT.c.sequence)
# What is asked for each row that is written is built once: to build a statement takes longer than to run it.
_ONCE = ALL.where(AUDIT.c.request_uid == bindparam("uid"), AUDIT.c.kind == bindparam("row_kind"))
_LAST = (
    select(AUDIT.c.sequence, AUDIT.c.hash)
    .where(AUDIT.c.sequence >= bindparam("known"))
    .order_by(AUDIT.c.sequence.desc())
    .limit(1)
)
_INSERT = insert(AUDIT)
CHUNK = 500
"""Rows that are fetched at once: more would leave the processor's cache before they are looked at."""
# A line is put together by the database: one value to fetch for each row and not fourteen. SQLite's printf would do
# it faster, and end a text at a zero byte, behind which somebody could hide another.
LINES = {
    "sqlite": "CAST(" + " || char(9) || ".join(COLUMNS) + " AS BLOB)",
    "postgresql": f"convert_to(concat_ws(chr(9), {', '.join(COLUMNS)}), 'UTF8')",
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which rows somebody wants to see: all that fit what is not empty, and of them the newest `limit`."""

    after: int = 0
    limit: int = 0
    kind: str = ""
    trigger_type: str = ""
    actor: str = ""
    trace_id: str = ""
    namespace: str = ""
    model: str = ""
    request_uid: str = ""
    since: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """What the columns must be."""
        named = {name: value for name, value in asdict(self).items() if value and name in COLUMNS}
        found: list[ColumnElement[bool]] = [AUDIT.c[name] == value for name, value in named.items()]
        if self.since:
            found.append(AUDIT.c.time >= self.since)
        return [*found, AUDIT.c.sequence > self.after]


def _found(connection: Connection, query: Select[tuple[object, ...]]) -> tuple[Row, ...]:
    return tuple(row_of(tuple(values)) for values in connection.execute(query))


def rows_asked(connection: Connection, asked: Asked) -> tuple[Row, ...]:
    """In order."""
    query = ALL.where(*asked.conditions())
    if not asked.limit:
        return _found(connection, query)
    newest = query.order_by(None).order_by(AUDIT.c.sequence.desc()).limit(asked.limit)
    return _found(connection, newest)[::-1]


def of_requests(connection: Connection, uids: Sequence[str]) -> tuple[Row, ...]:
    """All rows about these requests, in order."""
    return _found(connection, ALL.where(AUDIT.c.request_uid.in_(uids)))


def once(connection: Connection, request_uid: str, kind: EntryKind) -> Row | None:
    """The row of that kind of a request."""
    found = connection.execute(_ONCE, {"uid": request_uid, "row_kind": kind}).first()
    return row_of(tuple(found)) if found is not None else None


def last(connection: Connection, known: int) -> tuple[int, str]:
    """Number and hash of the last row; where none stands, those of the archived ones."""
    found = connection.execute(_LAST, {"known": known}).first()
    return (int(found[0]), str(found[1])) if found is not None else (0, "")


def base(connection: Connection) -> Checkpoint | None:
    """The checkpoint behind which rows were archived; raises LedgerError if what is said of it is none."""
    query = select(BASE.c.checkpoint).order_by(BASE.c.sequence.desc()).limit(1)
    found = connection.execute(query).scalar()
    try:
        return checkpoints.parse(json.loads(found)) if found is not None else None
    except ValueError as error:
        raise LedgerError(f"audit_base holds no checkpoint of the audit: {error}") from error


def insert_row(connection: Connection, row: Row) -> None:
    connection.execute(_INSERT, vars(row))


def stored(
    connection: Connection, after: int = 0, *, until: int | None = None, limit: int | None = None
) -> Iterator[Line]:
    """Lines as they are verified, in order; the table is read piece by piece."""
    columns = LINES[connection.dialect.name]
    upper = f"AND sequence <= {until:d}" if until is not None else ""
    most = f"LIMIT {limit:d}" if limit is not None else ""
    query = f"SELECT {columns} FROM audit WHERE sequence > {after:d} {upper} ORDER BY sequence {most}"  # noqa: S608  # of names of this module and numbers
    piecewise = text(query).execution_options(stream_results=True, max_row_buffer=CHUNK)
    for chunk in connection.execute(piecewise).partitions(CHUNK):
        for (line,) in chunk:
            yield line


def lines(connection: Connection, after: int, limit: int) -> bytes:
    """The lines of so many rows behind that one."""
    return b"".join(rows.line(rows.parsed(one)) for one in stored(connection, after, limit=limit))
