"""`python -m refit_monitor measure | verdict`; `draw` is what a Job starts for a report."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

USAGE = "usage: python -m refit_monitor measure | verdict --reference FILE --current FILE [--spec FILE] [-o json|table]"


def main(arguments: list[str]) -> int:
    """Each command loads only what it needs: most of a short Job is loading."""
    match arguments:
        case ["measure"]:
            from refit_monitor.job import run_job  # noqa: PLC0415

            return run_job(os.environ, lambda: datetime.now(UTC))
        case ["verdict", *rest]:
            from refit_monitor.local import run  # noqa: PLC0415

            return run(rest)
        case ["draw", size, key]:
            from refit_monitor.report import draw  # noqa: PLC0415

            return draw(sys.stdin.buffer, int(size), key, sys.stdout.buffer)
    print(USAGE, file=sys.stderr)  # noqa: T201 - a command's answer
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
