from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from refit.shell.queue import KeyedQueue


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def working(queue: KeyedQueue[str], one_pass: Callable[[str], object], workers: int = 2) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(queue.work(one_pass)) for _ in range(workers)]  # type: ignore[arg-type]  # tests pass coroutines
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def settle() -> None:
    """Lets every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_key_added_five_times_while_it_waits_gets_one_pass() -> None:
    queue, passes = KeyedQueue[str](Clock()), []

    async def one_pass(key: str) -> None:
        passes.append(key)

    for _ in range(5):
        queue.add("a")
    async with working(queue, one_pass):
        await settle()
    assert passes == ["a"]


async def test_a_key_added_while_its_pass_runs_gets_one_more_and_never_two_at_once() -> None:
    queue, running, most, passes = KeyedQueue[str](Clock()), set[str](), 0, 0
    gate = asyncio.Event()

    async def one_pass(key: str) -> None:
        nonlocal most, passes
        assert key not in running
        running.add(key)
        most, passes = max(most, len(running)), passes + 1
        await gate.wait()
        running.discard(key)

    queue.add("a")
    async with working(queue, one_pass, workers=4):
        await settle()
        for _ in range(3):
            queue.add("a")
        await settle()
        gate.set()
        await settle()
    assert (most, passes) == (1, 2)


async def test_a_pass_that_fails_comes_again_later_each_time() -> None:
    clock = Clock()
    queue, passes = KeyedQueue[str](clock), 0

    async def one_pass(_: str) -> None:
        nonlocal passes
        passes += 1
        raise ValueError

    seen = []
    queue.add("a")
    async with working(queue, one_pass, workers=1):
        for delay in (0, 0.5, 0.9, 0.2, 1.9):
            clock.now += delay
            queue._wake.set()
            await settle()
            seen.append(passes)
    assert seen == [1, 2, 2, 3, 3]


async def test_a_date_is_kept_until_it_comes_and_an_earlier_one_wins() -> None:
    clock = Clock()
    queue, passes = KeyedQueue[str](clock), []

    async def one_pass(key: str) -> None:
        passes.append((key, clock.now))

    queue.add_after("a", timedelta(seconds=10))
    queue.add_after("a", timedelta(seconds=5))
    queue.add_after("a", timedelta(seconds=20))
    async with working(queue, one_pass):
        for now in (104.0, 105.0, 110.0, 120.0):
            clock.now = now
            queue._wake.set()
            await settle()
    assert passes == [("a", 105.0)]


@pytest.mark.parametrize("added", [0, 3])
async def test_depth_and_age_tell_how_far_behind_the_workers_are(added: int) -> None:
    clock = Clock()
    queue = KeyedQueue[int](clock)
    for number in range(added):
        queue.add(number)
        clock.now += 1
    assert (queue.depth(), queue.oldest()) == (added, float(added))


async def test_a_closed_queue_lets_the_running_pass_end_and_starts_no_other() -> None:
    queue, ended = KeyedQueue[str](Clock()), []
    gate = asyncio.Event()

    async def one_pass(key: str) -> None:
        await gate.wait()
        ended.append(key)

    queue.add("a")
    async with working(queue, one_pass, workers=1):
        await settle()
        queue.add("b")
        closing = asyncio.create_task(queue.close())
        await settle()
        gate.set()
        await closing
        await settle()
    assert ended == ["a"]


async def test_a_worker_that_waits_for_a_date_leaves_no_task_for_others_to_find() -> None:
    queue = KeyedQueue[str](Clock())

    async def one_pass(_: str) -> None:
        pass

    queue.add_after("a", timedelta(seconds=60))
    before = asyncio.all_tasks()
    async with working(queue, one_pass, workers=3):
        await settle()
        assert len(asyncio.all_tasks() - before) == 3
