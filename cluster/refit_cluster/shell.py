"""Running other programs: no stdin, output kept for the error message, failures as one exception."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")

TAIL_LINES = 30


class HarnessError(Exception):
    """Something a person has to read; the command line prints it without a traceback."""


class CommandFailedError(HarnessError):
    def __init__(self, args: Sequence[str | Path], code: int | str, output: str) -> None:
        tail = "\n".join(output.strip().splitlines()[-TAIL_LINES:])
        super().__init__(f"`{' '.join(map(str, args))}` ended with {code}:\n{tail}")
        self.output = output


def run(
    args: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    feed: str | None = None,
    feed_from: Path | None = None,
    timeout: float | None = None,
) -> str:
    """The standard output of a program that must succeed. `env` is added to our own environment."""
    whole = [str(arg) for arg in args]
    with contextlib.ExitStack() as held:
        # What is fed goes through a file: it may be an image archive, and a pipe would need a second thread.
        source: IO[bytes]
        if feed_from:
            source = held.enter_context(feed_from.open("rb"))
        else:
            source = held.enter_context(tempfile.TemporaryFile())
            source.write((feed or "").encode())
            source.seek(0)
        try:
            done = subprocess.run(
                whole,
                stdin=source,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError as missing:
            raise CommandFailedError(whole, "no such program", str(missing)) from missing
        except subprocess.TimeoutExpired as late:
            raise CommandFailedError(whole, f"no answer after {timeout:.0f} s", "") from late
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if done.returncode:
        raise CommandFailedError(whole, done.returncode, out + err)
    return out


def succeeds(args: Sequence[str | Path], *, timeout: float = 30) -> bool:
    try:
        run(args, timeout=timeout)
    except CommandFailedError:
        return False
    return True


def retried(
    act: Callable[[], T], *, attempts: int = 4, pause: float = 5.0, sleep: Callable[[float], None] = time.sleep
) -> T:
    """For downloads: package registries drop a connection now and then."""
    for attempt in range(1, attempts):
        try:
            return act()
        except CommandFailedError:
            sleep(pause * attempt)
    return act()


def wait_until(
    ready: Callable[[], bool],
    *,
    what: str,
    within: float,
    pause: float = 0.25,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    end = clock() + within
    while not ready():
        if clock() > end:
            raise HarnessError(f"{what} did not happen within {within:.0f} s")
        sleep(pause)


def found(name: str, *also: Path) -> Path | None:
    """A program on PATH or in one of the directories where its installer leaves it."""
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    return next((place / name for place in also if os.access(place / name, os.X_OK)), None)
