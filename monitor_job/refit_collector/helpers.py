"""Helpers: processes that do what takes long, started when there is something to do and ended when there is not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson

from refit_collector.refusals import Refused, busy

IDLE_SECONDS = 60.0
MOST_TASKS = 200
"""After so many it is replaced, whatever memory its libraries have kept."""


class HelperError(Exception):
    """A task failed, and not for want of room."""


class Helper:
    """One such process. A task at a time; who comes meanwhile waits."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._tasks = 0
        self._used = 0.0

    def ask(self, task: str, **given: Any) -> Any:
        """The task's result; raises OSError where the disk is the reason, and Refused 503 if the process died."""
        with self._lock:
            line = self._exchange(orjson.dumps([task, given]) + b"\n")
        told = orjson.loads(line)
        if "result" in told:
            return told["result"]
        if told["errno"] is not None:
            raise OSError(told["errno"], os.strerror(told["errno"]))
        raise HelperError(f"{task}: {told['error']}")

    def _exchange(self, line: bytes) -> bytes:
        if self._process is None or self._tasks >= MOST_TASKS:
            self._stop()
            command = [sys.executable, "-m", "refit_collector.tasks", str(self._directory)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._tasks = 0
        stdin, stdout = self._process.stdin, self._process.stdout
        answer = b""
        if stdin is not None and stdout is not None:
            try:
                stdin.write(line)
                stdin.flush()
                answer = stdout.readline()
            except BrokenPipeError:
                answer = b""
        self._tasks += 1
        self._used = time.monotonic()
        if not answer.endswith(b"\n"):
            self._stop()
            raise died()
        return answer

    def rest(self) -> None:
        """Ends the process if nothing was to do for a while, so that its memory is given back."""
        if time.monotonic() - self._used > IDLE_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._stop()
            finally:
                self._lock.release()

    def stop(self) -> None:
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class Helpers:
    """Several, of which each task gets one to itself as long as there are enough."""

    def __init__(self, directory: Path, count: int) -> None:
        self._free = [Helper(directory) for _ in range(count)]
        self._all = tuple(self._free)
        self._lock = threading.Lock()

    def ask(self, task: str, **given: Any) -> Any:
        with self._lock:
            # The one used last is warm; the others may come to rest.
            helper = self._free.pop() if self._free else None
        if helper is None:
            raise busy("as many windows are being read as may; ask again", reason="windows")
        try:
            return helper.ask(task, **given)
        finally:
            with self._lock:
                self._free.append(helper)

    def rest(self) -> None:
        for helper in self._all:
            helper.rest()

    def stop(self) -> None:
        for helper in self._all:
            helper.stop()


def died() -> Refused:
    return busy("the process that read for this ended; ask again, for less if it was much", reason="helper")
