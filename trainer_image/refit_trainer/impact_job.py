"""The impact Job: what an action would bring, measured before anybody is asked."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from refit.api import jobs
from refit.api.orders import ImpactOrder, RetrainingOrder
from refit.api.remediation import RowsRule
from refit.api.remediationrequest import Action
from refit.api.results import EXIT_REFUSED, ImpactResult, encode
from refit_trainer.answers import cut
from refit_trainer.checked import checked
from refit_trainer.downloads import Downloads
from refit_trainer.errors import RefusedError, UnreachableError
from refit_trainer.job import EXIT_FAILED, EXIT_STARTED_WRONGLY, cpus
from refit_trainer.mlflow_door import Mlflow, MlflowError
from refit_trainer.orders import NoOrderError, Order, deployment_from, impact_from, trace_of
from refit_trainer.progress import Report, json_lines
from refit_trainer.sources import fetch, surroundings
from refit_trainer.windows import collector

MESSAGE_BYTES = 768
OVERTIME = 1.5
"""Times its budget after which a trial that does not return is ended."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What ends a trial that does not return: a library in the middle of a fit listens to nobody."""

    log: Path
    end: Callable[[int], None]

    @contextmanager
    def ended_after(self, seconds: float, key: str) -> Iterator[None]:
        """Ends the process, with an answer, if the block takes longer."""

        def end() -> None:
            told = (
                f"the trial did not end within {seconds:.0f} s; give it more time in "
                "spec.remediation.retraining.trialSeconds"
            )
            _write(self.log, ImpactResult(key=key, message=told))
            self.end(0)

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def run_impact(
    environment: Mapping[str, str],
    *,
    since: float,
    out: TextIO = sys.stdout,
    err: TextIO = sys.stderr,
    end: Callable[[int], None] = os._exit,
) -> int:
    """The exit code; the answer stands in the termination log unless it failed. `end` ends a trial that hangs."""
    report = json_lines(out, since, trace_of(environment))
    log = Path(environment.get(jobs.TERMINATION_LOG, jobs.TERMINATION_LOG_PATH))
    code = 0
    try:
        wanted = impact_from(environment)
        try:
            result = _result(wanted, environment, report, Watch(log=log, end=end))
        except RefusedError as error:
            result, code = ImpactResult(key=wanted.key, message=str(error)), EXIT_REFUSED
    except (UnreachableError, MlflowError, NoOrderError) as error:
        print(f"refit_trainer: {error}", file=err)
        return EXIT_STARTED_WRONGLY if isinstance(error, NoOrderError) else EXIT_FAILED
    _write(log, result)
    report("ended", message=result.message)
    return code


def _result(wanted: ImpactOrder, environment: Mapping[str, str], report: Report, watch: Watch) -> ImpactResult:
    order = deployment_from(environment, wanted.key)
    uri = environment.get(jobs.TRACKING_URI)
    if not uri:
        raise NoOrderError(f"environment variable {jobs.TRACKING_URI} is not set")
    if wanted.action not in ESTIMATES:
        return ImpactResult(key=wanted.key, message=f"{wanted.action} changes no answer: there is no metric to predict")
    with Mlflow(uri, environment) as mlflow:
        return ESTIMATES[wanted.action](wanted, order, mlflow, environment, report, watch)


def _of_retraining(
    wanted: ImpactOrder, order: Order, mlflow: Mlflow, environment: Mapping[str, str], report: Report, watch: Watch
) -> ImpactResult:
    """A trial on the rows that the retraining would learn from."""
    from refit_trainer.retrainings import retraining  # noqa: PLC0415 - the numerical libraries, once they are needed
    from refit_trainer.trials import tried  # noqa: PLC0415 - as above

    followed = RetrainingOrder(champion=wanted.serving, rows=wanted.rows, window=wanted.window)
    held = retraining(followed, order.spec, mlflow, collector(environment, order.namespace, order.name))
    fetched = None
    if wanted.rows is not RowsRule.RECENT_ONLY:
        fetched = fetch(order.spec.data.source, surroundings(environment, Downloads()))
    found = checked(order, fetched, report, held)
    with watch.ended_after(wanted.budget_seconds * OVERTIME, wanted.key):
        trial = tried(
            found,
            order,
            held,
            fetched.sha256 if fetched is not None else None,
            seconds=wanted.budget_seconds,
            cpus=cpus(environment),
            clock=time.monotonic,
            report=report,
        )
    return ImpactResult(key=wanted.key, predicted=trial.impact, message=trial.message)


def _of_versions(
    wanted: ImpactOrder, order: Order, mlflow: Mlflow, environment: Mapping[str, str], _report: Report, _watch: Watch
) -> ImpactResult:
    """The versions that one could go to, on the requests of the window."""
    from refit_trainer.replays import replayed  # noqa: PLC0415 - the numerical libraries, once they are needed
    from refit_trainer.versions import version  # noqa: PLC0415 - as above

    if not wanted.versions:
        return ImpactResult(key=wanted.key, message="there is no other version to ask")
    requests = collector(environment, order.namespace, order.name).requests(wanted.window)
    spec = order.spec
    found = replayed(
        version(mlflow, wanted.serving),
        tuple(version(mlflow, each) for each in wanted.versions),
        requests,
        spec.training.selection.metric,
        spec.data.split.seed,
        wanted.to_version,
    )
    return ImpactResult(key=wanted.key, predicted=found.impact, ranking=found.ranking, message=found.message)


def _write(log: Path, result: ImpactResult) -> None:
    log.write_text(encode(result.model_copy(update={"message": cut(result.message, MESSAGE_BYTES)})))


Estimate = Callable[[ImpactOrder, Order, Mlflow, Mapping[str, str], Report, Watch], ImpactResult]
ESTIMATES: dict[Action, Estimate] = {
    Action.RETRAIN: _of_retraining,
    Action.ROLLBACK: _of_versions,
    Action.PROMOTE: _of_versions,
}
"""Action to how its impact is found; the others change no answer."""
