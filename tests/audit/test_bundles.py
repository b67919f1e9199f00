"""Bundles and archives: what leaves the database can be verified elsewhere, and what stays goes on from there."""

from __future__ import annotations

import sqlite3
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest

from audited import KEYS, NOON, OTHER, Intruder, as_stored, entry, filled, ledger, rows_in
from postgres import Database, admin
from refit.api.entries import EntryKind
from refit.audit import bundles
from refit.audit.bundles import judged, opened
from refit.audit.chain import GENESIS, link
from refit.audit.checkpoints import Checkpoint, signed
from refit.audit.ledger import LedgerError
from refit.audit.rows import line
from refit.audit.verification import Report, told

LATER = NOON + timedelta(days=30)


async def bundle_of(path: Path, file: Path) -> Checkpoint:
    """All rows of that database, in a bundle."""
    found = ledger(path)
    kept = await found.checkpoint()
    lines = (await found.lines(0, 1000)).splitlines(keepends=True)
    bundles.write(file, lines, kept, await found.base())
    found.close()
    return kept


def verdict(file: Path, *outside: Checkpoint, part: bool = False, keys: bool = False) -> Report:
    with opened(file) as found:
        return judged(found, outside, secrets=KEYS.secrets if keys else None, part=part)


async def test_a_bundle_is_verified_with_nothing_but_itself_and_a_checkpoint(tmp_path: Path) -> None:
    filled(tmp_path / "a.db", 6)
    kept = await bundle_of(tmp_path / "a.db", tmp_path / "a.tar")
    (tmp_path / "a.db").unlink()
    assert told(verdict(tmp_path / "a.tar", kept)) == (
        "6 rows, 1 to 6: the chain holds; a checkpoint confirms all up to row 6; no key was given, so macs were not checked"
    )
    assert verdict(tmp_path / "a.tar", kept, keys=True).proven


async def test_equal_rows_make_an_equal_file_and_no_file_is_overwritten(tmp_path: Path) -> None:
    filled(tmp_path / "a.db", 3)
    for name in ("a.tar", "b.tar"):
        await bundle_of(tmp_path / "a.db", tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with pytest.raises(FileExistsError):
        await bundle_of(tmp_path / "a.db", tmp_path / "a.tar")
    assert not (tmp_path / ".a.tar.part").exists()


async def test_a_bundle_that_ends_before_a_checkpoint_has_lost_rows(tmp_path: Path) -> None:
    filled(tmp_path / "a.db", 3)
    early = await bundle_of(tmp_path / "a.db", tmp_path / "early.tar")
    late = filled(tmp_path / "a.db", 5)
    assert told(verdict(tmp_path / "early.tar", late)) == (
        "bad: row 4, or one up to 5: it is missing, and so are all up to row 5, which a checkpoint has seen"
    )
    assert verdict(tmp_path / "early.tar", late, part=True).confirmed == 3, "the same key signed its own end"
    assert verdict(tmp_path / "early.tar", early).ok


async def test_a_bundle_made_anew_by_somebody_without_the_key_is_found(tmp_path: Path) -> None:
    kept = filled(tmp_path / "a.db", 4)
    intruder = Intruder(tmp_path / "a.db")
    intruder.does("UPDATE audit SET actor = 'mallory' WHERE sequence = 2")
    intruder.leaves()
    head, lines = GENESIS, []
    for one in as_stored(rows_in(tmp_path / "a.db")):
        head = link(head, one.record)
        lines.append(line(one._replace(hash=head)))
    forged = signed(OTHER, sequence=4, head=head, rows=4, chained_from=1, time="2026-11-21T12:00:00Z")
    bundles.write(tmp_path / "forged.tar", lines, forged, None)
    assert told(verdict(tmp_path / "forged.tar", kept)).startswith(
        "bad: row 1, or one up to 4: the rows are others than"
    )
    assert not verdict(tmp_path / "forged.tar", kept, keys=True).ok


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="an empty file"),
        pytest.param(b"no tar" * 1000, id="another file"),
    ],
)
def test_what_is_no_bundle_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(LedgerError, match="can not be read as a bundle"), opened(tmp_path / "a.tar"):
        pass


def test_a_tar_of_something_else_is_refused_in_words(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(__file__, arcname="../../etc/passwd")
    with pytest.raises(LedgerError, match=r"needs checkpoint\.json and rows\.tsv"), opened(tmp_path / "a.tar"):
        pass


def written_keys(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "k1").write_bytes(KEYS.secrets["k1"])
    return folder


async def requests(where: Path | str, password: Path | None = None) -> Checkpoint:
    """Two requests that ended, one that is open, and a month later one more."""
    found = ledger(where, password_file=password)
    for number in (1, 2):
        for kind in (EntryKind.INTENT, EntryKind.OUTCOME):
            await found.write(entry(number, kind))
    await found.write(entry(3))
    found.close()
    later = ledger(where, password_file=password, now=LATER)
    await later.write(entry(4))
    kept = await later.checkpoint()
    later.close()
    return kept


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path | str, Path | str, Path | None]:
    """The database as the operator and as the owner names it, and the file with the password."""
    if request.param == "SQLite":
        return tmp_path / "a.db", tmp_path / "a.db", None
    found: Database = request.getfixturevalue("database")
    return found.url, found.owners, found.server.password_file


async def test_old_rows_leave_for_a_bundle_and_the_chain_goes_on(
    tmp_path: Path, places: tuple[Path | str, Path | str, Path | None]
) -> None:
    where, owners, password = places
    kept = await requests(where, password)
    words = ["archive", "--database", owners, "--keys", written_keys(tmp_path / "keys"), "--before", "2026-12-01"]
    words += ["--password-file", password] if password else []
    said = admin(*words, "--bundle", tmp_path / "old.tar")
    assert said.startswith(f"4 rows, up to 4, are in {tmp_path}/old.tar and no longer in the table; sha256 ")
    found = ledger(where, password_file=password, now=LATER)
    assert [row.sequence for row in await found.all()] == [5, 6], "what is open stays"
    report = await found.open([kept])
    assert (report.ok, report.first, report.rows, report.confirmed) == (True, 5, 2, 6)
    assert (await found.write(entry(5))).sequence == 7
    assert (await found.checkpoint()).rows == 3
    found.close()
    assert verdict(tmp_path / "old.tar", kept, part=True).confirmed == 4
    rest = await bundle_of_url(where, password, tmp_path / "rest.tar")
    assert verdict(tmp_path / "rest.tar", rest).ok
    assert "is newer, or its request is open" in admin(*words, "--bundle", tmp_path / "none.tar")
    assert not (tmp_path / "none.tar").exists()


async def bundle_of_url(where: Path | str, password: Path | None, file: Path) -> Checkpoint:
    found = ledger(where, password_file=password, now=LATER)
    kept, base = await found.checkpoint(), await found.base()
    bundles.write(file, (await found.lines(0, 1000)).splitlines(keepends=True), kept, base)
    found.close()
    return kept


async def test_a_base_that_nobody_signed_is_found(tmp_path: Path) -> None:
    """Who has the database may say that rows were archived; he can not sign it."""
    filled(tmp_path / "a.db", 4)
    forged = signed(OTHER, sequence=2, head="0" * 64, rows=2, chained_from=1, time="2026-11-21T12:00:00Z")
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("INSERT INTO audit_base VALUES (2, '', ?, '', '')", (forged.text(),))
        connection.execute("DELETE FROM audit WHERE sequence <= 2")
    found = ledger(tmp_path / "a.db")
    report = await found.verify()
    assert told(report) == ("bad: row 2: the checkpoint of row 2 proves nothing: it was not signed by the key 'k1'")
    found.close()


@pytest.mark.parametrize("checkpoint", ["", "{}", "[1]", '{"sequence":'])
async def test_a_base_that_is_no_checkpoint_is_told_in_words(tmp_path: Path, checkpoint: str) -> None:
    filled(tmp_path / "a.db", 2)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("INSERT INTO audit_base VALUES (2, '', ?, '', '')", (checkpoint,))
    found = ledger(tmp_path / "a.db")
    with pytest.raises(LedgerError, match="checkpoint"):
        await found.open()
    found.close()


async def test_nothing_is_archived_of_a_chain_that_does_not_hold(tmp_path: Path) -> None:
    filled(tmp_path / "a.db", 4)
    intruder = Intruder(tmp_path / "a.db")
    intruder.does("UPDATE audit SET actor = 'mallory' WHERE sequence = 2")
    intruder.leaves()
    keys = written_keys(tmp_path / "keys")
    words = ("archive", "--database", tmp_path / "a.db", "--keys", keys, "--before", "2027-01-01")
    said = admin(*words, "--bundle", tmp_path / "old.tar")
    assert said == "refit.audit: nothing is archived: bad: row 2: it is not what was hashed\n"
    assert not (tmp_path / "old.tar").exists()
