"""`python -m refit_trainer`: the training Job; `python -m refit_trainer run`: the same without a cluster;
`python -m refit_trainer impact`: the Job that estimates what an action would bring.

Exit code 0: a model was judged, registered or not; an impact was estimated. 3: data or spec refused. 1: a source or MLflow
did not answer, or the trainer itself failed. 2: started wrongly.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback

from refit.api import jobs

STARTED = time.monotonic()
"""Before the imports, which are most of the time of a small training."""

INTERRUPTED = 143


def main() -> int:
    end_on_sigterm()
    # Before numpy is imported: its threads would follow the node's processors, not the container's.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, os.environ.get(jobs.CPU_LIMIT) or "1")
    # Before ONNX Runtime is: since 1.29 it tells Microsoft about the models it loads, unless told not to.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        if sys.argv[1:] == ["impact"]:
            from refit_trainer.impact_job import run_impact  # noqa: PLC0415 - imports follow the clock's start

            return run_impact(os.environ, since=STARTED)
        if sys.argv[1:]:
            from refit_trainer.local import run  # noqa: PLC0415 - imports follow the clock's start

            return run(sys.argv[1:], os.environ, since=STARTED)
        from refit_trainer.job import run_job  # noqa: PLC0415 - see above

        return run_job(os.environ, since=STARTED)
    except Exception as error:  # noqa: BLE001 - a log may be read by many: what and where, but no values of a traceback
        place = traceback.extract_tb(error.__traceback__)[-1]
        sys.stderr.write(f"refit_trainer: {type(error).__name__} at {place.filename}:{place.lineno}: {error}\n")
        return 1


def end_on_sigterm() -> None:
    """Ends the process at once, even inside a long fit: a handler would wait for the library to return,
    and as the first process of a container it would otherwise not be ended at all."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        os._exit(INTERRUPTED)

    threading.Thread(target=wait, daemon=True, name="sigterm").start()


if __name__ == "__main__":
    sys.exit(main())
