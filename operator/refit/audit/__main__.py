"""`python -m refit.audit`: what the owner of the audit's database does: its tables, a verification, archives, a move to
PostgreSQL.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, text

from refit.api.times import stamp
from refit.audit import checkpoints, copying, database, keys, retention, standing
from refit.audit.parts import on_all_processors
from refit.audit.rows import LedgerError
from refit.audit.verification import told

ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def main() -> int:
    """Exit code 1 and one line if it could not be done."""
    given = _parser().parse_args()
    try:
        given.run(given)
    except (LedgerError, *database.ERRORS) as error:
        print(f"refit.audit: {database.told(error)}", file=sys.stderr)  # noqa: T201  # for a person at a terminal
        return 1
    return 0


def migrate(given: argparse.Namespace) -> None:
    """The tables of this release, and the rights of the role that writes rows: no more than it takes."""
    engine = _engine(given.database, given.password_file)
    if given.writer and not ROLE.fullmatch(given.writer):
        raise LedgerError(f"--writer {given.writer!r} is no plain name of a role")
    with engine.connect() as connection, database.transaction(connection, writes=True):
        database.lock(connection)
        database.migrate(connection)
        if given.writer and connection.dialect.name == "postgresql":
            for statement in (
                "REVOKE ALL ON audit, audit_base, alembic_version FROM PUBLIC",
                f"REVOKE ALL ON audit, audit_base, alembic_version FROM {given.writer}",
                f"GRANT SELECT, INSERT ON audit TO {given.writer}",
                f"GRANT SELECT ON audit_base, alembic_version TO {given.writer}",
            ):
                connection.execute(text(statement))
        now, _ = database.revisions(connection)
    _say(f"the tables are {now}")


def archive(given: argparse.Namespace) -> None:
    found = retention.archive(
        _prepared(given), keys.read(given.keys), given.before, given.bundle, stamp(datetime.now(UTC))
    )
    _say(
        f"{found.rows} rows, up to {found.last}, are in {given.bundle} and no longer in the table; sha256 {found.sha256}"
    )


def verify(given: argparse.Namespace) -> None:
    engine, secrets = _prepared(given), keys.read(given.keys).secrets
    known = [one for path in given.checkpoint for one in checkpoints.found_in(path.read_text(encoding="utf-8"))]
    with engine.connect() as connection, database.transaction(connection, writes=False):
        divide = partial(standing.divided, connection, engine.url, given.password_file)
        report = standing.verified(connection, secrets, known, on_all_processors(divide))
    if not report.ok:
        raise LedgerError(told(report))
    _say(told(report))


def copy(given: argparse.Namespace) -> None:
    report = copying.copy(_prepared(given), _engine(given.to, given.to_password_file), keys.read(given.keys))
    _say(told(report))


def _prepared(given: argparse.Namespace) -> Engine:
    engine = _engine(given.database, given.password_file)
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        raise LedgerError(f"there is no {engine.url.database}")
    database.prepare(engine)
    return engine


def _engine(where: str, password_file: Path | None) -> Engine:
    return database.engine_of(database.url_of(where), password_file)


def _moment(word: str) -> str:
    try:
        return stamp(datetime.fromisoformat(word if "T" in word else f"{word}T00:00:00+00:00"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is no date such as 2026-01-31") from None


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m refit.audit", description=__doc__)
    commands = found.add_subparsers(required=True, metavar="COMMAND")
    environment = os.environ
    for name, run, told_ in (
        ("migrate", migrate, "make the tables, or bring them to this release"),
        ("verify", verify, "all rows against their hashes and macs, and against checkpoints"),
        ("archive", archive, "old rows into a bundle, and out of the table"),
        ("copy", copy, "all rows into an empty database"),
    ):
        one = commands.add_parser(name, help=told_, description=told_)
        one.set_defaults(run=run)
        one.add_argument("--database", default=environment.get("REFIT_AUDIT_DATABASE", "/var/lib/refit/audit.db"))
        one.add_argument(
            "--password-file", type=Path, default=environment.get("REFIT_AUDIT_DATABASE_PASSWORD_FILE") or None
        )
        one.add_argument("--keys", type=Path, default=Path(environment.get("REFIT_AUDIT_KEYS", "/etc/refit/audit")))
        if run is migrate:
            one.add_argument("--writer", help="PostgreSQL: the role of the operator, which may insert and select")
        if run is verify:
            one.add_argument(
                "--checkpoint", type=Path, action="append", default=[], help="file with one that was kept elsewhere"
            )
        if run is archive:
            one.add_argument("--before", type=_moment, required=True, help="a date: rows from before it")
            one.add_argument("--bundle", type=Path, required=True, help="the file to write")
        if run is copy:
            one.add_argument("--to", required=True, help="postgresql://owner@host/database, or a path")
            one.add_argument("--to-password-file", type=Path)
    return found


def _say(words: str) -> None:
    print(words)  # noqa: T201  # a command's answer


if __name__ == "__main__":
    sys.exit(main())
