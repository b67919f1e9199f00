"""Takes batches from the backlog to the collector, again and again until it has them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event
from time import monotonic

from refit_predictor.backlog import Backlog, Batch
from refit_predictor.collector_door import Door, Later, Stored, TooLarge
from refit_predictor.tally import Reason, Tally

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
LONGEST_WISH = 300.0
"""Seconds that Retry-After is heeded for at most."""
LAST_PAUSE = 0.5
"""Pause at most while the process ends."""
IDLE_SECONDS = 5.0
NO_COLLECTOR = "; no collector of this version is at REFIT_COLLECTOR_URL"

log = logging.getLogger("kserve.refit")


class Courier:
    """Delivers until it is told to end; `random` answers from 0 to 1."""

    def __init__(self, backlog: Backlog, door: Door, tally: Tally, random: Callable[[], float]) -> None:
        self._backlog = backlog
        self._door = door
        self._tally = tally
        self._random = random
        self._ending = Event()
        self._deadline = 0.0
        self._failures = 0

    def run(self) -> None:
        while True:
            batch = self._backlog.take(0 if self._ending.is_set() else IDLE_SECONDS)
            if batch is not None:
                self._deliver(batch)
            elif self._ending.is_set():
                break
            if self._ending.is_set() and monotonic() >= self._deadline:
                break
        self._door.close()

    def end(self, deadline: float) -> None:
        """Go on until all is delivered, or until then."""
        self._deadline = deadline
        self._door.timeout = max(0.1, min(self._door.timeout, deadline - monotonic()))
        self._ending.set()
        self._backlog.wake()

    def _deliver(self, batch: Batch) -> None:
        answer = self._post(batch.body, batch.events, fresh=batch.fresh)
        if isinstance(answer, Later):
            self._backlog.give_back(batch)
            self._pause(answer)
            return
        self._backlog.done(batch)
        self._tally.deliver(batch.events - sum(answer.values()))
        for reason, events in answer.items():
            self._tally.drop(reason, events)
        if self._failures:
            log.info("request log: the collector takes events again, %d wait", self._tally.pending)
            self._failures = 0

    def _post(self, body: bytes, events: int, *, fresh: bool) -> dict[Reason, int] | Later:
        """How many of the events are lost, by reason."""
        answer = self._door.post(body)
        if isinstance(answer, Later):
            return answer
        if isinstance(answer, Stored):
            found = {Reason.REFUSED: min(answer.refused, events)}
            if fresh:
                found[Reason.SAME_ID] = min(answer.duplicates, events - found[Reason.REFUSED])
            lost = {reason: count for reason, count in found.items() if count}
        elif isinstance(answer, TooLarge):
            return self._in_halves(body, events, fresh=fresh) if events > 1 else {Reason.TOO_LARGE: 1}
        else:
            hint = NO_COLLECTOR if answer.status in {404, 405} else ""
            log.error("request log: the collector answers %d, %d events are lost%s", answer.status, events, hint)
            return {Reason.REFUSED: events}
        for reason, count in lost.items():
            log.warning("request log: of %d events the collector did not store %d: %s", events, count, reason)
        return lost

    def _in_halves(self, body: bytes, events: int, *, fresh: bool) -> dict[Reason, int] | Later:
        lines = body.splitlines(keepends=True)
        lost: dict[Reason, int] = {}
        for half in (lines[: events // 2], lines[events // 2 :]):
            found = self._post(b"".join(half), len(half), fresh=fresh)
            if isinstance(found, Later):
                return found  # then all of it is sent again; the collector knows the first half by its ids
            for reason, count in found.items():
                lost[reason] = lost.get(reason, 0) + count
        return lost

    def _pause(self, later: Later) -> None:
        if not self._failures:
            log.warning("request log: the collector takes no events (%s), they go to disk", later.why)
        self._failures += 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures - 1, 16)) * (0.5 + self._random() / 2)
        pause = max(pause, min(later.seconds or 0, LONGEST_WISH))
        if not self._ending.wait(pause):
            return
        # A set event does not wait: this pause is the process's last chance, so it is short.
        Event().wait(max(0.0, min(LAST_PAUSE, self._deadline - monotonic())))
