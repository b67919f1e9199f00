"""The training Job: order in, model registered, typed result out."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from refit.api import jobs
from refit.api.orders import RetrainingOrder
from refit.api.remediation import RowsRule
from refit.api.results import EXIT_REFUSED, TrainingOutcome, TrainingResult, encode
from refit_trainer.answers import fitting, refused
from refit_trainer.downloads import Downloads
from refit_trainer.errors import RefusedError, UnreachableError
from refit_trainer.mlflow_door import Mlflow, MlflowError
from refit_trainer.orders import NoOrderError, Order, from_environment, retraining_from, trace_of
from refit_trainer.progress import Report, json_lines
from refit_trainer.sources import Surroundings, fetch, surroundings
from refit_trainer.tracking import earlier_answer, record
from refit_trainer.trainings import train

if TYPE_CHECKING:
    from refit_trainer.retrainings import Retraining

EXIT_FAILED = 1
EXIT_STARTED_WRONGLY = 2


def run_job(environment: Mapping[str, str], *, since: float, out: TextIO = sys.stdout, err: TextIO = sys.stderr) -> int:
    """The exit code of a Job; its result stands in the termination log unless it failed."""
    report = json_lines(out, since, trace_of(environment))
    try:
        result = _result(environment, surroundings(environment, Downloads()), report, since)
    except (UnreachableError, MlflowError, NoOrderError) as error:
        print(f"refit_trainer: {error}", file=err)
        return EXIT_STARTED_WRONGLY if isinstance(error, NoOrderError) else EXIT_FAILED
    Path(environment.get(jobs.TERMINATION_LOG, jobs.TERMINATION_LOG_PATH)).write_text(encode(result))
    report("ended", outcome=result.outcome.value, reason=result.reason, message=result.message)
    return exit_code(result)


def exit_code(result: TrainingResult) -> int:
    return EXIT_REFUSED if result.outcome is TrainingOutcome.REFUSED else 0


def cpus(environment: Mapping[str, str]) -> int:
    """Whole processors that the Job may use; one where nobody said."""
    text = environment.get(jobs.CPU_LIMIT, "1")
    return max(1, int(text)) if text.isdigit() else 1


def _result(environment: Mapping[str, str], around: Surroundings, report: Report, since: float) -> TrainingResult:
    def elapsed() -> float:
        return time.monotonic() - since

    order: Order | None = None
    data_sha256: str | None = None
    try:
        order = from_environment(environment)
        uri = environment.get(jobs.TRACKING_URI)
        if not uri:
            raise NoOrderError(f"environment variable {jobs.TRACKING_URI} is not set")
        with Mlflow(uri, environment) as mlflow:
            started = _milliseconds()
            earlier = earlier_answer(mlflow, order, started)
            if earlier is not None:
                report("found", key=order.key, run=earlier.run_id)
                return earlier
            held = _followed(retraining_from(environment), order, mlflow, environment, report)
            fetched = None
            if held is None or held.order.rows is not RowsRule.RECENT_ONLY:
                fetched = fetch(order.spec.data.source, around)
                data_sha256 = fetched.sha256
                report("fetched", bytes=len(fetched.content), sha256=data_sha256)
            trained = train(
                order, fetched, cpus=cpus(environment), clock=time.monotonic, report=report, retraining=held
            )
            report("judged", metric=trained.metric.value, value=round(trained.value, 6))
            return record(mlflow, trained, now=_milliseconds, started=started, elapsed=elapsed)
    except RefusedError as error:
        return fitting(
            refused(
                error,
                key=order.key if order is not None else environment.get(jobs.TRAINING_KEY, ""),
                spec=order.spec if order is not None else None,
                data_sha256=data_sha256,
                total_seconds=elapsed(),
            )
        )


def _followed(
    ordered: RetrainingOrder | None, order: Order, mlflow: Mlflow, environment: Mapping[str, str], report: Report
) -> Retraining | None:
    """What a retraining follows, fetched; None where the training follows nothing."""
    if ordered is None:
        return None
    from refit_trainer.retrainings import retraining  # noqa: PLC0415 - a first training needs none of it
    from refit_trainer.windows import collector  # noqa: PLC0415 - as above

    door = collector(environment, order.namespace, order.name) if ordered.window is not None else None
    held = retraining(ordered, order.spec, mlflow, door)
    labelled = len(held.known) if held.known is not None else 0
    report("followed", champion=held.champion.number, rows=ordered.rows.value, labelled=labelled)
    return held


def _milliseconds() -> int:
    return int(time.time() * 1000)
