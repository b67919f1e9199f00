"""What the ledger promises those who write, in both databases."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from audited import KEYS, NOON, ROTATED, Intruder, entry, filled, ledger, rows_in
from postgres import Database
from refit.api.entries import EntryKind
from refit.audit.keys import Keys
from refit.audit.ledger import Ledger, LedgerError
from refit.audit.queries import Asked
from refit.audit.rows import Row
from refit.audit.verification import told


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str | Path, Path | None]:
    """Where the audit is, and the file with its password."""
    if request.param == "SQLite":
        return tmp_path / "folder" / "audit.db", None
    found: Database = request.getfixturevalue("database")
    return found.url, found.server.password_file


async def test_a_row_holds_what_the_entry_said_and_is_chained(both: tuple[str | Path, Path | None]) -> None:
    found = ledger(both[0], password_file=both[1])
    first, second = await found.write(entry(1)), await found.write(entry(1, EntryKind.OUTCOME))
    assert first == Row(
        sequence=1,
        time="2026-11-21T12:00:00Z",
        kind=EntryKind.INTENT,
        request_uid="uid-1",
        digest=f"sha256:{1:064x}",
        trigger_type="Drift",
        actor="alice",
        trace_id=f"{1:032x}",
        namespace="team-a",
        model="heart",
        content='{"note":"tab\\there, end\\nof line, \\"quoted\\", ärger","request":"heart-retrain-1"}',
        hash=first.hash,
        mac=first.mac,
        key_id="k1",
    )
    assert await found.all() == (first, second)
    report = await found.open()
    assert (report.ok, report.rows, report.head, report.proven) == (True, 2, second.hash, True)
    found.close()


async def test_the_hashes_are_the_same_in_both_databases(database: Database, tmp_path: Path) -> None:
    """For a move from one to the other keeps every byte."""
    heads = []
    for where, password in ((tmp_path / "a.db", None), (database.url, database.server.password_file)):
        found = ledger(where, password_file=password)
        for number in (1, 2, 3):
            await found.write(entry(number))
        heads.append((await found.checkpoint()).wire())
        found.close()
    assert heads[0] == heads[1]


async def test_what_stands_already_is_found_and_not_written_twice(both: tuple[str | Path, Path | None]) -> None:
    found = ledger(both[0], password_file=both[1])
    first = await found.write(entry(1))
    found.close()
    again = ledger(both[0], password_file=both[1])
    assert await again.write(entry(1)) == first
    with pytest.raises(LedgerError, match="holds an Intent of this request already, of another proposal"):
        await again.write(entry(1, digest="sha256:other"))
    assert await again.all() == (first,)
    again.close()


async def test_two_that_write_at_once_leave_no_gap_and_no_fork(both: tuple[str | Path, Path | None]) -> None:
    """An old operator and a new one, for a moment."""
    ledgers = [ledger(both[0], password_file=both[1]) for _ in range(3)]
    await ledgers[0].open()
    await asyncio.gather(*(ledgers[number % 3].write(entry(number)) for number in range(30)))
    report = await ledgers[0].verify()
    assert (report.ok, report.rows, told(report).split(";")[0]) == (True, 30, "30 rows, 1 to 30: the chain holds")
    for one in ledgers:
        one.close()


async def test_rows_are_found_by_their_columns(both: tuple[str | Path, Path | None]) -> None:
    found = ledger(both[0], password_file=both[1])
    written = [
        await found.write(entry(number, model=model)) for number, model in enumerate(("a", "b", "a", "a"), start=1)
    ]
    assert await found.rows(Asked(model="a", limit=2)) == (written[2], written[3])
    assert await found.rows(Asked(trace_id=f"{2:032x}")) == (written[1],)
    assert await found.rows(Asked(after=2, kind="Outcome")) == ()
    assert await found.of_requests(["uid-1", "uid-4", "unknown"]) == (written[0], written[3])
    assert len((await found.lines(1, 2)).splitlines()) == 2
    found.close()


async def test_a_key_that_is_rotated_signs_what_comes_after(tmp_path: Path) -> None:
    keys = KEYS
    found = Ledger(tmp_path / "a.db", lambda: NOON, lambda: keys)
    await found.write(entry(1))
    keys = ROTATED
    second = await found.write(entry(2))
    assert (second.key_id, (await found.checkpoint()).key_id) == ("k2", "k2")
    assert (await found.verify()).ok
    keys = Keys(current="k2", secrets={"k2": ROTATED.secrets["k2"]})
    report = await found.verify()
    assert told(report) == "bad: row 1: its key 'k1' is not known"
    found.close()


async def test_without_a_key_nothing_is_written_and_with_one_it_goes_on(tmp_path: Path) -> None:
    there = False

    def keys() -> Keys:
        if there:
            return KEYS
        raise LedgerError("the audit has no key")

    found = Ledger(tmp_path / "a.db", lambda: NOON, keys)
    with pytest.raises(LedgerError, match="the audit has no key"):
        await found.write(entry(1))
    there = True
    assert (await found.write(entry(1))).sequence == 1
    found.close()


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE audit SET actor = 'mallory' WHERE sequence = 1", id="an update"),
        pytest.param("DELETE FROM audit WHERE sequence = 2", id="a delete"),
        pytest.param(
            "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE sequence = 1", id="a row in a row's place"
        ),
        pytest.param(
            "INSERT OR REPLACE INTO audit SELECT 3, time, kind, request_uid, digest, '', '', '', '', '', '{}', '', '', ''"
            " FROM audit WHERE sequence = 1",
            id="a row of the same request and kind in another's place",
        ),
        pytest.param(
            "INSERT INTO audit SELECT 9, time, kind, 'u', digest, '', '', '', '', '', '{}', '', '', '' FROM audit",
            id="a row behind a gap",
        ),
        pytest.param("DELETE FROM audit_base", id="the base, where there is none"),
    ],
)
def test_the_file_itself_refuses_what_is_no_new_row(tmp_path: Path, statement: str) -> None:
    filled(tmp_path / "a.db", 2)
    before = rows_in(tmp_path / "a.db")
    with sqlite3.connect(tmp_path / "a.db") as connection:
        if "audit_base" in statement:
            connection.execute("INSERT INTO audit_base VALUES (0, '', '', '', '')")
        with pytest.raises(sqlite3.IntegrityError, match="the audit"):
            connection.execute(statement)
    assert rows_in(tmp_path / "a.db") == before


@pytest.mark.parametrize("field", ["actor", "model", "digest"])
async def test_a_field_that_would_make_two_of_a_line_is_refused(tmp_path: Path, field: str) -> None:
    found = ledger(tmp_path / "a.db")
    with pytest.raises(LedgerError, match="may hold no tab and no end of line"):
        await found.write(replace(entry(1), **{field: "a\tb"}))  # type: ignore[arg-type]  # texts, all of them
    assert await found.all() == ()
    found.close()


async def test_a_chain_that_does_not_hold_is_not_written_on(tmp_path: Path) -> None:
    """Not even after the operator was restarted; and what stands can still be read."""
    filled(tmp_path / "a.db", 3)
    intruder = Intruder(tmp_path / "a.db")
    intruder.does("UPDATE audit SET content = ? WHERE sequence = 2", json.dumps({"approved": "by nobody"}))
    intruder.leaves()
    found = ledger(tmp_path / "a.db")
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"is not written on: bad: row 2: it is not what was hashed"):
            await found.write(entry(4))
    assert len(await found.of_requests(["uid-1"])) == 1
    found.close()


async def test_what_is_changed_under_a_running_operator_is_found_at_the_next_row_or_the_next_start(
    tmp_path: Path,
) -> None:
    found = ledger(tmp_path / "a.db")
    for number in (1, 2, 3):
        await found.write(entry(number))
    intruder = Intruder(tmp_path / "a.db")
    intruder.does("DELETE FROM audit WHERE sequence = 3")
    intruder.does("UPDATE audit SET actor = 'mallory' WHERE sequence = 1")
    intruder.leaves()
    with pytest.raises(LedgerError, match="bad: row 1: it is not what was hashed"):
        await found.write(entry(4))
    found.close()


async def test_an_older_copy_of_the_database_is_not_written_on(tmp_path: Path) -> None:
    filled(tmp_path / "a.db", 2)
    older = (tmp_path / "a.db").read_bytes()
    newer = filled(tmp_path / "a.db", 3)
    (tmp_path / "a.db").write_bytes(older)
    found = ledger(tmp_path / "a.db")
    with pytest.raises(LedgerError, match="bad: row 3: it is missing, and so are all up to row 3"):
        await found.open([newer])
    with pytest.raises(LedgerError, match="is not written on"):
        await found.write(entry(3))
    found.close()
