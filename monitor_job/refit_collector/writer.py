"""The one thread that writes: it takes what waits, commits it as one group, then tells everybody.

There is no wait for a group to fill. While one group is on its way to the disk the next gathers, so
groups grow with the load and a lone request is not delayed by a timer.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from refit_collector.refusals import DISK_FULL, Refused, busy
from refit_collector.room import Room

log = logging.getLogger("refit.collector")

MOST_WORKS = 256
MOST_WEIGHT = 4 * 1024 * 1024
"""Bytes of one group: what comes behind it should not wait for all of it."""
RETRY_FULL = 5
OWN_MISTAKES = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)
"""What SQLite says of a wrong statement; the rest of its errors are about the file."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Work:
    """Something to be written. `grows` says whether it needs room; what only frees some is always tried."""

    run: Callable[[sqlite3.Connection], Any]
    weight: int
    grows: bool
    future: Future[Any] = field(default_factory=Future)


class Writer:
    """Owns the writing connection. `forget` is called when something was taken back: caches are wrong then."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        *,
        room: Room,
        forget: Callable[[], None],
        committed: Callable[[float], None],
    ) -> None:
        self._connect = connect
        self._room = room
        self._forget = forget
        self._committed = committed
        self._connection = connect()
        self._waiting: deque[Work] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._trouble = ""
        self._lacking = 0
        self._thread = threading.Thread(target=self._work, name="writer")
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why nothing can be stored at the moment; empty if it can."""
        return self._trouble

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def lacked(self) -> int:
        """Bytes that were missing for the largest request refused since this was asked last."""
        found, self._lacking = self._lacking, 0
        return found

    def submit(self, run: Callable[[sqlite3.Connection], T], *, weight: int = 0, grows: bool = True) -> Future[T]:
        """The future is done when the work is on disk, or was refused."""
        work = Work(run=run, weight=weight, grows=grows)
        with self._changed:
            if self._stopping:
                raise busy("the collector is stopping; send it again", reason="stopping")
            self._waiting.append(work)
            self._changed.notify()
        return work.future

    def stop(self) -> None:
        """Writes what waits, then ends."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        while (group := self._next()) is not None:
            started = time.perf_counter()
            fitting = self._fitting(group)
            if fitting:
                self._commit(fitting, all_fit=len(fitting) == len(group))
                if any(work.grows for work in fitting):
                    self._committed(time.perf_counter() - started)

    def _next(self) -> list[Work] | None:
        """What waits, as far as it makes one group; None when all is done and nothing more will come."""
        with self._changed:
            while not self._waiting:
                if self._stopping:
                    return None
                self._changed.wait()
            group: list[Work] = []
            weight = 0
            while self._waiting and len(group) < MOST_WORKS and weight < MOST_WEIGHT:
                work = self._waiting.popleft()
                if work.future.set_running_or_notify_cancel():
                    group.append(work)
                    weight += work.weight
            return group

    def _fitting(self, group: list[Work]) -> list[Work]:
        """Those there is room for; the others are refused. What is stored lies in the log and in the database."""
        if not any(work.grows for work in group):
            return group
        try:
            left = self._room.left(self._connection) - self._room.reserve
        except sqlite3.Error as error:
            self._recover()
            self._fail(group, str(error))
            return []
        fitting, refused, taken = [], [], 0
        for work in group:
            needed = 2 * work.weight if work.grows else 0
            if work.grows and taken + needed > left:
                refused.append(work)
                self._lacking = max(self._lacking, needed - left)
            else:
                fitting.append(work)
                taken += needed
        self._fail(refused, f"less than {self._room.reserve} bytes would be free on the volume")
        return fitting

    def _commit(self, group: list[Work], *, all_fit: bool) -> None:
        answers: list[tuple[Work, Any, BaseException | None]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for work in group:
                answers.append((work, *self._attempt(work)))  # noqa: PERF401  # half of it is of use when one fails
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._recover()
            self._fail(group, str(error))
            return
        if self._trouble and all_fit and any(work.grows for work in group):
            log.info("stores again", extra={"was": self._trouble})
            self._trouble = ""
        for work, result, mistake in answers:
            if mistake is None:
                work.future.set_result(result)
            else:
                work.future.set_exception(mistake)

    def _attempt(self, work: Work) -> tuple[Any, BaseException | None]:
        """One work's mistake is its own: the others of its group are stored."""
        self._connection.execute("SAVEPOINT work")
        try:
            result = work.run(self._connection)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and not isinstance(error, OWN_MISTAKES):
                raise  # the disk, not the work
            self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
            self._forget()
            return None, error
        self._connection.execute("RELEASE work")
        return result, None

    def _recover(self) -> None:
        """Whatever state the failure left the connection in, a new one has none of it."""
        self._forget()
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._connection.close()
            self._connection = self._connect()
        except sqlite3.Error as error:
            log.warning("can not open the store again", extra={"problem": str(error)})

    def _fail(self, group: list[Work], why: str) -> None:
        if group and not self._trouble:
            log.error("can not store; what comes is answered 503 until it can", extra={"problem": why})
        if group:
            self._trouble = why
        for work in group:
            work.future.set_exception(unavailable())


def unavailable() -> Refused:
    return busy(
        "nothing can be stored at the moment, the volume is full or failing; send it again later",
        reason=DISK_FULL,
        retry_after=RETRY_FULL,
    )
