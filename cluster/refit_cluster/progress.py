"""One line per step, with its time: a person waiting for minutes should know for what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


class Progress:
    """Counts steps as they start: `[ 3/11] building etcd (about 15 s the first time) ... 12.1 s`."""

    def __init__(self, total: int, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self._out, self._clock = out, clock
        self._number = 0

    @contextmanager
    def step(self, text: str, first_time: str = "") -> Iterator[None]:
        self._number += 1
        hint = f" (about {first_time} the first time)" if first_time else ""
        width = len(str(self.total))
        self._out.write(f"[{self._number:>{width}}/{self.total}] {text}{hint} ... ")
        self._out.flush()
        start = self._clock()
        try:
            yield
        except BaseException:
            self._out.write(f"failed after {self._clock() - start:.1f} s\n")
            self._out.flush()
            raise
        self._out.write(f"{self._clock() - start:.1f} s\n")
        self._out.flush()

    def say(self, text: str) -> None:
        """A line of its own inside a step, such as what is about to be installed."""
        self._out.write(f"\n        {text} ... ")
        self._out.flush()
