"""A retraining tried before anybody is asked: on the same rows, in the time that there is, judged on rows held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from refit.api.metrics import Metric
from refit.api.proposal import PredictedImpact
from refit_trainer import algorithms, choices, datasets, pipelines
from refit_trainer.algorithms import Combination
from refit_trainer.checked import Checked
from refit_trainer.datasets import Dataset, Rows
from refit_trainer.errors import RefusedError
from refit_trainer.orders import Order
from refit_trainer.progress import Report
from refit_trainer.resampling import FEWEST_ROWS, Interval, interval
from refit_trainer.retrainings import Retraining, new_rows
from refit_trainer.scores import number, score

REFITS = 4
"""How often the trial is fitted again on rows drawn from its own, to see how much of the metric is luck of these."""
ENOUGH = 1.645
"""Standard deviations that 90 % of a normal distribution lie within."""
FINISHING = 0.7
"""Part of the time in which candidates are compared; the rest is for fitting the best one again."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What the trial found; without an impact, why."""

    impact: PredictedImpact | None
    message: str


@dataclass(frozen=True, kw_only=True)
class _Maker:
    """Fits combinations to the training rows."""

    dataset: Dataset
    manner: choices.Manner

    def fitted(self, combination: Combination, rows: Rows) -> Any:
        model = pipelines.pipeline(
            combination, self.dataset, self.manner.missing, jobs=self.manner.jobs(len(rows)), seed=self.manner.seed
        )
        return pipelines.fitted(model, rows, self.dataset, combination)


def tried(
    found: Checked,
    order: Order,
    held: Retraining,
    source_sha256: str | None,
    *,
    seconds: float,
    cpus: int,
    clock: Callable[[], float],
    report: Report,
) -> Tried:
    """What a retraining would bring: the metric of a trial beside that of what serves, on rows that are new to both."""
    spec = order.spec
    metric, seed = spec.training.selection.metric, spec.data.split.seed
    until = clock() + seconds
    dataset = datasets.prepare(found.reading, spec, found.late)
    new = new_rows(dataset, held, spec, source_sha256)
    if len(new.rows) < FEWEST_ROWS:
        return Tried(
            impact=None,
            message=f"{len(new.rows)} rows are new to the model that serves, a prediction needs {FEWEST_ROWS} ({new.told})",
        )
    manner = choices.Manner(
        folds=spec.training.folds, seed=seed, metric=metric, missing=spec.data.cleaning.missing.strategy, cpus=cpus
    )
    maker = _Maker(dataset=dataset, manner=manner)
    wanted = _ordered(algorithms.combinations(spec.training.candidates, spec.task), held)
    begun = clock()
    compared, chosen = _chosen(wanted, dataset, manner, begun + FINISHING * (until - begun), clock, report)
    model = maker.fitted(chosen, dataset.training)
    answers = pipelines.outputs(model, dataset, new.rows.frame)
    theirs = held.champion.answers(new.rows.frame, dataset.classes)
    now = score(metric, new.rows.answers, theirs)
    spread = _luck(maker, chosen, new.rows, metric, until, clock)
    predicted = widened(interval(metric, new.rows.answers, answers, seed), spread, metric)
    if not np.isfinite([now, predicted.value, predicted.low, predicted.high]).all():
        return Tried(impact=None, message=f"{metric} has no meaning on {len(new.rows)} rows ({new.told})")
    method = (
        f"trial of {compared} of {len(wanted)} candidates on {len(dataset.training)} rows; "
        f"bootstrap on {new.told}, and what refitting changes"
    )
    impact = PredictedImpact(
        metric=metric.value,
        now=number(now),
        predicted=number(predicted.value),
        low=number(predicted.low),
        high=number(predicted.high),
        method=method[:256],
    )
    return Tried(impact=impact, message=f"{chosen.label()} in {clock() - begun:.0f} s")


def widened(found: Interval, spread: float, metric: Metric) -> Interval:
    """The interval of one model's metric as that of another fit's: both chances count, as variances add up."""
    reach = ENOUGH * spread
    low = found.value - float(np.hypot(found.value - found.low, reach))
    high = found.value + float(np.hypot(found.high - found.value, reach))
    least, most = (0.0, 1.0) if metric in _SHARES else (-np.inf if metric is Metric.R2 else 0.0, np.inf)
    return Interval(value=found.value, low=max(low, least), high=min(high, most))


def _ordered(found: tuple[Combination, ...], held: Retraining) -> list[Combination]:
    """The champion's own first, since it is known to be good; then the spec's order."""
    lineage = held.champion.lineage

    def other(combination: Combination) -> bool:
        told = {name: str(value) for name, value in combination.parameters.items()}
        return lineage is None or (combination.algorithm.value, told) != (lineage.algorithm, lineage.parameters)

    return sorted(found, key=other)


def _chosen(
    wanted: list[Combination],
    dataset: Dataset,
    manner: choices.Manner,
    until: float,
    clock: Callable[[], float],
    report: Report,
) -> tuple[int, Combination]:
    """How many candidates were looked at, and the best of them; at least the first."""
    if len(wanted) == 1:
        return 1, wanted[0]
    scored: list[choices.Scored] = []
    slowest = 0.0
    for combination in wanted:
        if scored and clock() + slowest > until:
            break
        begun = clock()
        try:
            scored += choices.compare((combination,), dataset, manner, report)
        except RefusedError as error:
            report("left out", candidate=combination.label(), told=error.message)
        slowest = max(slowest, clock() - begun)
    if not scored:
        raise RefusedError("FitFailed", f"none of {len(wanted)} candidates could be fitted")
    return len(scored), choices.best(tuple(scored), manner.metric).combination


def _luck(
    maker: _Maker, chosen: Combination, rows: Rows, metric: Metric, until: float, clock: Callable[[], float]
) -> float:
    """The standard deviation of the metric over fits to rows drawn again, as many as there is time for; 0 with fewer than two."""
    random = np.random.default_rng(maker.manner.seed)
    training = maker.dataset.training
    values: list[float] = []
    slowest = 0.0
    for _ in range(REFITS):
        begun = clock()
        if begun + slowest > until:
            break
        drawn = random.integers(0, len(training), len(training))
        try:
            model = maker.fitted(chosen, training.at(drawn))
        except RefusedError:
            continue  # a class that was not drawn
        values.append(score(metric, rows.answers, pipelines.outputs(model, maker.dataset, rows.frame)))
        slowest = max(slowest, clock() - begun)
    finite = [value for value in values if np.isfinite(value)]
    return float(np.std(finite, ddof=1)) if len(finite) > 1 else 0.0


_SHARES = frozenset(Metric) - {Metric.LOG_LOSS, Metric.RMSE, Metric.MAE, Metric.R2, Metric.MAPE}
"""Metrics from 0 to 1."""
