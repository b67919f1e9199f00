"""The ledger: the one that writes rows. A row that stands is on disk, chained to the one before, and stays as it is.

An intent is written before anything is begun, the outcome after it ended. Each is written at most once for a
request, so what was begun before a crash, or before the cluster was restored from a backup, is known.

A chain that does not hold is not written on: nothing risky is done until a person has looked.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine

from refit.api import meta
from refit.api.entries import Entry
from refit.api.times import stamp
from refit.audit import checkpoints, database, queries, standing
from refit.audit.chain import Mac, link
from refit.audit.checkpoints import Checkpoint
from refit.audit.keys import Keys
from refit.audit.queries import Asked
from refit.audit.rows import EntryError, LedgerError, Row, sealable
from refit.audit.verification import Report, told

__all__ = ["Ledger", "LedgerError", "Row"]

T = TypeVar("T")
CLOSED = "the audit is closed"


@dataclass(frozen=True, kw_only=True)
class _Head:
    """The last row as this process knows it, and what a checkpoint of it says."""

    sequence: int
    hash: str
    chained_from: int


class Ledger:
    """Rows in a file of SQLite, or in a PostgreSQL by its URL.

    It is opened by the first that needs it. Writers wait for one another, in a thread of their own; readers have
    another: however slow the database is, nothing of it blocks the event loop.
    """

    def __init__(
        self,
        where: Path | str,
        clock: Callable[[], datetime],
        keys: Callable[[], Keys],
        password_file: Path | None = None,
    ) -> None:
        """Raises LedgerError if that names no database."""
        self._url = database.url_of(where)
        self._clock, self._keys, self._password_file = clock, keys, password_file
        self._engine: Engine | None = None
        self._opening = threading.Lock()
        self._head: _Head | None = None
        self._anchors: tuple[Checkpoint, ...] = ()
        self._refused = ""
        self._closed = False
        self.problem = "it was not opened yet"
        """Why no row could be written when that was last known; empty if one could."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="audit-writer")
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="audit-reader")

    def close(self) -> None:
        """Waits for what is being written; what still waits for its turn is refused."""
        self._closed = True
        self._writer.shutdown()
        self._readers.shutdown()
        if self._engine is not None:
            self._engine.dispose()

    @property
    def sequence(self) -> int:
        """Number of the last row, as far as this process knows; -1 while it knows none."""
        head = self._head
        return head.sequence if head is not None else -1

    async def open(self, anchors: Iterable[Checkpoint] = ()) -> Report:
        """Opens it and verifies all of it, against these checkpoints too; raises LedgerError if it can not be used.

        They are those that were exported earlier: a database that was exchanged for an older one fits no newer
        checkpoint, and is not written on.
        """
        self._anchors, self._refused = tuple(anchors), ""
        return await self._in_turn(self._verified)

    async def write(self, entry: Entry) -> Row:
        """Writes the entry, or finds that it stands already; raises LedgerError.

        An entry of the same request and kind with another digest is no repetition, and is refused.
        """
        return await self._in_turn(lambda connection: self._write(connection, entry))

    async def of_requests(self, uids: Iterable[str]) -> tuple[Row, ...]:
        """All rows about these requests, in order; raises LedgerError."""
        wanted = sorted(uids)
        return await self._in(self._readers, lambda connection: queries.of_requests(connection, wanted))

    async def all(self) -> tuple[Row, ...]:
        """Every row, in order; raises LedgerError."""
        return await self._in(self._readers, lambda connection: queries.rows_asked(connection, Asked()))

    async def rows(self, asked: Asked) -> tuple[Row, ...]:
        """The rows that are asked for, in order; raises LedgerError."""
        return await self._in(self._readers, lambda connection: queries.rows_asked(connection, asked))

    async def lines(self, after: int, limit: int) -> bytes:
        """The lines of so many rows behind that one; raises LedgerError."""
        return await self._in(self._readers, lambda connection: queries.lines(connection, after, limit))

    async def verify(self, anchors: Iterable[Checkpoint] = ()) -> Report:
        """All rows against their hashes, macs and these checkpoints; raises LedgerError if they can not be read."""
        known = tuple(anchors)
        return await self._in(self._readers, lambda connection: self._report(connection, known))

    async def base(self) -> Checkpoint | None:
        """The checkpoint behind which rows were archived, if any were; raises LedgerError."""
        return await self._in(self._readers, queries.base)

    async def checkpoint(self) -> Checkpoint:
        """A signed checkpoint of the last row; raises LedgerError, also if the chain does not hold."""
        return await self._in_turn(self._checkpoint)

    async def _in_turn(self, act: Callable[[Connection], T]) -> T:
        """What takes all that a row takes."""
        try:
            found = await self._in(self._writer, act, writes=True)
        except LedgerError as error:
            self.problem = "" if isinstance(error, EntryError) else str(error)
            raise
        self.problem = ""
        return found

    async def _in(self, executor: ThreadPoolExecutor, act: Callable[[Connection], T], *, writes: bool = False) -> T:
        if self._closed:
            raise LedgerError(CLOSED)
        return await asyncio.get_running_loop().run_in_executor(executor, self._again, act, writes)

    def _again(self, act: Callable[[Connection], T], writes: bool) -> T:
        """Acts once more where the connection was lost. What was committed before its answer was lost is found then."""
        try:
            return self._transact(act, writes=writes)
        except database.LostError:
            self._head = None
            return self._transact(act, writes=writes)

    def _transact(self, act: Callable[[Connection], T], *, writes: bool) -> T:
        if self._closed:
            raise LedgerError(CLOSED)
        try:
            engine = self._opened()
            with engine.connect() as connection, database.transaction(connection, writes=writes):
                return act(connection)
        except database.ERRORS as error:
            lost = database.is_lost(error)
            kind = database.LostError if lost else LedgerError
            raise kind(f"the audit in {database.name_of(self._url)} cannot be used: {database.told(error)}") from error

    def _opened(self) -> Engine:
        with self._opening:
            if self._engine is None:
                engine = database.engine_of(self._url, self._password_file)
                try:
                    database.prepare(engine)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    def _verified(self, connection: Connection) -> Report:
        report = self._report(connection, self._anchors)
        self._take(report)
        return report

    def _report(self, connection: Connection, anchors: tuple[Checkpoint, ...]) -> Report:
        return standing.verified(connection, self._keys().secrets, anchors)

    def _take(self, report: Report) -> None:
        if not report.ok:
            self._refused = f"the audit in {database.name_of(self._url)} is not written on: {told(report)}"
            raise LedgerError(self._refused)
        self._head = _Head(sequence=report.last, hash=report.head, chained_from=report.chained_from)

    def _current(self, connection: Connection) -> _Head:
        """The last row. What another process wrote since we looked is verified before it is built upon."""
        if self._refused:
            raise LedgerError(self._refused)
        head = self._head
        if head is not None and queries.last(connection, head.sequence) == (head.sequence, head.hash):
            return head
        self._verified(connection)
        assert self._head is not None  # noqa: S101  # it was just taken
        return self._head

    def _write(self, connection: Connection, entry: Entry) -> Row:
        database.lock(connection)
        found = queries.once(connection, entry.request_uid, entry.kind)
        if found is None:
            head = self._current(connection)
            found = self._sealed(entry, head)
            queries.insert_row(connection, found)
            begun = head.chained_from if head.chained_from <= head.sequence else found.sequence
            following = _Head(sequence=found.sequence, hash=found.hash, chained_from=begun)
            connection.info["committed"] = lambda: self._follow(following)
        if found.digest != entry.digest:
            raise EntryError(
                f"the audit holds an {entry.kind} of this request already, of another proposal (row {found.sequence})"
            )
        return found

    def _follow(self, head: _Head) -> None:
        self._head = head

    def _sealed(self, entry: Entry, head: _Head) -> Row:
        keys = self._keys()
        row = Row(
            sequence=head.sequence + 1,
            time=stamp(self._clock()),
            kind=entry.kind,
            request_uid=entry.request_uid,
            digest=entry.digest,
            trigger_type=entry.trigger,
            actor=entry.actor,
            trace_id=entry.trace,
            namespace=entry.namespace,
            model=entry.model,
            content=meta.canonical(entry.content).decode(),
        )
        found = link(head.hash, sealable(row))
        return replace(row, hash=found, mac=Mac(keys.secrets[keys.current]).of(found), key_id=keys.current)

    def _checkpoint(self, connection: Connection) -> Checkpoint:
        head, base = self._current(connection), queries.base(connection)
        return checkpoints.signed(
            self._keys(),
            sequence=head.sequence,
            head=head.hash,
            rows=head.sequence - (base.sequence if base is not None else 0),
            chained_from=head.chained_from,
            time=stamp(self._clock()),
        )
