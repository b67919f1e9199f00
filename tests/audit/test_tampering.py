"""Whatever somebody who owns the database does to rows that a checkpoint has seen is found, with the first bad row."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audited import KEYS, OTHER, ROTATED, Intruder, as_lines, as_stored, filled, ledger, rows_in
from refit.audit.checkpoints import found_in, problem_of, signed
from refit.audit.parts import beside
from refit.audit.rows import LedgerError, line, parsed
from refit.audit.verification import Problem, told, verify
from tampering import PLAIN, ROWS, SEEN, World, edit, hashed_anew, stretch_of

TAMPERINGS = int(os.environ.get("REFIT_TAMPERINGS", "1000"))


def test_a_thousand_random_tamperings_are_all_found_with_the_first_bad_row(world: World, tmp_path: Path) -> None:
    """By the walk along all rows, and in the same words where they are verified in parts."""
    dice = random.Random(20261121)  # noqa: S311  # repeatable, not secret
    for number in range(TAMPERINGS):
        rows = list(world.rows)
        tamper = PLAIN[number % len(PLAIN)]
        expected = tamper(rows, dice)
        lines = as_lines(rows)
        report = verify(lines, secrets=KEYS.secrets, checkpoints=[world.kept])
        assert report.problem is not None, tamper.__name__
        assert report.problem.sequence == expected, f"{tamper.__name__}: {told(report)}"
        stretch = stretch_of(tmp_path / "rows.tsv", lines)
        walk = beside(stretch.divided(dice.randint(2, 12), least=1), map)
        assert verify(stretch.lines(), secrets=KEYS.secrets, checkpoints=[world.kept], walk=walk) == report


def test_hashes_that_were_made_anew_are_found_by_the_mac_of_the_first_such_row(world: World) -> None:
    dice = random.Random(1121)  # noqa: S311  # as above
    for _ in range(TAMPERINGS // 10):
        rows = list(world.rows)
        expected = edit(rows, dice)
        report = verify(as_lines(hashed_anew(rows, expected)), secrets=KEYS.secrets)
        assert report.problem == Problem(sequence=expected, message="its mac was not made with the key")


def test_without_the_key_they_are_found_by_the_checkpoint_and_the_rows_are_named_among_which_it_is(
    world: World,
) -> None:
    rows = list(world.rows)
    rows[12] = replace(rows[12], actor="mallory")
    report = verify(as_lines(hashed_anew(rows, 13)), checkpoints=[world.kept])
    assert report.problem == Problem(
        sequence=1, until=SEEN, message="the rows are others than those a checkpoint has seen, and hashed anew"
    )
    earlier = signed(KEYS, sequence=10, head=world.rows[9].hash, rows=10, chained_from=1, time="2026-11-21T12:00:00Z")
    report = verify(as_lines(hashed_anew(rows, 13)), checkpoints=[world.kept, earlier])
    assert report.problem is not None
    assert (report.problem.sequence, report.problem.until, report.confirmed) == (11, SEEN, 10)


def test_all_seals_taken_away_do_not_make_rows_that_are_older_than_the_chain(world: World) -> None:
    rows = [replace(row, hash="", mac="", key_id="") for row in world.rows]
    report = verify(as_lines(rows), secrets=KEYS.secrets, checkpoints=[world.kept])
    assert told(report) == "bad: row 1: it has lost its hash"


def test_another_history_under_another_key_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "other.db", ROWS, OTHER)
    other = as_lines(rows_in(tmp_path / "other.db"))
    assert told(verify(other, secrets=KEYS.secrets)) == "bad: row 1: its mac was not made with the key"
    assert verify(other, secrets=OTHER.secrets).ok


def test_nothing_is_found_where_nothing_was_done(world: World) -> None:
    report = verify(as_lines(world.rows), secrets=KEYS.secrets, checkpoints=[world.kept])
    assert told(report) == (
        "40 rows, 1 to 40: the chain holds; a checkpoint confirms all up to row 30; every mac was made with the key"
    )
    assert report.wire() == {
        "ok": True,
        "rows": 40,
        "first": 1,
        "last": 40,
        "head": world.rows[-1].hash,
        "unchained": 0,
        "confirmedTo": 30,
        "macsChecked": True,
        "problem": None,
    }


@pytest.mark.parametrize(
    "field", ["sequence", "head", "rows", "chained_from", "time", "key_id", "public_key", "signature"]
)
def test_a_checkpoint_that_was_changed_proves_nothing(world: World, field: str) -> None:
    value = getattr(world.kept, field)
    other: Any = value + 1 if isinstance(value, int) else value[:-2] + "A="
    changed = replace(world.kept, **{field: other})
    assert problem_of(changed) == "its signature does not fit it"
    report = verify(as_lines(world.rows), checkpoints=[changed])
    assert not report.ok
    assert "proves nothing" in told(report)


def test_a_checkpoint_of_somebody_elses_key_is_known_to_be_that(world: World) -> None:
    assert problem_of(world.kept, OTHER.secrets) == "it was not signed by the key 'k1'"
    assert problem_of(world.kept, {}) == "its key 'k1' is not known here"
    assert problem_of(world.kept, ROTATED.secrets) == ""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{}", id="no checkpoint at all"),
        pytest.param('{"signature": 1}', id="of other types"),
        pytest.param("not json\n", id="no JSON"),
        pytest.param('{"data": {"checkpoint.json": "{"}}', id="a ConfigMap with something else"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_words(text: str) -> None:
    with pytest.raises(LedgerError, match="checkpoint"):
        found_in(text)


def test_checkpoints_are_found_in_a_configmap_and_in_the_log(world: World) -> None:
    wire = world.kept.wire()
    config_map = json.dumps({"kind": "ConfigMap", "data": {"checkpoint.json": json.dumps(wire)}})
    log = f'{{"message": "serving"}}\nno json\n{json.dumps({"message": "audit checkpoint", "checkpoint": wire})}\n'
    assert found_in(config_map) == found_in(log) == found_in(world.kept.text()) == [world.kept]


def test_a_row_survives_its_line(world: World) -> None:
    stored = as_stored(world.rows)
    assert [parsed(line(one).removesuffix(b"\n")) for one in stored] == stored


@pytest.mark.parametrize("text", [b"", b"1", b"x\t" + b"\t" * 12, b"1\t" * 30, b"9" * 40 + b"\t" * 13, b"\xff" * 20])
def test_a_line_that_is_no_row_fits_no_hash(text: bytes) -> None:
    assert not verify([text]).ok


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param("UPDATE audit SET actor = CAST(x'ff' AS TEXT) WHERE sequence = 3", 3, id="bytes that are no text"),
        pytest.param("UPDATE audit SET hash = x'ff' WHERE sequence = 3", 3, id="bytes in place of a hash"),
        pytest.param("UPDATE audit SET actor = 'a' || char(9) || 'b' WHERE sequence = 3", 3, id="a tab in a field"),
        pytest.param(
            "UPDATE audit SET actor = actor || char(9) || trace_id, trace_id = '' WHERE sequence = 3",
            3,
            id="two fields in one",
        ),
        pytest.param("UPDATE audit SET sequence = 99 WHERE sequence = 3", 3, id="another number"),
    ],
)
async def test_what_no_program_of_ours_writes_into_the_file_is_found_too(
    tmp_path: Path, statement: str, expected: int
) -> None:
    filled(tmp_path / "a.db", 5)
    intruder = Intruder(tmp_path / "a.db")
    intruder.does(statement)
    intruder.leaves()
    found = ledger(tmp_path / "a.db")
    report = await found.verify()
    assert report.problem is not None
    assert report.problem.sequence == expected
    found.close()
