from __future__ import annotations

from dataclasses import replace

from hypothesis import given as generated
from hypothesis import strategies as st

from refit.intake.records import HOUR, SECOND, Given, Outcome, Record, Status, flaps, received

NOW = 1_770_000_000 * SECOND
FIRING = Given(
    group="g", fingerprint="f", status=Status.FIRING, namespace="clinic", model="heart", starts_at=NOW - 3600 * SECOND
)


def after(*deliveries: Given, limit: int = 1000) -> tuple[dict[int, Record], list[Outcome]]:
    """Records by their start, and what became of each delivery."""
    stored: dict[int, Record] = {}
    outcomes = []
    for one in deliveries:
        known = [record for record in stored.values() if record.starts_at <= NOW + 300 * SECOND]
        newest = max(known, key=lambda record: record.starts_at, default=None)
        same = None if one.starts_at is None else stored.get(one.starts_at)
        change = received(one, same=same, newest=newest, source="token 1", now=NOW, limit=limit)
        if change.replaces is not None:
            del stored[change.replaces.starts_at]
        stored |= {record.starts_at: record for record in change.write}
        outcomes.append(change.outcome)
    return stored, outcomes


def open_now(stored: dict[int, Record]) -> set[tuple[int, bool]]:
    return {(record.starts_at, record.suspect) for record in stored.values() if record.status is Status.FIRING}


moments = st.sampled_from([NOW - 3600 * SECOND, NOW - 1800 * SECOND, NOW - 60 * SECOND, NOW + 10**9 * SECOND])
deliveries = st.builds(
    lambda status, starts_at, ends_at: replace(FIRING, status=status, starts_at=starts_at, ends_at=ends_at),
    st.sampled_from(Status),
    moments,
    moments,
)


@generated(st.lists(deliveries, max_size=8).flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_what_is_open_does_not_depend_on_the_order_of_deliveries(orders: tuple[list[Given], list[Given]]) -> None:
    first, second = (open_now(after(*order)[0]) for order in orders)
    assert first == second


def test_an_old_episode_that_is_told_of_late_and_wrongly_does_not_fire_beside_a_newer_one() -> None:
    """An end before its own start came first, then the newer episode, then that the old one fires."""
    old, newer = NOW - 1800 * SECOND, NOW - 60 * SECOND
    stored, _ = after(
        replace(FIRING, status=Status.RESOLVED, starts_at=old, ends_at=NOW - 3600 * SECOND),
        replace(FIRING, starts_at=newer),
        replace(FIRING, starts_at=old),
    )
    assert open_now(stored) == {(newer, False)}


@generated(st.lists(deliveries, max_size=8))
def test_a_delivery_told_twice_changes_nothing(found: list[Given]) -> None:
    assert after(*found, *found)[0].keys() == after(*found)[0].keys()
    assert open_now(after(*found, *found)[0]) == open_now(after(*found)[0])


@generated(st.lists(deliveries, max_size=30), st.integers(2, 6))
def test_an_alert_that_flaps_never_leaves_two_open(found: list[Given], limit: int) -> None:
    stored, _ = after(*found, limit=limit)
    assert len([record for record in stored.values() if record.status is Status.FIRING and not record.suspect]) <= 1


def test_a_new_episode_ends_the_one_whose_end_was_lost() -> None:
    again = replace(FIRING, starts_at=NOW)
    stored, outcomes = after(FIRING, again)
    assert [record.status for record in stored.values()] == [Status.RESOLVED, Status.FIRING]
    assert outcomes == [Outcome.STORED, Outcome.STORED]


def test_more_than_the_limit_within_an_hour_flaps() -> None:
    turns = tuple(NOW - number for number in range(7))
    assert flaps(turns, NOW, 6)
    assert not flaps(turns, NOW, 7)
    assert not flaps(turns, NOW + HOUR, 6)
