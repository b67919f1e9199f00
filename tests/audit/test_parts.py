"""Rows that are verified in parts: nothing is said that the walk along all of them does not say."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import URL

from audited import KEYS, Intruder, as_lines, filled, ledger
from postgres import Database, admin
from refit.audit import bundles, database, parts, queries, standing
from refit.audit.checkpoints import Checkpoint, signed
from refit.audit.parts import beside, on_all_processors, processes
from refit.audit.rows import LedgerError, Line, Row
from refit.audit.verification import Against, Report, State, Walk, one_by_one, told, verify
from tampering import ROWS, Listed, World, cut, hashed_anew, stretch_of


def judged(
    rows: Iterator[Line] | Sequence[bytes], world: World, walk: Walk | None = None, *, keys: bool = True
) -> Report:
    return verify(rows, secrets=KEYS.secrets if keys else None, checkpoints=[world.kept], walk=walk)


def unread() -> Iterator[Line]:
    """For a walk that needs no second one."""
    raise AssertionError("the rows were read one by one")
    yield None


@pytest.mark.parametrize("keys", [True, False], ids=["with keys", "without"])
def test_parts_that_hold_are_all_that_is_read_wherever_the_seams_are(world: World, tmp_path: Path, keys: bool) -> None:
    lines = as_lines(world.rows)
    whole = judged(lines, world, keys=keys)
    assert whole.ok
    for seam in range(1, ROWS):
        assert judged(unread(), world, beside(cut(lines, seam), map), keys=keys) == whole
    stretch = stretch_of(tmp_path / "rows.tsv", lines)
    for count in range(2, 100):
        divided = stretch.divided(count, least=1)
        assert len(divided) > 1
        assert judged(unread(), world, beside(divided, map), keys=keys) == whole


Tamper = Callable[[list[Row], int], None]


def edited(rows: list[Row], at: int) -> None:
    rows[at] = replace(rows[at], actor="mallory")


def other_hash(rows: list[Row], at: int) -> None:
    rows[at] = replace(rows[at], hash="0" * 64)


def other_mac(rows: list[Row], at: int) -> None:
    rows[at] = replace(rows[at], mac="0" * 64)


def unsealed(rows: list[Row], at: int) -> None:
    rows[at] = replace(rows[at], hash="", mac="", key_id="")


def dropped(rows: list[Row], at: int) -> None:
    del rows[at]


def twice(rows: list[Row], at: int) -> None:
    rows.insert(at, rows[at])


def anew(rows: list[Row], at: int) -> None:
    """From there on every hash fits, to another row."""
    edited(rows, at)
    rows[:] = hashed_anew(rows, at + 1)


def another_chain(rows: list[Row], at: int) -> None:
    """What stands behind it fits another row in its place."""
    rows[at + 1 :] = hashed_anew([replace(rows[at], actor="mallory"), *rows[at + 1 :]], 0)[1:]


@pytest.mark.parametrize("keys", [True, False], ids=["with keys", "without"])
@pytest.mark.parametrize(
    "tamper",
    [edited, other_hash, other_mac, unsealed, dropped, twice, anew, another_chain],
    ids=lambda one: one.__name__,
)
def test_what_is_done_at_a_seam_is_told_in_the_same_words(world: World, tamper: Tamper, keys: bool) -> None:
    for seam in range(2, ROWS - 3):
        for at in (seam - 1, seam, seam + 1):
            rows = list(world.rows)
            tamper(rows, at)
            lines = as_lines(rows)
            expected = judged(lines, world, keys=keys)
            assert judged(lines, world, beside(cut(lines, seam), map), keys=keys) == expected


def test_parts_that_do_not_fit_together_are_not_believed(world: World) -> None:
    """Each of them holds; one row is in none of them."""
    lines = as_lines(world.rows)
    first, second, third = cut(lines, 10, 20)
    for some in ([first, third], [second, third], [second, first], [first, first]):
        assert judged(lines, world, beside(some, map)) == judged(lines, world)


def test_parts_are_verified_by_other_processes(world: World, tmp_path: Path) -> None:
    stretch = stretch_of(tmp_path / "rows.tsv", as_lines(world.rows))
    walk = beside(stretch.divided(4, least=1), processes(2))
    assert judged(unread(), world, walk) == judged(stretch.lines(), world)


@pytest.mark.parametrize("error", [OSError, NotImplementedError], ids=lambda one: one.__name__)
def test_where_there_can_be_no_other_process_the_rows_are_walked_along(world: World, error: type[Exception]) -> None:
    """Without /dev/shm, say."""

    def run(*_: object) -> list[parts.Piece]:
        raise error

    lines = as_lines(world.rows)
    assert judged(lines, world, beside(cut(lines, 10), run)) == judged(lines, world)


def test_there_are_parts_where_there_are_processors(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def divide(count: int) -> list[Listed]:
        asked.append(count)
        return cut(as_lines(world.rows), 10, 20)

    for number in (1, 2):
        monkeypatch.setattr(parts, "processors", lambda found=number: found)
        rows = as_lines(world.rows) if number == 1 else unread()
        assert judged(rows, world, on_all_processors(divide)).ok
    assert asked == [4]


@dataclass(frozen=True)
class Killed:
    """A part whose process is ended, as for want of memory."""

    first: bool

    def lines(self) -> Iterator[Line]:
        os.kill(os.getpid(), signal.SIGKILL)
        yield None


def test_where_another_process_does_not_live_the_rows_are_walked_along_one_by_one(world: World) -> None:
    lines = as_lines(world.rows)
    assert judged(lines, world, beside([Killed(True), Killed(False)], processes(2))) == judged(lines, world)


def test_rows_from_before_the_chain_are_told_of_by_the_walk_along_all(world: World) -> None:
    lines = as_lines(replace(row, hash="", mac="", key_id="") for row in world.rows)
    report = verify(lines, secrets=KEYS.secrets, walk=beside(cut(lines, 20), map))
    assert (report.ok, report.unchained) == (True, ROWS)


def bundle_in(folder: Path) -> Path:
    """Of six rows."""
    kept = filled(folder / "a.db", 6)
    found = ledger(folder / "a.db")
    lines = asyncio.run(found.lines(0, 6)).splitlines(keepends=True)
    found.close()
    bundles.write(folder / "a.tar", lines, kept, None)
    return folder / "a.tar"


def test_the_rows_of_a_bundle_are_read_from_it_as_they_stand(tmp_path: Path) -> None:
    with bundles.opened(bundle_in(tmp_path)) as found:
        assert found.stretch is not None
        assert list(found.stretch.lines()) == list(found.lines)


def test_a_bundle_that_is_packed_has_no_parts(tmp_path: Path) -> None:
    """Or else bytes would be verified that nobody reads."""
    bundle = bundle_in(tmp_path)
    bundle.write_bytes(gzip.compress(bundle.read_bytes()))
    with bundles.opened(bundle) as found:
        assert found.stretch is None
        assert bundles.judged(found, [found.checkpoint]).rows == 6


def test_a_bundle_whose_rows_are_a_link_is_none(tmp_path: Path) -> None:
    with tarfile.open(bundle_in(tmp_path), "a") as tar:
        link = tarfile.TarInfo("rows.tsv")
        link.type, link.linkname = tarfile.LNKTYPE, "checkpoint.json"
        tar.addfile(link)
    with pytest.raises(LedgerError, match="is no bundle"), bundles.opened(tmp_path / "a.tar"):
        pass


@pytest.mark.parametrize("file", [b"", b"\n", b"x", b"x" * 99, b"x\n" * 99])
def test_bytes_that_are_no_rows_are_read_to_their_end_and_fit_nothing(tmp_path: Path, file: bytes) -> None:
    (tmp_path / "rows.tsv").write_bytes(file)
    stretch = bundles.Stretch(tmp_path / "rows.tsv", 0, len(file))
    expected = verify(stretch.lines())
    assert expected.ok is (not file)
    assert verify(stretch.lines(), walk=beside(stretch.divided(4, least=1), map)) == expected


def test_a_file_that_ends_between_two_rows_is_not_taken_for_whole(world: World, tmp_path: Path) -> None:
    stretch = stretch_of(tmp_path / "rows.tsv", as_lines(world.rows))
    shorter = stretch_of(tmp_path / "rows.tsv", as_lines(world.rows[:35]))
    os.truncate(tmp_path / "rows.tsv", shorter.end)
    assert judged(shorter.lines(), world).ok
    for walk in (None, beside(stretch.divided(3, least=1), map)):
        with pytest.raises(EOFError):
            judged(stretch.lines(), world, walk)


def test_a_line_without_an_end_is_not_read_into_memory_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "LONGEST", 1024)
    (tmp_path / "rows.tsv").write_bytes(b"x" * 10 * bundles.BLOCK)
    lines = bundles.Stretch(tmp_path / "rows.tsv", 0, 10 * bundles.BLOCK).lines()
    assert list(lines) == [None]


@dataclass(frozen=True)
class Table:
    """Twelve rows in a database, and what its owner does there."""

    url: URL
    password_file: Path | None
    kept: Checkpoint
    change: Callable[[str], None]

    def told(self, count: int) -> tuple[Report, Report]:
        """By the walk along all rows, and in ranges."""
        engine = database.engine_of(self.url, self.password_file)
        with engine.connect() as connection, database.transaction(connection, writes=False):
            ranges = standing.divided(connection, self.url, self.password_file, count, least=1)
            assert len(ranges) == count
            found = [
                standing.verified(connection, KEYS.secrets, [self.kept], walk) for walk in (None, beside(ranges, map))
            ]
        engine.dispose()
        return found[0], found[1]


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Table:
    if request.param == "SQLite":
        kept = filled(tmp_path / "a.db", 12)

        def change(statement: str) -> None:
            intruder = Intruder(tmp_path / "a.db")
            intruder.does(statement)
            intruder.leaves()

        return Table(database.url_of(tmp_path / "a.db"), None, kept, change)
    found: Database = request.getfixturevalue("database")
    kept = filled(found.url, 12, password_file=found.server.password_file)
    unguarded = "SET session_replication_role = replica; "
    return Table(
        database.url_of(found.url),
        found.server.password_file,
        kept,
        lambda statement: found.server.run(unguarded + statement, found.name),
    )


def test_ranges_of_a_table_are_verified_beside_one_another(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = table.told(3)
    assert (whole.ok, whole.rows, whole.confirmed) == (True, 12, 12)
    monkeypatch.setattr(parts, "one_by_one", along_less_than(12))
    for count in range(2, 13):
        assert table.told(count) == (whole, whole)


def along_less_than(rows: int) -> Walk:
    """A walk that is never along all rows."""

    def walk(lines: Iterable[Line], state: State, against: Against) -> State:
        found = one_by_one(lines, state, against)
        assert found.rows < rows
        return found

    return walk


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        pytest.param("UPDATE audit SET actor = 'mallory' WHERE sequence = 4", "bad: row 4: it is not", id="at a seam"),
        pytest.param("UPDATE audit SET actor = 'mallory' WHERE sequence = 5", "bad: row 5: it is not", id="behind it"),
        pytest.param("DELETE FROM audit WHERE sequence = 4", "bad: row 4: it is missing", id="none at a seam"),
        pytest.param(
            "DELETE FROM audit WHERE sequence > 9", "bad: row 10, or one up to 12: it is", id="none at the end"
        ),
        pytest.param(
            "UPDATE audit SET sequence = 99 WHERE sequence = 4", "bad: row 4: it is missing", id="another number"
        ),
    ],
)
def test_what_was_done_to_a_table_is_told_in_the_same_words(table: Table, statement: str, words: str) -> None:
    table.change(statement)
    whole, in_ranges = table.told(3)
    assert told(whole).startswith(words)
    assert in_ranges == whole


def test_ranges_begin_behind_what_was_archived(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    head = next(row.hash for row in rows_of(table) if row.sequence == 5)
    base = signed(KEYS, sequence=5, head=head, rows=5, chained_from=1, time="2026-11-21T12:00:00Z")
    table.change(f"INSERT INTO audit_base VALUES (5, '', '{base.text()}', '', '')")  # noqa: S608  # of our own making
    whole, in_ranges = table.told(3)
    assert told(whole) == "bad: row 6: another row stands in its place", "they are still there"
    assert in_ranges == whole
    table.change("DELETE FROM audit WHERE sequence <= 5")
    monkeypatch.setattr(parts, "one_by_one", along_less_than(7))
    whole, in_ranges = table.told(3)
    assert (whole.ok, whole.first, whole.rows) == (True, 6, 7)
    assert in_ranges == whole


def rows_of(table: Table) -> tuple[Row, ...]:
    engine = database.engine_of(table.url, table.password_file)
    with engine.connect() as connection, database.transaction(connection, writes=False):
        found = queries.rows_asked(connection, queries.Asked())
    engine.dispose()
    return found


def test_the_owner_verifies_a_database_by_a_command(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "k1").write_bytes(KEYS.secrets["k1"])
    (tmp_path / "kept.json").write_text(filled(tmp_path / "a.db", 6).text())
    words = ("verify", "--database", tmp_path / "a.db", "--keys", tmp_path / "keys")
    good = "6 rows, 1 to 6: the chain holds; a checkpoint confirms all up to row 6; every mac was made with the key\n"
    assert admin(*words, "--checkpoint", tmp_path / "kept.json") == good
    intruder = Intruder(tmp_path / "a.db")
    intruder.does("DELETE FROM audit WHERE sequence > 4")
    intruder.leaves()
    assert admin(*words) == "4 rows, 1 to 4: the chain holds; every mac was made with the key\n"
    lost = "bad: row 5, or one up to 6: it is missing, and so are all up to row 6, which a checkpoint has seen"
    assert admin(*words, "--checkpoint", tmp_path / "kept.json") == f"refit.audit: {lost}\n"


def test_a_database_that_is_not_there_is_not_made_to_be_verified(tmp_path: Path) -> None:
    said = admin("verify", "--database", tmp_path / "none.db", "--keys", tmp_path)
    assert said == f"refit.audit: there is no {tmp_path}/none.db\n"
    assert not (tmp_path / "none.db").exists()
