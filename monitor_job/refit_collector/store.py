"""The store: its directory, the thread that writes, and the rounds of rolling and retention beside it."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Self

from refit_collector import cloudevents, removal, schema, times
from refit_collector.checkpoints import Checkpoints
from refit_collector.helpers import Helper, HelperError, Helpers
from refit_collector.metrics import Metrics
from refit_collector.readers import Readers
from refit_collector.refusals import Refused, wants_room
from refit_collector.registry import Registry
from refit_collector.retention import Limits, Retention
from refit_collector.room import Room
from refit_collector.segments import FOLDER, Roller
from refit_collector.settings import Settings, SettingsError
from refit_collector.snapshots import SPOOL
from refit_collector.writer import Writer

log = logging.getLogger("refit.collector")

LOCK = "lock"
SECRET = "ingest.key"  # noqa: S105  # a file name
LOCK_SECONDS = 30.0
ROUND_SECONDS = 1.0


class Store:
    """Everything that is kept. Use it as a context manager; at its end, what waits has been written."""

    def __init__(self, settings: Settings, metrics: Metrics, now: Callable[[], int]) -> None:
        self.directory = settings.data_dir
        self.readers = Readers()
        self.registry = Registry()
        self._settings = settings
        self._metrics = metrics
        self._now = now
        self._lock = _locked(self.directory)
        try:
            for folder in (FOLDER, SPOOL):
                (self.directory / folder).mkdir(exist_ok=True)
            self.secret = _secret(self.directory / SECRET)
            schema.create(self.directory)
        except OSError as error:
            raise SettingsError(f"REFIT_COLLECTOR_DATA_DIR: {error}") from None
        self._room = Room(self.directory, settings.reserve_bytes)
        self.writer = Writer(
            lambda: schema.writing(self.directory),
            room=self._room,
            forget=self.registry.forget,
            committed=metrics.commits.observe,
        )
        self.helpers = Helpers(self.directory, settings.windows)
        self._helper = Helper(self.directory)
        self.roller = Roller(self.directory, self.writer, self._room, self._helper.ask, roll_bytes=settings.roll_bytes)
        self.retention = Retention(
            self.directory,
            self.writer,
            self.readers,
            self._room,
            Limits(settings.retention_hours, settings.max_bytes),
            self._helper.ask,
            metrics.expired.inc,
        )
        self.checkpoints = Checkpoints(self.directory)
        self._ending = threading.Event()
        self._rounds = threading.Thread(target=self._go_round, name="rounds")

    def __enter__(self) -> Self:
        left = self.roller.sweep()
        for path in (self.directory / SPOOL).iterdir():
            path.unlink()
        if left:
            log.warning("files that a crash had left were removed", extra={"files": left})
        self._rounds.start()
        self.checkpoints.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._rounds.join()
        self.checkpoints.stop()
        self.close()

    def close(self) -> None:
        """Writes what waits, and lets the directory go."""
        self.writer.stop()
        self._helper.stop()
        self.helpers.stop()
        os.close(self._lock)

    def _go_round(self) -> None:
        failing = ""
        pause = 0.0  # what a crash has left to do is done at once
        while not self._ending.wait(pause):
            failed = self.round()
            pause = ROUND_SECONDS
            problem = "; ".join(map(str, failed))
            if problem and problem != failing:
                log.error("rolling or expiry failed and is tried again", extra={"problem": problem})
            if problem:
                self._metrics.failures.inc()
            failing = problem

    def round(self) -> list[Exception]:
        """Rolls what is due, removes what is past the limits, and says what failed: no step waits for the one before it."""
        now = self._now()
        failed: list[Exception] = []
        for step in (self._tidy, self._erase, self._roll, self.retention.keep, self._give_up_pairs):
            try:
                step(now)
            except (Refused, OSError, HelperError, sqlite3.OperationalError) as error:
                failed.append(error)
            except Exception as error:  # told, counted, and tried again: nothing here may end what stores events
                log.exception("rolling or expiry failed")
                failed.append(error)
        self._helper.rest()
        self.helpers.rest()
        self._metrics.disk.set(self.retention.size())
        self._metrics.segments.set(self.retention.segments())
        return failed

    def _tidy(self, _: int) -> None:
        with closing(schema.reading(self.directory)) as connection:
            self._room.tidy(connection)

    def _erase(self, _: int) -> None:
        removal.erase(self.directory, self.writer)

    def _roll(self, now: int) -> None:
        try:
            self.roller.roll(now - self._settings.roll_minutes * 60 * times.SECOND)
        except (Refused, OSError) as error:
            if wants_room(error):
                self.retention.drop_oldest()
            raise

    def _give_up_pairs(self, now: int) -> None:
        before = now - self._settings.pair_seconds * times.SECOND
        while found := self.writer.submit(lambda writing: cloudevents.expire(writing, before), grows=False).result():
            for orphan in found:
                self._metrics.orphans.labels(orphan.namespace, orphan.model, orphan.kind).inc(orphan.halves)


def _locked(directory: Path) -> int:
    """Two processes on one directory would each undo what the other did."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        opened = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(f"REFIT_COLLECTOR_DATA_DIR: {error}") from None
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return opened
        if time.monotonic() > deadline:
            os.close(opened)
            raise SettingsError(f"REFIT_COLLECTOR_DATA_DIR: another collector uses {directory}")
        time.sleep(0.02)


def _secret(path: Path) -> bytes:
    """What ingest keys are made with: random, made once."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        made = secrets.token_bytes(32)
        temporary = path.with_suffix(".tmp")
        temporary.touch(mode=0o600)
        temporary.write_bytes(made)
        temporary.rename(path)
        return made
