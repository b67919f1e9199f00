"""Progress, told while it happens: JSON lines for a Job's log, plain ones for a person."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TextIO

Report = Callable[..., None]
"""Takes an event's name and its fields."""


def json_lines(out: TextIO, since: float, trace: str = "") -> Report:
    """One JSON object a line, with the seconds since the start and the trace it belongs to."""
    traced = {"trace_id": trace} if trace else {}

    def report(event: str, **fields: Any) -> None:
        told = {"elapsed": round(time.monotonic() - since, 2), **traced, "event": event, **fields}
        print(json.dumps(told, ensure_ascii=False), file=out, flush=True)

    return report


def plain_lines(out: TextIO, since: float) -> Report:
    """The same for a terminal."""

    def report(event: str, **fields: Any) -> None:
        told = "  ".join(f"{name}={value}" for name, value in fields.items())
        print(f"{time.monotonic() - since:6.1f}s  {event:<10} {told}", file=out, flush=True)

    return report
