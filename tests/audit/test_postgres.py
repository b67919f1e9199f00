"""PostgreSQL, a real one: what its roles may do, and what becomes of a row when it goes away."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from audited import entry, filled, ledger
from postgres import OWNER, PASSWORD, WRITER, Database, admin, wire_to
from refit.audit import queries
from refit.audit.ledger import LedgerError

SOON = "answer_timeout=0.3&connect_timeout=2"
REFUSED = (psycopg.errors.RaiseException, psycopg.errors.InsufficientPrivilege)


async def two_rows(database: Database) -> None:
    found = ledger(database.url, password_file=database.server.password_file)
    for number in (1, 2):
        await found.write(entry(number))
    found.close()


CHANGES = [
    pytest.param("UPDATE audit SET actor = 'mallory'", id="an update"),
    pytest.param("DELETE FROM audit WHERE sequence = 2", id="a delete"),
    pytest.param("TRUNCATE audit", id="a truncate, which is no delete of rows"),
    pytest.param(
        "INSERT INTO audit SELECT 9, time, kind, 'u', digest, '', '', '', '', '', '{}', '', '', '' FROM audit",
        id="a row behind a gap",
    ),
    pytest.param(
        "INSERT INTO audit SELECT 3, time, kind, request_uid, digest, '', '', '', '', '', '{}', '', '', '' FROM audit"
        " WHERE sequence = 1",
        id="a second row of a request and kind",
    ),
    pytest.param("UPDATE audit_base SET head = ''", id="an update of the base"),
    pytest.param("TRUNCATE audit_base", id="a truncate of the base"),
]


@pytest.mark.parametrize(
    "statement", [*CHANGES, pytest.param("DROP TRIGGER audit_no_update ON audit", id="no trigger")]
)
async def test_the_role_of_the_operator_inserts_and_selects_and_no_more(database: Database, statement: str) -> None:
    await two_rows(database)
    before = database.server.rows("SELECT * FROM audit", database.name)
    with pytest.raises(REFUSED):
        database.server.run(statement, database.name, WRITER)
    assert database.server.rows("SELECT * FROM audit", database.name) == before


@pytest.mark.parametrize("statement", [change for change in CHANGES if "audit_base SET" not in str(change.values[0])])
async def test_the_owner_is_refused_too_as_long_as_the_triggers_stand(database: Database, statement: str) -> None:
    await two_rows(database)
    with pytest.raises(psycopg.errors.RaiseException, match="the audit"):
        database.server.run(statement, database.name, OWNER)


def test_who_writes_makes_no_tables_and_is_told_who_does(empty: Database) -> None:
    found = ledger(empty.url, password_file=empty.server.password_file)
    with pytest.raises(LedgerError, match=r"tables are not there, this release needs v0001: run `python -m refit"):
        asyncio.run(found.open())
    found.close()


def test_tables_of_a_later_release_are_not_touched(database: Database) -> None:
    database.server.run("UPDATE alembic_version SET version_num = 'v9999'", database.name)
    found = ledger(database.url, password_file=database.server.password_file)
    with pytest.raises(LedgerError, match="tables are of a later release"):
        asyncio.run(found.open())
    found.close()


async def test_a_server_that_is_killed_and_comes_back_is_used_again(database: Database) -> None:
    found = ledger(database.url, password_file=database.server.password_file)
    await found.write(entry(1))
    database.server.kill()
    with pytest.raises(LedgerError, match="cannot be used"):
        await found.write(entry(2))
    database.server.start()
    assert (await found.write(entry(2))).sequence == 2
    assert (await found.verify()).rows == 2
    found.close()


async def test_a_server_that_is_killed_between_the_row_and_its_commit_has_no_such_row(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ledger(database.url, password_file=database.server.password_file)
    await found.write(entry(1))

    def after_insert(connection: Any, row: Any) -> None:
        insert(connection, row)
        database.server.kill()
        monkeypatch.undo()

    insert = queries.insert_row
    monkeypatch.setattr(queries, "insert_row", after_insert)
    with pytest.raises(LedgerError, match="cannot be used"):
        await found.write(entry(2))
    database.server.start()
    assert [row.sequence for row in await found.all()] == [1]
    assert (await found.write(entry(2))).sequence == 2
    found.close()


async def test_a_commit_whose_answer_was_lost_is_found_and_not_written_again(database: Database) -> None:
    with wire_to(database) as wire:
        found = ledger(wire.url, password_file=database.server.password_file)
        first = await found.write(entry(1))
        wire.losing = True
        second = await found.write(entry(2))
        assert wire.lost == 1
        assert await found.all() == (first, second)
        assert (await found.write(entry(3))).sequence == 3
        assert (await found.verify()).ok
        found.close()


async def test_a_server_that_takes_everything_and_says_nothing_is_not_waited_for_for_ever(database: Database) -> None:
    with wire_to(database) as wire:
        found = ledger(f"{wire.url}?{SOON}", password_file=database.server.password_file)
        first = await found.write(entry(1))
        wire.silence()
        with pytest.raises(LedgerError, match="cannot be used: connection timeout expired"):
            await found.write(entry(2))
        wire.speak()
        assert await found.all() == (first,)
        assert (await found.write(entry(2))).sequence == 2
        assert (await found.verify()).ok
        found.close()


async def test_a_connection_that_went_silent_is_left_for_another(database: Database) -> None:
    """As behind a firewall that forgot it."""
    with wire_to(database) as wire:
        found = ledger(f"{wire.url}?{SOON}", password_file=database.server.password_file)
        await found.write(entry(1))
        wire.silence(for_good=False)
        assert (await found.write(entry(2))).sequence == 2
        assert (await found.verify()).ok
        found.close()


async def test_a_server_that_goes_silent_within_each_transaction_is_told_in_words(database: Database) -> None:
    with wire_to(database) as wire:
        found = ledger(f"{wire.url}?{SOON}", password_file=database.server.password_file)
        first = await found.write(entry(1))
        wire.silent_at = b"INSERT INTO audit"
        with pytest.raises(LedgerError, match=r"cannot be used: no answer within 0\.3 s"):
            await found.write(entry(2))
        assert await found.all() == (first,)
        wire.silent_at = None
        assert (await found.write(entry(2))).sequence == 2
        found.close()


async def test_a_ledger_closes_while_the_server_is_silent_and_many_wait_to_write(database: Database) -> None:
    with wire_to(database) as wire:
        found = ledger(f"{wire.url}?{SOON}", password_file=database.server.password_file)
        await found.write(entry(1))
        wire.silence()
        writing = [asyncio.create_task(found.write(entry(number))) for number in range(2, 40)]
        await asyncio.to_thread(wire.held.wait)
        found.close()
        first, *others = [str(one) for one in await asyncio.gather(*writing, return_exceptions=True)]
        assert first == f"the audit in 127.0.0.1/{database.name} cannot be used: connection timeout expired"
        assert others == ["the audit is closed"] * len(others)


async def test_a_slow_database_does_not_stop_the_event_loop(database: Database) -> None:
    found = ledger(database.url, password_file=database.server.password_file)
    await found.write(entry(1))
    with psycopg.connect(
        f"host=127.0.0.1 port={database.server.port} user={OWNER} password='{PASSWORD}' dbname={database.name}"
    ) as holder:
        holder.execute("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
        writing = asyncio.create_task(found.write(entry(2)))
        turns = 0
        while turns < 1000:
            await asyncio.sleep(0)
            turns += 1
        assert not writing.done()
        holder.rollback()
    assert (await writing).sequence == 2
    found.close()


async def test_a_lock_that_is_held_is_waited_for_and_then_told(database: Database) -> None:
    found = ledger(f"{database.url}?options=-c%20lock_timeout%3D200ms", password_file=database.server.password_file)
    await found.write(entry(1))
    with psycopg.connect(
        f"host=127.0.0.1 port={database.server.port} user={OWNER} password='{PASSWORD}' dbname={database.name}"
    ) as holder:
        holder.execute("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(LedgerError, match="lock timeout"):
            await found.write(entry(2))
    assert (await found.write(entry(2))).sequence == 2
    found.close()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        pytest.param("postgresql://refit:secret@db/audit", "no password belongs in the URL", id="a password"),
        pytest.param("postgresql://refit@db/audit?password=secret", "no password belongs in the URL", id="another way"),
        pytest.param("mysql://refit@db/audit", "and no mysql", id="another database"),
        pytest.param("postgresql://refit@db/audit?answer_timeout=soon", "answer_timeout", id="a time that is none"),
        pytest.param("postgresql://refit@db/audit?answer_timeout=0", "answer_timeout", id="no time at all"),
        pytest.param("://", "neither a path nor a URL", id="no URL at all"),
    ],
)
def test_what_is_no_database_for_the_audit_is_refused_without_a_word_of_the_password(where: str, words: str) -> None:
    with pytest.raises(LedgerError, match=words) as refused:
        ledger(where)
    assert "secret" not in str(refused.value)


def test_a_password_file_that_is_not_there_is_told(database: Database) -> None:
    found = ledger(database.url, password_file=database.server.folder / "none")
    with pytest.raises(LedgerError, match="No such file"):
        asyncio.run(found.open())
    found.close()


async def test_all_rows_move_from_a_file_to_a_server_byte_for_byte(database: Database) -> None:
    path = database.server.folder / f"{database.name}.db"
    filled(path, 25)
    keys = database.server.folder / "keys"
    keys.mkdir(exist_ok=True)
    (keys / "k1").write_bytes(b"made up for tests" * 2)
    password = database.server.password_file
    words = ("--database", path, "--keys", keys, "--to", database.owners, "--to-password-file", password)
    here = ledger(path)
    before = await here.all()
    said = admin("copy", *words)
    assert said == "25 rows, 1 to 25: the chain holds; every mac was made with the key\n"
    there = ledger(database.url, password_file=password)
    assert await there.all() == before
    assert await there.lines(0, 100) == await here.lines(0, 100)
    assert (await there.write(entry(26))).sequence == 26
    assert admin("copy", *words) == "refit.audit: the database to copy into holds rows already\n"
    for one in (here, there):
        one.close()
