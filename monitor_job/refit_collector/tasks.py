"""`python -m refit_collector.tasks DIRECTORY`: what takes long, in a process of its own.

Rolling and reading windows keep a processor busy for seconds and leave memory behind. Here they can not
keep those waiting whose events are to be stored: another interpreter, a lower priority, and all memory
goes back when the process ends. It reads a task a line and answers a line, until there is no more to read.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from refit_collector import coverage, parquet, windows
from refit_collector.readers import Readers
from refit_collector.schema import reading
from refit_collector.snapshots import Asked

NICENESS = 5


def roll(directory: Path, model: int, version: int, last: int, path: str) -> list[int]:
    """Writes the chunks up to the last as a file; since, until, events, rows and bytes of it."""
    told: list[tuple[int, ...]] = []
    with closing(reading(directory)) as connection:
        connection.execute("BEGIN")
        columns, rolled_to = connection.execute(
            "SELECT columns, rolled_to FROM versions WHERE model = ? AND version = ?", (model, version)
        ).fetchone()
        chunks = connection.execute(
            "SELECT since, until, events, rows, body FROM hot"
            " WHERE model = ? AND version = ? AND seq > ? AND seq <= ? ORDER BY seq",
            (model, version, rolled_to, last),
        )

        def bodies() -> Iterator[bytes]:
            for *numbers, body in chunks:
                told.append(tuple(numbers))
                yield body

        parquet.write(directory / path, bodies(), version, orjson.loads(columns))
    sinces, untils, events, rows = zip(*told, strict=True)
    return [min(sinces), max(untils), sum(events), sum(rows), (directory / path).stat().st_size]


def window(directory: Path, asked: list[Any], media: str, path: str) -> list[int]:
    """Writes a window as a file; rows, events, and whether it was cut."""
    return list(windows.write(directory, Readers(), Asked(*asked), media, directory / path))


def report(directory: Path, asked: list[Any]) -> dict[str, Any]:
    """How far labels reach in a window."""
    return coverage.report(directory, Readers(), Asked(*asked))


def ids(directory: Path, path: str) -> list[str]:
    """The ids of a segment's events."""
    return [name for part in parquet.ids(directory / path) for name in part]


TASKS: dict[str, Callable[..., Any]] = {"roll": roll, "window": window, "report": report, "ids": ids}


def answer(directory: Path, line: bytes) -> bytes:
    """What is said to a task; a failure is told by its kind and place, since its text may quote data."""
    name, given = orjson.loads(line)
    try:
        return orjson.dumps({"result": TASKS[name](directory, **given)})
    except Exception as error:  # noqa: BLE001  # told to whoever gave the task
        frame = error.__traceback__
        while frame and frame.tb_next:
            frame = frame.tb_next
        place = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else ""
        code = error.errno if isinstance(error, OSError) else None
        return orjson.dumps({"error": f"{type(error).__name__} at {place}", "errno": code})


def main() -> None:
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it says when it is over
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):  # whoever asked is gone
        for line in sys.stdin.buffer:
            sys.stdout.buffer.write(answer(Path(sys.argv[1]), line) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
