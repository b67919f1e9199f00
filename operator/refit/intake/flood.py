"""How much is acted on: a token bucket for each sender and each model. Storing is never limited by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MOST_BUCKETS = 10_000
"""Beyond it full buckets are forgotten, which changes nothing: a new one is full too."""


@dataclass
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """Buckets by name: `burst` at once, `per_second` in the long run."""

    def __init__(self, per_second: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate, self._burst, self._monotonic = per_second, burst, monotonic
        self._buckets: dict[str, _Bucket] = {}

    def has(self, name: str) -> bool:
        """Whether there is a token."""
        return self._level(name).tokens >= 1

    def take(self, name: str) -> None:
        """Takes one."""
        self._level(name).tokens -= 1

    def _level(self, name: str) -> _Bucket:
        now = self._monotonic()
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= MOST_BUCKETS:
                self._forget(now)
            bucket = self._buckets[name] = _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        return bucket

    def _forget(self, now: float) -> None:
        self._buckets = {
            name: bucket
            for name, bucket in self._buckets.items()
            if bucket.tokens + (now - bucket.at) * self._rate < self._burst
        }


class Flood:
    """A sender and a model must both have one left."""

    def __init__(self, sources: Buckets, targets: Buckets) -> None:
        self._sources, self._targets = sources, targets

    def lets_pass(self, source: str, target: str) -> bool:
        """Takes a token of each, or of neither."""
        if not (self._sources.has(source) and self._targets.has(target)):
            return False
        self._sources.take(source)
        self._targets.take(target)
        return True
