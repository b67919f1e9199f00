"""`python -m refit_predictor`: check the model file, load it, serve it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from refit.api import jobs
from refit_predictor import artifact, settings
from refit_predictor.artifact import Unfit
from refit_predictor.desk import Desk
from refit_predictor.graph import Graph
from refit_predictor.request_log import RequestLog

EXIT_SETTINGS = 2
EXIT_UNFIT = 3


def main() -> int:
    termination_log = Path(os.environ.get(jobs.TERMINATION_LOG) or jobs.TERMINATION_LOG_PATH)
    try:
        read = settings.read(os.environ)
        desk = Desk(Graph(artifact.read(read.model_dir, read.sha256), read.threads), read)
        request_log = RequestLog(read.request_log, desk.signature, read.name) if read.request_log else None
    except settings.BadSettings as error:
        return _end(termination_log, f"BadSettings: {error}", EXIT_SETTINGS)
    except Unfit as error:
        return _end(termination_log, str(error), EXIT_UNFIT)
    # Imported late: the SDK takes seconds, and a file that must not be served is refused without it.
    from refit_predictor.server import serve  # noqa: PLC0415

    serve(desk, request_log)
    return 0


def _end(termination_log: Path, message: str, code: int) -> int:
    line = " ".join(message.split())[:1024]
    print(line, file=sys.stderr)  # noqa: T201
    try:
        termination_log.write_text(line + "\n")
    except OSError as error:
        print(f"cannot write {termination_log}: {error}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
