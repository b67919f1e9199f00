"""What waits for the collector: in order, in memory or on disk, and counted when it is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from refit_predictor.backlog import Backlog
from refit_predictor.spill import Spill
from refit_predictor.tally import Reason, Tally

BATCH = 100


def backlog(folder: Path, limit: int = 16_000, memory: int = 10_000) -> tuple[Backlog, Tally]:
    tally = Tally()
    return Backlog(Spill(folder / "spill", limit), tally, BATCH, memory), tally


def body(*names: int) -> bytes:
    """A line of ten bytes for each."""
    return b"".join(b"event%04d\n" % name for name in names)


def add(found: Backlog, tally: Tally, *names: int) -> None:
    tally.accepted += len(names)
    found.add(body(*names), len(names))


def rest(found: Backlog) -> list[int]:
    """All that waits, delivered."""
    delivered = []
    while batch := found.take(0):
        delivered += [int(line[5:]) for line in batch.body.splitlines()]
        found.done(batch)
    return delivered


def lost(tally: Tally) -> dict[Reason, int]:
    return {reason: count for reason in Reason if (count := tally.dropped(reason))}


def files(folder: Path) -> list[Path]:
    return sorted((folder / "spill").iterdir())


def test_nothing_goes_to_disk_while_batches_are_taken(tmp_path: Path) -> None:
    found, tally = backlog(tmp_path)
    for name in range(5):
        add(found, tally, name)
        batch = found.take(0)
        assert batch
        assert batch.fresh
        found.done(batch)
    assert files(tmp_path) == []


def test_what_comes_back_is_delivered_before_what_came_meanwhile(tmp_path: Path) -> None:
    found, tally = backlog(tmp_path)
    add(found, tally, 1, 2)
    batch = found.take(0)
    add(found, tally, 3)
    assert batch
    found.give_back(batch)
    add(found, tally, 4)
    assert tally.spilled_bytes == 40
    assert (rest(found), tally.spilled_bytes, files(tmp_path)) == ([1, 2, 3, 4], 0, [])


def test_more_than_memory_may_hold_goes_to_disk_behind_what_is_under_way(tmp_path: Path) -> None:
    found, tally = backlog(tmp_path, memory=25)
    add(found, tally, 0)
    under_way = found.take(0)
    for name in range(1, 6):
        add(found, tally, name)
    assert under_way
    found.give_back(under_way)
    assert (rest(found), lost(tally)) == ([0, 1, 2, 3, 4, 5], {})


@pytest.mark.parametrize("torn", [b"", b"eve"], ids=["whole lines", "a line half written"])
def test_the_next_process_delivers_what_the_last_one_left(tmp_path: Path, torn: bytes) -> None:
    found, tally = backlog(tmp_path)
    for name in range(50):
        add(found, tally, name)
    assert found.persist() == 50
    with files(tmp_path)[-1].open("ab") as last:
        last.write(torn)
    after, tally = backlog(tmp_path)
    assert tally.pending == 50
    add(after, tally, 50)
    assert (rest(after), lost(tally)) == ([*range(51)], {Reason.TORN: 1} if torn else {})


def test_a_batch_under_way_is_left_too(tmp_path: Path) -> None:
    found, tally = backlog(tmp_path)
    add(found, tally, 1)
    add(found, tally, 2)
    assert found.take(0)
    assert found.persist() == 2
    assert rest(backlog(tmp_path)[0]) == [1, 2]


def test_what_is_delivered_in_part_is_delivered_again_from_its_file_s_start(tmp_path: Path) -> None:
    found, tally = backlog(tmp_path)
    for name in range(30):
        add(found, tally, name)
    found.persist()
    batch = found.take(0)
    assert batch
    assert len(batch.body) == BATCH
    found.done(batch)
    assert rest(backlog(tmp_path)[0]) == [*range(30)]


def test_without_room_the_oldest_is_lost_and_counted(tmp_path: Path) -> None:
    found, tally = backlog(tmp_path, limit=1600, memory=0)
    for name in range(200):
        add(found, tally, name)
    left = rest(found)
    dropped = tally.dropped(Reason.SPILL)
    assert left == [*range(dropped, 200)]
    assert 40 <= dropped <= 50


def test_what_is_lost_while_it_is_under_way_counts_once(tmp_path: Path) -> None:
    found, tally = backlog(tmp_path, limit=1600, memory=0)
    for name in range(100):
        add(found, tally, name)
    delivered = found.take(0)
    for name in range(100, 300):
        add(found, tally, name)
    assert delivered
    found.done(delivered)
    tally.deliver(delivered.events)
    given_back = found.take(0)
    for name in range(300, 500):
        add(found, tally, name)
    assert given_back
    found.give_back(given_back)
    assert tally.pending == len(rest(found))


def test_a_batch_larger_than_the_spill_is_lost_and_counted(tmp_path: Path) -> None:
    found, tally = backlog(tmp_path, limit=1600, memory=0)
    add(found, tally, *range(200))
    assert (rest(found), lost(tally)) == ([], {Reason.SPILL: 200})


def test_without_a_disk_memory_serves_as_far_as_it_goes(tmp_path: Path) -> None:
    found, tally = backlog(tmp_path, memory=100)
    (tmp_path / "spill").rmdir()
    (tmp_path / "spill").write_text("no directory")
    for name in range(30):
        add(found, tally, name)
    assert (rest(found), lost(tally)) == ([*range(20, 30)], {Reason.DISK: 20})


def test_a_spill_that_cannot_be_read_is_lost_and_counted(tmp_path: Path) -> None:
    found, tally = backlog(tmp_path)
    add(found, tally, 1, 2)
    found.persist()
    files(tmp_path)[0].unlink()
    add(found, tally, 3)
    assert (rest(found), lost(tally)) == ([3], {Reason.DISK: 2})


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "spill").mkdir()
    (tmp_path / "spill" / "notes.ndjson").write_text("mine\n")
    assert rest(backlog(tmp_path)[0]) == []
    assert [path.name for path in files(tmp_path)] == ["notes.ndjson"]
