"""Retention: old rows go into a bundle, and only then from the table; the chain goes on from where they ended.

What went is told by a signed checkpoint in `audit_base`, which no one without the key can make, and which no one can
take away: nothing is ever just deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, func, insert, select

from refit.api.entries import EntryKind
from refit.audit import bundles, checkpoints, database, queries, rows, standing
from refit.audit.checkpoints import Checkpoint
from refit.audit.keys import Keys
from refit.audit.rows import LedgerError, Line
from refit.audit.tables import AUDIT, BASE
from refit.audit.verification import Report, Start, told, verify


@dataclass(frozen=True, kw_only=True)
class Archived:
    """What went, and into what."""

    rows: int
    last: int
    sha256: str


def archive(engine: Engine, keys: Keys, before: str, path: Path, now: str) -> Archived:
    """Takes the rows from before that time, as far as nothing among them is still open; raises LedgerError, OSError.

    All is verified first, the bundle is read back and verified, and rows leave in one transaction.
    """
    with engine.connect() as connection, database.transaction(connection, writes=True):
        database.lock(connection)
        base = queries.base(connection)
        start = Start(sequence=base.sequence, head=base.head) if base is not None else Start()
        whole = _good(standing.verified(connection, keys.secrets))
        last = _until(connection, before, start.sequence)
        if last == start.sequence:
            raise LedgerError(
                f"no row from before {before} can be archived: the first is newer, or its request is open"
            )
        count = last - start.sequence
        part = _good(verify(queries.stored(connection, limit=count), secrets=keys.secrets, start=start))
        chained = min(whole.chained_from, last + 1)
        made = checkpoints.signed(keys, sequence=last, head=part.head, rows=count, chained_from=chained, time=now)
        bundles.write(path, _lines(queries.stored(connection, limit=count)), made, base)
        with bundles.opened(path) as bundle:
            _good(bundles.judged(bundle, [made], secrets=keys.secrets))
        found = _sha256(path)
        _leave(connection, made, found, now)
    return Archived(rows=count, last=last, sha256=found)


def _good(report: Report) -> Report:
    if not report.ok:
        raise LedgerError(f"nothing is archived: {told(report)}")
    return report


def _until(connection: Connection, before: str, start: int) -> int:
    """The last row that may go: those behind it are newer, or of a request without an outcome."""
    newer = connection.execute(select(func.min(AUDIT.c.sequence)).where(AUDIT.c.time >= before)).scalar()
    last = newer - 1 if newer is not None else connection.execute(select(func.max(AUDIT.c.sequence))).scalar() or start
    other = AUDIT.alias()
    ended = select(other.c.request_uid).where(
        other.c.request_uid == AUDIT.c.request_uid, other.c.kind == EntryKind.OUTCOME, other.c.sequence <= last
    )
    pending = select(func.min(AUDIT.c.sequence)).where(AUDIT.c.kind == EntryKind.INTENT, ~ended.exists())
    first = connection.execute(pending.where(AUDIT.c.sequence <= last)).scalar()
    return int(last if first is None else first - 1)


def _lines(found: Iterator[Line]) -> Iterator[bytes]:
    return (rows.line(rows.parsed(one)) for one in found)


def _leave(connection: Connection, made: Checkpoint, sha256: str, now: str) -> None:
    """The base first: without it no row goes."""
    values = {"sequence": made.sequence, "head": made.head, "checkpoint": made.text(), "bundle_sha256": sha256}
    connection.execute(insert(BASE), {**values, "time": now})
    connection.execute(delete(AUDIT).where(AUDIT.c.sequence <= made.sequence))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
