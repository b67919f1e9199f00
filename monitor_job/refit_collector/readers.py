"""Who reads at the moment: a file that nobody should find any more is removed only when nobody can be in it."""

from __future__ import annotations

import itertools
import threading


class Readers:
    """Readers in the order in which they began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = itertools.count()
        self._active: set[int] = set()

    def begin(self) -> int:
        with self._lock:
            number = next(self._next)
            self._active.add(number)
            return number

    def end(self, number: int) -> None:
        with self._lock:
            self._active.discard(number)

    def mark(self) -> int:
        """A moment: readers with smaller numbers began before it."""
        with self._lock:
            return next(self._next)

    def all_after(self, mark: int) -> bool:
        """Whether everybody who reads began after that moment."""
        with self._lock:
            return all(number > mark for number in self._active)
