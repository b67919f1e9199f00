"""The audit fails closed: where a row can not be on disk there is none, and it is said why; then it goes on."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest

from audited import KEYS, entry, filled, ledger
from refit.audit import database, keys
from refit.audit.ledger import LedgerError
from refit.audit.verification import told
from volumes import fill

OLD = """
CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY CHECK (sequence > 0), time TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('Intent', 'Outcome')), request_uid TEXT NOT NULL, digest TEXT NOT NULL,
  content TEXT NOT NULL, UNIQUE (request_uid, kind)
);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'x'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'x'); END;
CREATE TRIGGER audit_no_gap BEFORE INSERT ON audit
WHEN NEW.sequence != (SELECT coalesce(max(sequence), 0) + 1 FROM audit) BEGIN SELECT RAISE(ABORT, 'x'); END;
INSERT INTO audit VALUES (1, '2026-10-01T00:00:00Z', 'Intent', 'uid-1', 'sha256:1', '{"a":1}');
INSERT INTO audit VALUES (2, '2026-10-01T00:01:00Z', 'Outcome', 'uid-1', 'sha256:1', '{"a":2}');
"""
"""A database as the releases before the chain made it."""


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)


async def test_a_full_volume(small_volume: Path) -> None:
    found = ledger(small_volume / "audit.db")
    await found.write(entry(1))
    filler = small_volume / "filler"
    fill(filler, 0)
    with pytest.raises(LedgerError, match=r"full|disk I/O"):
        await found.write(entry(2, content={"note": "x" * 100_000}))
    filler.unlink()
    assert (await found.write(entry(2))).sequence == 2
    report = await found.verify()
    assert (report.ok, report.rows) == (True, 2)
    found.close()


async def test_a_volume_that_is_read_only(small_volume: Path) -> None:
    filled(small_volume / "audit.db", 1)
    found = ledger(small_volume / "audit.db")
    remount(small_volume, "ro")
    with pytest.raises(LedgerError, match="cannot be used"):
        await found.write(entry(2))
    remount(small_volume, "rw")
    assert (await found.write(entry(2))).sequence == 2
    found.close()


async def test_a_file_that_somebody_holds_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    found = ledger(tmp_path / "audit.db")
    await found.write(entry(1))
    holder = sqlite3.connect(tmp_path / "audit.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerError, match="database is locked"):
        await found.write(entry(2))
    holder.execute("ROLLBACK")
    holder.close()
    assert (await found.write(entry(2))).sequence == 2
    found.close()


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "audit.db").write_text("not a database, but long enough to be taken for one" * 100)
    found = ledger(tmp_path / "audit.db")
    with pytest.raises(LedgerError, match="file is not a database"):
        await found.open()
    found.close()


async def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = ledger(tmp_path / "file" / "audit.db")
    with pytest.raises(LedgerError, match="cannot be used"):
        await found.write(entry(1))
    found.close()


async def test_rows_from_before_the_chain_are_taken_over_and_nothing_is_made_up_for_them(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "audit.db") as old:
        old.executescript(OLD)
    found = ledger(tmp_path / "audit.db")
    report = await found.open()
    assert told(report) == (
        "2 rows, 1 to 2: the chain holds; the first 2 were written before the chain, and nothing proves what they were then"
    )
    assert [(row.sequence, row.content, row.hash, row.mac, row.key_id) for row in await found.all()] == [
        (1, '{"a":1}', "", "", ""),
        (2, '{"a":2}', "", "", ""),
    ]
    standing = await found.of_requests(["uid-1"])
    assert [row.kind for row in standing] == ["Intent", "Outcome"]
    third = await found.write(entry(3))
    checkpoint = await found.checkpoint()
    assert (third.sequence, third.key_id, checkpoint.chained_from) == (3, "k1", 3)
    report = await found.verify([checkpoint])
    assert (report.ok, report.unchained, report.confirmed) == (True, 2, 3)
    found.close()


async def test_rows_from_before_the_chain_are_held_to_what_they_were_when_it_began(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "audit.db") as old:
        old.executescript(OLD)
    found = ledger(tmp_path / "audit.db")
    await found.write(entry(3))
    with sqlite3.connect(tmp_path / "audit.db") as intruder:
        intruder.execute("DROP TRIGGER audit_no_update")
        intruder.execute("UPDATE audit SET content = '{}' WHERE sequence = 2")
    assert told(await found.verify()) == (
        "bad: row 3: it is not what was hashed; or one of the 2 rows before it, which have no hash, is another"
    )
    found.close()


async def test_the_tables_are_made_once_and_a_later_release_is_left_alone(tmp_path: Path) -> None:
    filled(tmp_path / "audit.db", 2)
    with sqlite3.connect(tmp_path / "audit.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9999'")
    found = ledger(tmp_path / "audit.db")
    with pytest.raises(LedgerError, match=r"of a later release \(v9999\)"):
        await found.write(entry(3))
    found.close()


GOOD = "a key of thirty-two bytes at least"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param(None, "No such file or directory", id="no folder"),
        pytest.param({}, "is empty", id="an empty folder"),
        pytest.param({"k1": "short"}, "key k1 in .* has fewer than 32 bytes", id="a short key"),
        pytest.param({"k1": GOOD, "k2": GOOD}, "several keys, and no file `current`", id="several, none of them named"),
        pytest.param({"k1": GOOD, "current": "k2"}, "names 'k2', and there is no such key", id="one that is not there"),
        pytest.param({"a b": GOOD}, "is no id of a key", id="a name that is none"),
    ],
)
def test_keys_that_can_not_be_used(tmp_path: Path, files: dict[str, str] | None, words: str) -> None:
    folder = tmp_path / "keys"
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    with pytest.raises(LedgerError, match=words) as refused:
        keys.read(folder)
    assert "REFIT_AUDIT_KEYS" in str(refused.value)
    assert GOOD not in str(refused.value)


def test_keys_are_read_as_a_secret_is_mounted(tmp_path: Path) -> None:
    """Files are links into a folder whose name begins with dots."""
    (tmp_path / "..data").mkdir()
    for name, text in (("k1", "made up for tests" * 2 + "\n"), ("current", "k1\n")):
        (tmp_path / "..data" / name).write_text(text)
        (tmp_path / name).symlink_to(Path("..data") / name)
    assert keys.read(tmp_path) == KEYS


async def test_the_file_is_nobody_elses_business_to_write(tmp_path: Path) -> None:
    filled(tmp_path / "audit.db", 1)
    mode = stat.S_IMODE((tmp_path / "audit.db").stat().st_mode)
    assert not mode & stat.S_IWOTH
