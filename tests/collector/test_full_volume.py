"""A volume that is full, step by step and without load: rolling and expiry get through, whatever took the room."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from opened_store import Opened, at_noon, opened
from refit_collector import schema, snapshots
from refit_collector.refusals import DISK_FULL, Refused, wants_room
from volumes import fill

NOISE = random.Random(1)  # noqa: S311  # what does not compress
ROUNDS = 30


def batch(name: str, count: int = 25) -> list[dict[str, Any]]:
    """Events of 2 KB each."""
    return [at_noon(f"{name}-{at}", inputs={"note": [NOISE.randbytes(1000).hex()]}) for at in range(count)]


def taken(store: Opened, name: str, count: int = 25) -> int:
    """How many of so many events were stored: all, or none when it is said to come again."""
    try:
        return store.take(*batch(name, count)).stored
    except Refused as refused:
        if refused.reason != DISK_FULL:
            raise
        return 0


def filled(store: Opened) -> int:
    """How many events were stored until one was refused."""
    return sum(itertools.takewhile(bool, (taken(store, f"first-{number}") for number in itertools.count())))


def expired(store: Opened) -> int:
    return int(store.metrics.registry.get_sample_value("refit_collector_expired_rows_total") or 0)


def nobody(_: Opened) -> AbstractContextManager[object]:
    """The log was never copied: all of it is still to become the database."""
    return nullcontext()


def reads(store: Opened) -> AbstractContextManager[object]:
    """Somebody reads all the while, so that the log can not begin anew."""
    store.take(*batch("before"))
    return snapshots.snapshot(store.store.directory, store.store.readers)


@contextmanager
def copies(store: Opened) -> Iterator[None]:
    """The log is copied after each request: the database itself is what takes the room."""
    submit = store.store.writer.submit
    with closing(schema.copying(store.store.directory)) as connection:

        def submit_and_copy(*given: Any, **more: Any) -> Any:
            future = submit(*given, **more)
            future.exception()
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return future

        store.store.writer.submit = submit_and_copy  # type: ignore[method-assign]
        yield
        store.store.writer.submit = submit  # type: ignore[method-assign]


@pytest.mark.parametrize("small_volume", [4], indirect=True)
@pytest.mark.parametrize(
    "beside",
    [
        pytest.param(nobody, id="while the log was never copied"),
        pytest.param(reads, id="while a reader kept the log from beginning anew"),
        pytest.param(copies, id="so that the database itself takes the room"),
    ],
)
def test_filled_faster_than_it_rolls_it_makes_room_and_takes_again(
    small_volume: Path, beside: Callable[[Opened], AbstractContextManager[object]]
) -> None:
    """Every event that was acknowledged is kept, or counted as expired."""
    with opened(small_volume / "data", roll_bytes=128 * 1024) as store:
        with beside(store):
            stored = filled(store)
        assert stored > 0
        waited = 0
        for number in range(ROUNDS):
            store.store.round()
            new = taken(store, f"then-{number}")
            waited += not new
            stored += new
        stored += 25 * (beside is reads)
        assert len(store.ids()) + expired(store) == stored
        assert waited <= 5
        assert store.store.round() == []


@pytest.mark.parametrize("small_volume", [4], indirect=True)
def test_full_for_long_the_oldest_segments_go_one_after_the_other(small_volume: Path) -> None:
    with opened(small_volume / "data", roll_bytes=128 * 1024) as store:
        stored = waited = 0
        for number in range(80):
            new = taken(store, f"{number:03}", 50)
            stored += new
            waited += not new
            assert store.store.round() == []
        kept = store.ids()
        assert (len(kept) + expired(store), waited) == (stored, 0)
        assert 0 < expired(store) < stored / 2
        assert sorted(kept) == sorted(f"{at:03}-{each}" for at in range(80 - len(kept) // 50, 80) for each in range(50))


@pytest.mark.parametrize("small_volume", [4], indirect=True)
def test_a_request_larger_than_what_is_kept_free_gets_its_room(small_volume: Path) -> None:
    with opened(small_volume / "data", roll_bytes=128 * 1024) as store:
        for number in range(80):
            taken(store, f"{number:03}", 50)
            store.store.round()
        tries = 1
        while not taken(store, "large", 250) and tries < 10:
            store.store.round()
            tries += 1
        assert 1 < tries < 10
        assert len(store.ids()) > 250


@pytest.mark.parametrize("small_volume", [4], indirect=True)
def test_what_no_room_is_left_to_roll_goes_last_and_is_counted(
    small_volume: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody else fills the volume; there is no segment to go, and the one chunk is too large to roll."""
    with opened(small_volume / "data", roll_bytes=128 * 1024) as store:
        assert taken(store, "large", 250) == 250
        with closing(schema.copying(small_volume / "data")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        ballast = small_volume / "ballast"
        fill(ballast, 64 * 1024)
        assert taken(store, "then") == 0
        (failed,) = store.store.round()
        assert wants_room(failed)
        assert (store.ids(), expired(store)) == ([], 250)
        ballast.unlink()
        assert taken(store, "large") == 25
    assert "rows that no room was left to roll were removed" in caplog.text
