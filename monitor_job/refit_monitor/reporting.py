"""When a report is drawn, and that it is drawn in a process of its own.

A report costs seconds and megabytes, and tells a person what a measurement only counts. So one is drawn when there is
trouble, and again when the trouble changes or an hour has passed; in between the last one is linked.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from refit.api.profile import Profile
from refit_monitor.errors import UnreachableError
from refit_monitor.measurement import Measurement
from refit_monitor.windows import Window

HOURLY = 3600.0
PATIENCE_SECONDS = 300.0
SHOWN_ROWS = 2000

Draw = Callable[[Profile, Window, str], bytes]


@dataclass(frozen=True)
class Wanted:
    """Whether a report is to be drawn, and the address of the one that there is."""

    due: bool
    known: str | None = None
    drawn: str | None = None
    """When that one was drawn."""


def wanted(found: Measurement, earlier: Iterable[Mapping[str, Any]]) -> Wanted:
    """Without trouble none; with it a new one, unless one of the same trouble was drawn within the hour."""
    if not found.trouble:
        return Wanted(due=False)
    for kept in earlier:
        if kept.get("version") == found.asked.version and kept.get("report") and kept.get("reportTime"):
            passed = _moment(found.asked.time) - _moment(str(kept["reportTime"]))
            same = kept.get("reportOf") == found.trouble and passed.total_seconds() < HOURLY
            return (
                Wanted(due=False, known=str(kept["report"]), drawn=str(kept["reportTime"]))
                if same
                else Wanted(due=True)
            )
    return Wanted(due=True)


def in_a_process(profile: Profile, window: Window, key: str) -> bytes:
    """The report, drawn by `python -m refit_monitor draw`: its libraries take seconds to load, and memory that must
    not take the measurement with it. Raises UnreachableError if that fails."""
    sample = sampled(window, key)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, sample.schema) as stream:
        stream.write_table(sample)
    told = profile.model_dump_json(by_alias=True, exclude_none=True).encode()
    command = [sys.executable, "-m", "refit_monitor", "draw", str(len(told)), key]
    try:
        done = subprocess.run(
            command,
            input=told + sink.getvalue().to_pybytes(),
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreachableError(f"it took too long or could not be started ({type(error).__name__})") from error
    if done.returncode or not done.stdout:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise UnreachableError(last[0][:200])
    drawn: bytes = done.stdout
    return drawn


def sampled(window: Window, key: str) -> pa.Table:
    """At most 2,000 rows of the inputs and answers, the same ones for the same key."""
    columns = {f"input.{name}": column for name, column in window.inputs.items()} | window.answers
    table = pa.table(columns)
    if table.num_rows <= SHOWN_ROWS:
        return table
    drawn = np.random.default_rng(list(key.encode())).choice(table.num_rows, SHOWN_ROWS, replace=False)
    return table.take(pa.array(np.sort(drawn)))


def _moment(time: str) -> datetime:
    return datetime.fromisoformat(time)
