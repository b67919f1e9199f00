"""The outbox: what is to be told, and to whom that was done, in a file that outlives the process.

A notice is taken in once, by its key. What it owes to each receiver stands there until it was sent, or until it
is given up after a day of trying.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from refit.api.notices import Notice
from refit.notify.configuration import Configuration

BUSY_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(hours=1)
GIVE_UP = timedelta(days=1)
KEPT = timedelta(days=30)
"""How long a key is remembered: longer than a notice is fresh, or it would be told again."""
TABLES = """
CREATE TABLE IF NOT EXISTS notice (
  key TEXT PRIMARY KEY, topic TEXT NOT NULL, taken REAL NOT NULL, content TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS notice_topic ON notice (topic, taken);
CREATE TABLE IF NOT EXISTS delivery (
  key TEXT NOT NULL REFERENCES notice (key) ON DELETE CASCADE, receiver TEXT NOT NULL, due REAL NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, ended REAL, problem TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (key, receiver)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (receiver, due) WHERE ended IS NULL;
"""


class OutboxError(Exception):
    """The outbox can not be read or written; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Owed:
    """All that a receiver is to be told now."""

    receiver: str
    notices: tuple[Notice, ...]
    attempts: int


class Outbox:
    """In one file. Each call is one short transaction, so it may be made from the event loop."""

    def __init__(self, path: Path) -> None:
        """Raises OutboxError if the file cannot be used."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY", "foreign_keys = ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.executescript(TABLES)
            self._known = {key for (key,) in self._connection.execute("SELECT key FROM notice")}
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(f"the outbox {path} cannot be used: {error}") from error

    def close(self) -> None:
        self._connection.close()

    def take(self, notices: Iterable[Notice], configuration: Configuration, now: datetime) -> int:
        """Takes in what was not there before; how many will be told. Raises OutboxError.

        A topic that was told a short while ago is taken in and told nobody.
        """
        new = [notice for notice in notices if notice.key not in self._known]
        if not new:
            return 0
        told, at = 0, now.timestamp()
        repeat, due = configuration.grouping.repeat_seconds, at + configuration.grouping.wait_seconds
        with self._transaction() as connection:
            for notice in new:
                repeated = connection.execute(
                    "SELECT 1 FROM notice WHERE topic = ? AND taken > ? LIMIT 1", (notice.topic, at - repeat)
                ).fetchone()
                content = json.dumps(notice.content(), sort_keys=True, ensure_ascii=False)
                taken = connection.execute(
                    "INSERT OR IGNORE INTO notice VALUES (?, ?, ?, ?)", (notice.key, notice.topic, at, content)
                ).rowcount
                if not taken or repeated:
                    continue
                receivers = configuration.receivers_of(notice)
                connection.executemany(
                    "INSERT INTO delivery (key, receiver, due) VALUES (?, ?, ?)",
                    [(notice.key, receiver, due) for receiver in receivers],
                )
                told += bool(receivers)
        self._known.update(notice.key for notice in new)
        return told

    def owed(self, configuration: Configuration, now: datetime) -> tuple[Owed, ...]:
        """What is due, by receiver: with the first that is due goes all that waits for the same one."""
        at, interval = now.timestamp(), configuration.grouping.interval_seconds
        found = []
        for receiver in (each.name for each in configuration.receivers):
            [first, sent] = self._connection.execute(
                "SELECT (SELECT min(due) FROM delivery WHERE receiver = ?1 AND ended IS NULL), "
                "(SELECT max(ended) FROM delivery WHERE receiver = ?1 AND problem = '')",
                (receiver,),
            ).fetchone()
            if first is None or first > at or (sent is not None and sent + interval > at):
                continue
            rows = self._connection.execute(
                "SELECT content, attempts FROM delivery JOIN notice USING (key) WHERE receiver = ? AND ended IS NULL "
                "ORDER BY taken, key",
                (receiver,),
            ).fetchall()
            notices = tuple(Notice.of(json.loads(content)) for content, _ in rows)
            found.append(Owed(receiver=receiver, notices=notices, attempts=max(attempts for _, attempts in rows)))
        return tuple(found)

    def waiting(self) -> int:
        """How many deliveries are not done."""
        return int(self._connection.execute("SELECT count(*) FROM delivery WHERE ended IS NULL").fetchone()[0])

    def sent(self, owed: Owed, now: datetime) -> None:
        """All of it was told."""
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE delivery SET ended = ?, attempts = attempts + 1, problem = '' WHERE key = ? AND receiver = ?",
                [(now.timestamp(), notice.key, owed.receiver) for notice in owed.notices],
            )

    def failed(self, owed: Owed, problem: str, now: datetime) -> tuple[Notice, ...]:
        """It could not be told: what is tried again later is so after a pause that doubles; returns what is given up."""
        pause = min(FIRST_PAUSE * 2 ** min(owed.attempts, 20), LONGEST_PAUSE)
        given_up = []
        with self._transaction() as connection:
            for notice in owed.notices:
                where = (notice.key, owed.receiver)
                [taken] = connection.execute("SELECT taken FROM notice WHERE key = ?", (notice.key,)).fetchone()
                ended = now.timestamp() if now.timestamp() - taken > GIVE_UP.total_seconds() else None
                connection.execute(
                    "UPDATE delivery SET attempts = attempts + 1, due = ?, problem = ?, ended = ? "
                    "WHERE key = ? AND receiver = ?",
                    ((now + pause).timestamp(), problem[:500], ended, *where),
                )
                if ended is not None:
                    given_up.append(notice)
        return tuple(given_up)

    def tidy(self, now: datetime) -> None:
        """Forgets what was told long ago; nobody's delivery is dropped that is not ended."""
        with self._transaction() as connection:
            gone = connection.execute(
                "DELETE FROM notice WHERE taken < ? AND NOT EXISTS "
                "(SELECT 1 FROM delivery WHERE delivery.key = notice.key AND ended IS NULL) RETURNING key",
                ((now - KEPT).timestamp(),),
            ).fetchall()
        self._known -= {key for (key,) in gone}

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection)


@dataclass(frozen=True)
class _Transaction:
    """BEGIN IMMEDIATE to COMMIT; what SQLite refuses is an OutboxError."""

    connection: sqlite3.Connection

    def __enter__(self) -> sqlite3.Connection:
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise OutboxError(f"the outbox cannot be written: {error}") from error
        return self.connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if kind is None:
                self.connection.execute("COMMIT")
        except sqlite3.Error as problem:
            raise OutboxError(f"the outbox cannot be written: {problem}") from problem
        finally:
            # A full disk has ended the transaction already.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise OutboxError(f"the outbox cannot be written: {error}") from error
