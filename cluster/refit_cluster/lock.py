"""One harness at a time: a file lock that says who holds it, and that a crash releases by itself."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from refit_cluster.shell import HarnessError

WAIT_SECONDS = 30 * 60.0


def note(pid: int, now: datetime) -> str:
    return f"{pid} {now:%Y-%m-%d %H:%M:%S}"


def busy_message(written: str) -> str:
    pid, _, since = written.strip().partition(" ")
    if not since:
        return "another refit_cluster is at work"
    return f"another refit_cluster (pid {pid}) is at work since {since}"


@contextmanager
def exclusive(
    path: Path,
    *,
    out: TextIO,
    within: float = WAIT_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as held:
        end = clock() + within
        told = False
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                held.seek(0)
                message = busy_message(held.read())
            if clock() >= end:
                raise HarnessError(f"{message}; gave up after {within:.0f} s")
            if not told:
                out.write(f"{message}; waiting for up to {within / 60:.0f} min\n")
                out.flush()
                told = True
            sleep(1)
        held.seek(0)
        held.truncate()
        held.write(note(os.getpid(), datetime.now().astimezone()))
        held.flush()
        yield
