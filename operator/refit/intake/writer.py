"""One thread writes: what waits while a transaction is synced goes into the next one, and is answered after it.

So a hundred requests cost a few syncs, and no request is answered before its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

Target = tuple[str, str]
"""Namespace and name of a ModelDeployment."""
Wakes = set[Target]
Write = Callable[[sqlite3.Connection, list[Any]], tuple[list[Any], Wakes]]
"""Writes all entries of a transaction: the answer to each, and whom to wake once it is on disk."""


class BusyError(Exception):
    """Too much waits, or the disk does not take it: the sender should come again."""


@dataclass(frozen=True)
class Task:
    entry: Any
    size: int
    answer: asyncio.Future[Any]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much may wait, and how much goes into one transaction."""

    queue_bytes: int = 32 * 1024 * 1024
    batch: int = 256
    batch_bytes: int = 2 * 1024 * 1024
    gather_seconds: float = 0.005
    """How long a transaction waits for company: each costs a sync, and the event loop some waiting."""


class Writer:
    """Owns the writing connection. Made and closed in the event loop's thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        write: Write,
        *,
        limits: Limits,
        woken: Callable[[Target], None],
        observe_commit: Callable[[float], None],
        observe_queue: Callable[[int], None],
    ) -> None:
        self._connection, self._write, self._limits, self._woken = connection, write, limits, woken
        self._observe_commit, self._observe_queue = observe_commit, observe_queue
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Task] = deque()
        self._bytes = 0
        self._closing = False
        self._failing = ""
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="intake writer", daemon=True)
        self._thread.start()

    async def do(self, entry: Any, size: int) -> Any:
        """The entry's answer, once it is on disk. Raises BusyError."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        with self._wake:
            if self._closing:
                raise BusyError("the operator is stopping")
            if self._bytes + size > self._limits.queue_bytes:
                raise BusyError("too much waits to be stored")
            self._bytes += size
            self._waiting.append(Task(entry, size, answer))
            # For the others in between the thread would wake for nothing, and take Python's lock to find that out.
            if len(self._waiting) in (1, self._limits.batch):
                self._wake.notify()
        self._observe_queue(self._bytes)
        return await answer  # what was taken is written even if the sender hangs up and this is cancelled

    async def close(self) -> None:
        """Writes what waits, and ends."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        with contextlib.closing(self._connection) as connection:
            while tasks := self._next():
                begun = time.perf_counter()
                wakes = Wakes()
                answers: list[Any] | BaseException
                try:
                    answers, wakes = self._transaction(connection, [task.entry for task in tasks])
                except sqlite3.Error as error:
                    answers = BusyError(f"the alert store does not take it: {error}")
                except Exception as error:  # noqa: BLE001  # a fault of ours must reach the one who waits, not end the thread
                    answers = error
                self._observe_commit(time.perf_counter() - begun)
                self._tell_of(answers)
                self._loop.call_soon_threadsafe(self._finish, tasks, answers, wakes)

    def _next(self) -> list[Task]:
        """What goes into the next transaction; empty at the end."""
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closing)
            if self._limits.gather_seconds and not self._closing and len(self._waiting) < self._limits.batch:
                self._wake.wait_for(
                    lambda: len(self._waiting) >= self._limits.batch or self._closing, self._limits.gather_seconds
                )
            taken: list[Task] = []
            size = 0
            while self._waiting and len(taken) < self._limits.batch and size <= self._limits.batch_bytes:
                taken.append(self._waiting.popleft())
                size += taken[-1].size
            return taken

    def _transaction(self, connection: sqlite3.Connection, entries: list[Any]) -> tuple[list[Any], Wakes]:
        try:
            connection.execute("BEGIN IMMEDIATE")
            found = self._write(connection, entries)
            connection.execute("COMMIT")
        except BaseException:
            # A full disk may have rolled back already; what is wrong is told by the error itself.
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        return found

    def _tell_of(self, answers: object) -> None:
        """One line when writing begins to fail, one when it works again."""
        problem = str(answers) if isinstance(answers, BusyError) else ""
        if problem and not self._failing:
            log.error("alerts are refused with 503: %s", problem)
        elif self._failing and not problem:
            log.info("alerts are stored again")
        self._failing = problem

    def _finish(self, tasks: list[Task], answers: list[Any] | BaseException, wakes: Wakes) -> None:
        with self._wake:
            self._bytes -= sum(task.size for task in tasks)
        self._observe_queue(self._bytes)
        for number, task in enumerate(tasks):
            if task.answer.done():
                continue
            if isinstance(answers, BaseException):
                task.answer.set_exception(answers)
            else:
                task.answer.set_result(answers[number])
        if not isinstance(answers, BaseException):
            for target in sorted(wakes):
                self._woken(target)
