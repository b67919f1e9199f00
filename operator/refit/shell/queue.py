"""The keyed queue: one pass at a time per key, duplicates collapse, failures back off.

The same rules as client-go's workqueue. A key that is added while its pass runs gets one more pass
afterwards; added ten times while it waits, it gets one. Nothing here knows what a key means.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 60.0


class KeyedQueue(Generic[K]):
    """A queue of keys, each in it at most once, each worked on by at most one worker.

    There is no `await` between reading and changing its sets, so no lock is needed.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[K, float] = {}
        self._running: dict[K, float] = {}
        self._again: set[K] = set()
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._failures: dict[K, int] = {}
        self._count = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._closed = False

    def add(self, key: K) -> None:
        """Look at this key as soon as a worker is free."""
        self._due.pop(key, None)
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = self._clock()
            self._wake.set()

    def add_after(self, key: K, delay: timedelta) -> None:
        """Look at this key after the delay, unless it is looked at sooner; an earlier date wins."""
        at = self._clock() + delay.total_seconds()
        if key in self._waiting or self._due.get(key, at + 1) <= at:
            return
        self._due[key] = at
        self._count += 1
        heapq.heappush(self._later, (at, self._count, key))
        self._wake.set()

    async def close(self) -> None:
        """Starts no further pass, and waits until the running ones have ended."""
        self._closed = True
        while self._running:
            self._idle.clear()
            await self._idle.wait()

    def depth(self) -> int:
        """How many keys wait for a worker."""
        return len(self._waiting)

    def oldest(self) -> float:
        """Seconds for which the key that waits longest has waited."""
        return self._clock() - min(self._waiting.values()) if self._waiting else 0.0

    def longest_pass(self) -> float:
        """Seconds for which the longest running pass has run."""
        return self._clock() - min(self._running.values()) if self._running else 0.0

    async def work(self, one_pass: Callable[[K], Awaitable[timedelta | None]]) -> None:
        """A worker: passes, one after the other, until cancelled.

        The pass says after how long to look again (None: only when something happens); if it raises,
        the key comes again after a delay that doubles.
        """
        while True:
            key = await self._next()
            try:
                again = await one_pass(key)
            except asyncio.CancelledError:
                raise
            except Exception:  # noqa: BLE001  # the pass has logged it; here only the delay is decided
                self._failures[key] = self._failures.get(key, 0) + 1
                delay = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** (self._failures[key] - 1))
                self._done(key)
                self.add_after(key, timedelta(seconds=delay))
            else:
                self._failures.pop(key, None)
                self._done(key)
                if again is not None:
                    self.add_after(key, again)

    def _done(self, key: K) -> None:
        del self._running[key]
        self._idle.set()
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    async def _next(self) -> K:
        while True:
            self._promote_due()
            if self._waiting and not self._closed:
                key = next(iter(self._waiting))
                del self._waiting[key]
                self._running[key] = self._clock()
                if self._waiting:
                    self._wake.set()
                return key
            self._wake.clear()
            until = self._later[0][0] - self._clock() if self._later and not self._closed else None
            # Not wait_for: it waits in a task of its own, which Kopf takes for one of its own and cancels when it ends.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until):
                    await self._wake.wait()

    def _promote_due(self) -> None:
        while self._later and self._later[0][0] <= self._clock():
            at, _, key = heapq.heappop(self._later)
            # A date that was moved or overtaken leaves a stale entry behind.
            if self._due.get(key) == at:
                self.add(key)
