"""The outbox: each thing is told once, together with what comes close to it, and none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from noticed import configured, notice, settings
from refit.notify.configuration import Configuration
from refit.notify.outbox import Outbox, OutboxError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    receivers = [{"name": name, "webhook": {"urlFile": "url"}} for name in ("one", "two")]
    return configured(tmp_path, settings(*receivers), url="https://hooks.example.com")


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "outbox.db")
    yield made
    made.close()


def keys(outbox: Outbox, configuration: Configuration, now: datetime) -> dict[str, list[str]]:
    return {owed.receiver: [each.key for each in owed.notices] for owed in outbox.owed(configuration, now)}


def test_what_comes_close_together_is_one_message_to_each(outbox: Outbox, configuration: Configuration) -> None:
    outbox.take([notice(f"k{number}") for number in range(20)], configuration, NOW)
    outbox.take([notice("late")], configuration, NOW + 9 * SECOND)
    assert keys(outbox, configuration, NOW + 9 * SECOND) == {}
    everything = [*sorted(f"k{number}" for number in range(20)), "late"]
    assert keys(outbox, configuration, NOW + 10 * SECOND) == {"one": everything, "two": everything}


def test_the_same_is_told_once_however_often_it_is_noticed(outbox: Outbox, configuration: Configuration) -> None:
    for second in range(5):
        outbox.take([notice()], configuration, NOW + second * SECOND)
    [one, two] = outbox.owed(configuration, NOW + 10 * SECOND)
    outbox.sent(one, NOW + 10 * SECOND)
    outbox.sent(two, NOW + 10 * SECOND)
    outbox.take([notice()], configuration, NOW + timedelta(days=3))
    assert (len(one.notices), outbox.waiting()) == (1, 0)


def test_after_a_message_the_next_waits(outbox: Outbox, configuration: Configuration) -> None:
    outbox.take([notice("first")], configuration, NOW)
    for owed in outbox.owed(configuration, NOW + 10 * SECOND):
        outbox.sent(owed, NOW + 10 * SECOND)
    outbox.take([notice("second")], configuration, NOW + 11 * SECOND)
    assert keys(outbox, configuration, NOW + 69 * SECOND) == {}
    assert keys(outbox, configuration, NOW + 71 * SECOND) == {"one": ["second"], "two": ["second"]}


@pytest.mark.parametrize(
    ("later", "told"),
    [
        pytest.param(timedelta(minutes=59), 0, id="within the hour it is told once"),
        pytest.param(timedelta(minutes=61), 1, id="after it again"),
    ],
)
def test_a_state_that_comes_and_goes(outbox: Outbox, configuration: Configuration, later: timedelta, told: int) -> None:
    outbox.take([notice("k1", topic="stalled")], configuration, NOW)
    assert outbox.take([notice("k2", topic="stalled")], configuration, NOW + later) == told


def test_what_one_receiver_does_not_take_waits_for_it_alone(outbox: Outbox, configuration: Configuration) -> None:
    outbox.take([notice()], configuration, NOW)
    [one, two] = outbox.owed(configuration, NOW + 10 * SECOND)
    outbox.sent(one, NOW + 10 * SECOND)
    outbox.failed(two, "answered 503", NOW + 10 * SECOND)
    assert keys(outbox, configuration, NOW + 24 * SECOND) == {}
    assert keys(outbox, configuration, NOW + 25 * SECOND) == {"two": ["k1"]}


def test_the_pauses_double_up_to_an_hour_and_after_a_day_it_is_given_up(
    outbox: Outbox, configuration: Configuration
) -> None:
    outbox.take([notice()], configuration, NOW)
    now = NOW + 10 * SECOND
    [one, two] = outbox.owed(configuration, now)
    outbox.sent(one, now)
    pauses, dropped = [], outbox.failed(two, "answered 503", now)
    while not dropped:
        failed = now
        while not (found := outbox.owed(configuration, now)):
            now += 5 * SECOND
        pauses.append(int((now - failed).total_seconds()))
        dropped = outbox.failed(found[0], "answered 503", now)
    assert pauses[:10] == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert [each.key for each in dropped] == ["k1"]
    assert timedelta(days=1) < now - NOW < timedelta(days=1, hours=1)
    assert outbox.waiting() == 0


def test_what_waits_outlives_the_process(tmp_path: Path, configuration: Configuration) -> None:
    first = Outbox(tmp_path / "outbox.db")
    first.take([notice()], configuration, NOW)
    first.close()
    second = Outbox(tmp_path / "outbox.db")
    second.take([notice()], configuration, NOW)
    assert keys(second, configuration, NOW + 10 * SECOND) == {"one": ["k1"], "two": ["k1"]}
    [owed, _] = second.owed(configuration, NOW + 10 * SECOND)
    assert owed.notices == (notice(),)
    second.close()


def test_what_was_told_is_forgotten_after_a_month_and_what_waits_is_not(
    outbox: Outbox, configuration: Configuration
) -> None:
    outbox.take([notice()], configuration, NOW)
    [one, _] = outbox.owed(configuration, NOW + 10 * SECOND)
    outbox.sent(one, NOW + 10 * SECOND)
    outbox.tidy(NOW + timedelta(days=31))
    assert outbox.waiting() == 1
    [two] = outbox.owed(configuration, NOW + timedelta(days=31))
    outbox.sent(two, NOW + timedelta(days=31))
    outbox.tidy(NOW + timedelta(days=31))
    assert outbox.take([notice()], configuration, NOW + timedelta(days=31)) == 1


def test_on_a_full_disk_it_says_so_and_takes_it_later(outbox: Outbox, configuration: Configuration) -> None:
    [(pages,)] = outbox._connection.execute("PRAGMA page_count")
    outbox._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own words for ENOSPC
    with pytest.raises(OutboxError, match="full"):
        outbox.take([notice(f"k{number}", why="x" * 400) for number in range(200)], configuration, NOW)
    outbox._connection.execute("PRAGMA max_page_count = 4294967294")
    assert outbox.take([notice("k0"), notice("k1")], configuration, NOW) == 2
