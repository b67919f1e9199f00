"""Batches that wait to be delivered: in memory while the collector takes them, else on disk, in order.

What is on disk is always older than what is in memory. So while there is anything on disk, a new batch
goes there too, and the collector, once it is back, gets the oldest first.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from threading import Condition

from refit_predictor.spill import Chunk, Spill
from refit_predictor.tally import Reason, Tally

MEMORY_BYTES = 4 * 1024 * 1024

log = logging.getLogger("kserve.refit")


@dataclass(frozen=True, eq=False)
class Batch:
    """Events as NDJSON, out of memory or out of a file; `fresh` ones the collector can not have seen."""

    sequence: int
    body: bytes
    events: int
    chunk: Chunk | None = None
    fresh: bool = False


class Backlog:
    """First in, first out; one thread adds batches, another takes them one at a time."""

    def __init__(self, spill: Spill, tally: Tally, batch_bytes: int, memory_bytes: int = MEMORY_BYTES) -> None:
        self._spill = spill
        self._tally = tally
        self._batch_bytes = batch_bytes
        self._memory_bytes = memory_bytes
        self._memory: deque[Batch] = deque()
        self._flight: Batch | None = None
        self._changed = Condition()
        self._writable = True
        tally.drop(Reason.TORN, torn := spill.load())
        tally.left = spill.events + torn
        tally.spilled_bytes = spill.bytes
        self._sequence = spill.last

    def add(self, body: bytes, events: int) -> None:
        with self._changed:
            self._sequence += 1
            self._memory.append(Batch(self._sequence, body, events, fresh=True))
            if not self._spill.empty or self._size() > self._memory_bytes:
                self._to_disk()
            self._changed.notify()

    def take(self, seconds: float) -> Batch | None:
        """The oldest batch, waiting for one; it stays here until it is done or given back."""
        with self._changed:
            if not self._memory and self._spill.empty:
                self._changed.wait(seconds)
            self._flight = self._oldest()
            return self._flight

    def done(self, batch: Batch) -> None:
        """The batch is out of our hands."""
        with self._changed:
            self._flight = None
            if batch.chunk is not None:
                self._spill.delivered(batch.chunk)
                self._tally.spilled_bytes = self._spill.bytes

    def give_back(self, batch: Batch) -> None:
        """The batch could not be delivered: it and all that follows goes to disk."""
        with self._changed:
            self._flight = None
            self._keep(batch)
            self._to_disk()

    def persist(self) -> int:
        """Puts everything on disk, also what is just being delivered; answers how many events are there."""
        with self._changed:
            if self._flight is not None:
                self._keep(self._flight)
                self._flight = None
            self._to_disk()
            return self._spill.events

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _oldest(self) -> Batch | None:
        while not self._spill.empty:
            try:
                chunk = self._spill.read(self._batch_bytes)
            except OSError as error:
                self._tally.drop(Reason.DISK, lost := self._spill.give_up())
                self._tally.spilled_bytes = self._spill.bytes
                log.error("request log: %d events are lost, the spill cannot be read: %s", lost, _named(error))  # noqa: TRY400  # a name says all
            else:
                return Batch(0, chunk.body, chunk.events, chunk) if chunk else None
        return self._memory.popleft() if self._memory else None

    def _keep(self, batch: Batch) -> None:
        if batch.chunk is None:
            self._memory.appendleft(Batch(batch.sequence, batch.body, batch.events))
        elif not self._spill.holds(batch.chunk.file):
            self._tally.drop(Reason.SPILL, batch.events)

    def _to_disk(self) -> None:
        try:
            while self._memory:
                oldest = self._memory[0]
                self._spill.write(oldest.sequence, oldest.body, oldest.events)
                self._memory.popleft()
                self._make_room()
            self._writable = True
        except OSError as error:
            if self._writable:
                log.error("request log: the spill cannot be written: %s", _named(error))  # noqa: TRY400  # a name says all
            self._writable = False
            while self._size() > self._memory_bytes:
                self._tally.drop(Reason.DISK, self._memory.popleft().events)
        self._tally.spilled_bytes = self._spill.bytes

    def _make_room(self) -> None:
        while (dropped := self._spill.drop_oldest()) is not None:
            flying = self._flight.chunk if self._flight else None
            on_its_way = flying.events if flying and flying.file is dropped else 0
            self._tally.drop(Reason.SPILL, dropped.events - on_its_way)

    def _size(self) -> int:
        return sum(len(batch.body) for batch in self._memory)


def _named(error: OSError) -> str:
    return error.strerror or type(error).__name__
