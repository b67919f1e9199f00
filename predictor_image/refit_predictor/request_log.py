"""The request log: each answered request and its answer goes to the collector, and no request waits for that.

The event loop only puts the objects that exist anyway into a queue. A thread of the log's own looks
into it now and then, writes the events down and hands them over in batches; another delivers them.
Looking is by the clock and not by a signal, since waking a thread costs more than the rest.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from random import random
from threading import Event, Thread

from refit.api import jobs
from refit.api.signature import Signature
from refit_predictor.backlog import Backlog
from refit_predictor.collector_door import Door
from refit_predictor.courier import Courier
from refit_predictor.event_lines import Answered, Lines
from refit_predictor.graph import Answers
from refit_predictor.intake import Rows
from refit_predictor.settings import BadSettings, LogSettings
from refit_predictor.spill import Spill
from refit_predictor.tally import Reason, Tally

TICK_SECONDS = 0.2
BATCH_EVENTS = 1024
BATCH_BYTES = 512 * 1024
SLICE = 64
"""Events written down in one go; then the other threads have their turn."""
SLICE_PAUSE = 0.001
MOST_EVENTS = 20_000
MOST_BYTES = 16 * 1024 * 1024
"""Bytes of the requests and answers in the queue, as a measure of what it holds in memory."""
PROBE_ROWS = 8
"""Rows of a golden request at most."""
PROBES, PROBE_SECONDS = 30, 60.0

log = logging.getLogger("kserve.refit")


class RequestLog:
    """The log of one model. Raises BadSettings for a mask or a directory that cannot be."""

    def __init__(self, settings: LogSettings, signature: Signature, name: str) -> None:
        self.tally = Tally()
        self._lines = Lines(signature, settings.version, settings.masked(signature))
        try:
            spill = Spill(settings.spill_dir, settings.spill_bytes)
            self._backlog = Backlog(spill, self.tally, min(BATCH_BYTES, settings.spill_bytes // 4))
        except OSError as error:
            raise BadSettings(f"{jobs.SPILL_DIR}: {settings.spill_dir} cannot be used: {error.strerror}") from error
        door = Door(settings.url, settings.namespace, name, settings.token_file)
        self._courier = Courier(self._backlog, door, self.tally, random)
        self._queue: deque[Answered] = deque()
        self._bytes_in = self._bytes_out = 0
        self._ending = Event()
        self._threads = [
            Thread(target=self._write_down, name="request-log-writer", daemon=True),
            Thread(target=self._courier.run, name="request-log-courier", daemon=True),
        ]
        self._probes = 0
        self._probes_since = 0.0

    def take(self, inference_id: str, seconds: float, rows: Rows, answers: Answers, size: int) -> None:
        """Takes in an answered request; on the event loop's thread."""
        if len(self._queue) >= MOST_EVENTS or self._bytes_in - self._bytes_out > MOST_BYTES:
            self.tally.overflowed += 1
            return
        self.tally.accepted += 1
        self._bytes_in += size
        self._queue.append((inference_id, time.time(), seconds, rows, answers, size))

    def skips(self, rows: Rows) -> bool:
        """Whether a request that calls itself a probe stays out of the log.

        Anyone can call his request so. But only few small ones stay out, as many as the operator may
        send, and they are counted; the rest is traffic like any other.
        """
        now = time.monotonic()
        if now - self._probes_since > PROBE_SECONDS:
            self._probes, self._probes_since = 0, now
        if rows.count > PROBE_ROWS or self._probes >= PROBES:
            return False
        self._probes += 1
        self.tally.skipped += 1
        return True

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self, seconds: float) -> None:
        """Delivers what is pending within that time; the rest is left on disk for the next process."""
        deadline = time.monotonic() + seconds
        self._ending.set()
        writer, courier = self._threads
        writer.join(seconds)
        self._courier.end(deadline)
        courier.join(max(0.0, deadline - time.monotonic()))
        if left := self._backlog.persist():
            log.warning("request log: %d events were not delivered, they are left in the spill", left)

    def _write_down(self) -> None:
        while not self._ending.wait(TICK_SECONDS):
            self._write_batches()
        self._write_batches()

    def _write_batches(self) -> None:
        lines: list[bytes] = []
        size = 0
        for at in range(len(self._queue)):
            answered = self._queue.popleft()
            self._bytes_out += answered[-1]
            line = self._line(answered)
            if lines and (size + len(line) > BATCH_BYTES or len(lines) == BATCH_EVENTS):
                self._backlog.add(b"".join(lines), len(lines))
                lines, size = [], 0
            if line:
                lines.append(line)
                size += len(line)
            if at % SLICE == SLICE - 1:
                time.sleep(SLICE_PAUSE)
        if lines:
            self._backlog.add(b"".join(lines), len(lines))

    def _line(self, answered: Answered) -> bytes:
        try:
            return self._lines.line(answered)
        except Exception as error:  # noqa: BLE001  # a mistake of ours costs one event, not the log
            self.tally.drop(Reason.ENCODING)
            log.error("request log: inference %s cannot be written: %s", answered[0], type(error).__name__)  # noqa: TRY400  # a traceback may hold data
            return b""
