"""The database: a file of SQLite, or a PostgreSQL by its URL; how it is opened, and brought to the tables of this release."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from refit.audit.rows import LedgerError

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMES = ("postgresql", "postgresql+psycopg")
BUSY_SECONDS = 5.0
PATIENCE = {
    "connect_timeout": "5",
    # Of a server that went away without a word the kernel is the first to know.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "options": "-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s",
    "application_name": "refit",
}
"""How long PostgreSQL is waited for; each can be said otherwise in the URL."""
ANSWER, ANSWER_SECONDS = "answer_timeout", 15.0
"""And for any answer, which should be longer than the server lets a statement run; a parameter of our own in the URL."""
WRITER = 0x7265666974
"""The advisory lock of whoever writes, so that two operators write one after the other."""


def url_of(database: str | Path) -> URL:
    """What a setting names; raises LedgerError that names no password."""
    if "://" not in str(database):
        return URL.create("sqlite", database=str(database))
    try:
        found = make_url(str(database))
    except ArgumentError:
        raise LedgerError("the audit's database is neither a path nor a URL postgresql://user@host/database") from None
    if found.drivername not in SCHEMES:
        raise LedgerError(f"the audit's database is a path or postgresql://..., and no {found.drivername[:32]}")
    answers_within(found)
    if found.password is not None or "password" in found.query:
        raise LedgerError(
            "no password belongs in the URL of the audit: name a file in REFIT_AUDIT_DATABASE_PASSWORD_FILE"
        )
    return found.set(drivername="postgresql+psycopg")


def answers_within(url: URL) -> float:
    """Seconds; raises LedgerError."""
    given = url.query.get(ANSWER, ANSWER_SECONDS)
    try:
        found = float(given)  # type: ignore[arg-type]  # a tuple, where it was given twice, is refused as below
    except (TypeError, ValueError):
        found = 0.0
    if not 0 < found < math.inf:
        raise LedgerError(f"{ANSWER} in the URL of the audit is a number of seconds, and not {str(given)[:32]!r}")
    return found


def name_of(url: URL) -> str:
    """How it is called in messages."""
    return str(url.database) if url.drivername == "sqlite" else f"{url.host or 'local'}/{url.database}"


def engine_of(url: URL, password_file: Path | None = None) -> Engine:
    """An engine whose transactions begin with the lock of the writer, unless they say that they only read."""
    if url.drivername == "sqlite":
        return _sqlite(url)
    return _postgresql(url, password_file)


def _postgresql(url: URL, password_file: Path | None) -> Engine:
    from refit.audit.waiting import connected  # noqa: PLC0415  # whose audit is a file needs no psycopg

    engine = create_engine(
        url.difference_update_query((ANSWER,)),
        connect_args={name: value for name, value in PATIENCE.items() if name not in url.query},
        pool_size=2,
        max_overflow=1,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, args: Any, given: dict[str, Any]) -> Any:
        if password_file is not None:  # read anew for each connection, so that a Secret can be rotated
            given["password"] = password_file.read_text(encoding="utf-8").strip()
        return connected(*args, answers_within=answers_within(url), **given)

    return engine


def _sqlite(url: URL) -> Engine:
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False, "isolation_level": None},
        pool_size=2,
        max_overflow=1,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def pragmas(connection: Any, _record: Any) -> None:
        # FULL: a commit is on disk when it returns. Pods have a root file system that cannot be written.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        connection.text_factory = lambda raw: raw.decode(errors="surrogateescape")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


class LostError(LedgerError):
    """The connection was lost: what was sent may have been done or not."""


def is_lost(error: Exception) -> bool:
    """Whether a new connection may know more."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


@contextmanager
def transaction(connection: Connection, *, writes: bool) -> Iterator[None]:
    """One transaction. What stands in `connection.info["committed"]` is called when it is on disk, and not before."""
    connection.execution_options(reads=not writes)
    connection.info.pop("committed", None)
    with connection.begin():
        yield
    committed = connection.info.pop("committed", None)
    if committed is not None:
        committed()


def lock(connection: Connection) -> None:
    """Waits until nobody else writes. SQLite's transaction has the lock already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER})


def prepare(engine: Engine) -> None:
    """Makes sure of the tables. A file is the operator's own; in a PostgreSQL only the tables' owner may make them."""
    with engine.connect() as connection, transaction(connection, writes=True):
        (migrate if engine.dialect.name == "sqlite" else check)(connection)


def migrate(connection: Connection) -> None:
    """Brings the tables to those of this release; raises LedgerError if they are of a later one."""
    there, wanted = revisions(connection)
    if there == wanted:
        return
    _known(there)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def check(connection: Connection) -> None:
    """For those who may not make tables: raises LedgerError unless they are those of this release."""
    there, wanted = revisions(connection)
    if there != wanted:
        _known(there)
        raise LedgerError(
            f"the audit's tables are {there or 'not there'}, this release needs {wanted}: "
            "run `python -m refit.audit migrate` as their owner; see docs/audit.md"
        )


def revisions(connection: Connection) -> tuple[str | None, str]:
    """The version of the tables that are there, and the one of this release."""
    return MigrationContext.configure(connection).get_current_revision(), _head()


def _known(revision: str | None) -> None:
    if revision is not None and revision not in {one.revision for one in _scripts().walk_revisions()}:
        raise LedgerError(f"the audit's tables are of a later release ({revision[:32]}): this one does not touch them")


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


def _head() -> str:
    return _scripts().get_current_head() or ""


def told(error: Exception) -> str:
    """One line for what a database said, without the statement and its values."""
    said = getattr(error, "orig", None) or error
    return re.sub(r"\s+", " ", str(said)).strip()[:300] or type(error).__name__


ERRORS = (SQLAlchemyError, OSError)
"""What a database may raise."""
