"""One training from bytes to a judged model: read, check, prepare, compare, fit, export, prove, tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from refit.api import jobs
from refit.api.metrics import Metric
from refit.api.profile import PROFILE_FILE
from refit.api.results import CheckOutcome, Parity
from refit.api.signature import Signature
from refit_trainer.checks import check
from refit_trainer.columns import read
from refit_trainer.errors import RefusedError
from refit_trainer.expectations import check_expectations
from refit_trainer.orders import Order
from refit_trainer.progress import Report
from refit_trainer.sources import Fetched
from refit_trainer.tables import read_table

if TYPE_CHECKING:
    from refit_trainer.choices import Scored


@dataclass(frozen=True, kw_only=True)
class CandidateTold:
    """A candidate's best combination and its cross-validated score."""

    algorithm: str
    label: str
    parameters: dict[str, str]
    mean: float
    deviation: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A fitted and exported model, what was measured of it, and the files that tell its story."""

    order: Order
    data_sha256: str
    split_digest: str
    rows: int
    held_out: int
    checks: tuple[CheckOutcome, ...]
    candidates: tuple[CandidateTold, ...]
    winner: CandidateTold
    metrics: dict[Metric, float]
    parity: Parity
    signature: Signature
    onnx: bytes
    fit_seconds: float
    files: dict[str, bytes] = field(default_factory=dict)
    """Artifact's path to its bytes; among them `golden.json`, `profile.json`, `model_card.md`."""

    @property
    def metric(self) -> Metric:
        return self.order.spec.training.selection.metric

    @property
    def value(self) -> float:
        return self.metrics[self.metric]

    def missed_bound(self) -> str | None:
        """Why the model may not be registered, with the number and the bound; None if it may."""
        selection = self.order.spec.training.selection
        if selection.minimum is not None and self.value < float(selection.minimum):
            return f"{self.metric} {self.value:.4g} on held-out rows is below the minimum {selection.minimum}"
        if selection.maximum is not None and self.value > float(selection.maximum):
            return f"{self.metric} {self.value:.4g} on held-out rows is above the maximum {selection.maximum}"
        return None


class DataRefusedError(RefusedError):
    """The data did not pass its checks; `checks` are all their outcomes."""

    def __init__(self, reason: str, message: str, *, checks: tuple[CheckOutcome, ...], rows: int) -> None:
        super().__init__(reason, message)
        self.checks = checks
        self.rows = rows


def train(order: Order, fetched: Fetched, *, cpus: int, clock: Callable[[], float], report: Report) -> Trained:
    """A trained model; raises RefusedError where data, spec or model can not be trusted."""
    spec = order.spec
    table = read_table(fetched.content, spec.data.format)
    reading = read(table, spec.data)
    outcomes, reason = check(reading, spec)
    if spec.data.expectations:
        expected = check_expectations(spec.data.expectations, reading)
        outcomes = (*outcomes, expected)
        reason = reason or ("" if expected.passed else "ExpectationFailed")
    if reason:
        failed = "; ".join(f"{outcome.name}: {outcome.message}" for outcome in outcomes if not outcome.passed)
        raise DataRefusedError(reason, failed, checks=outcomes, rows=reading.rows)
    report("checked", rows=reading.rows, columns=len(reading.columns))

    # From here on the numerical libraries are needed; bad data has been turned away without them.
    from refit_trainer import algorithms, choices, datasets, exports, pipelines, plots, profiles, scores  # noqa: PLC0415
    from refit_trainer.cards import card  # noqa: PLC0415
    from refit_trainer.importances import importances  # noqa: PLC0415
    from refit_trainer.leaks import suspicion  # noqa: PLC0415

    combinations = algorithms.combinations(spec.training.candidates, spec.task)
    dataset = datasets.prepare(reading, spec)
    seed = spec.data.split.seed
    manner = choices.Manner(
        folds=spec.training.folds,
        seed=seed,
        metric=spec.training.selection.metric,
        missing=spec.data.cleaning.missing.strategy,
        cpus=cpus,
    )
    started = clock()
    scored = choices.compare(combinations, dataset, manner, report)
    chosen = choices.best(scored, manner.metric)
    model = pipelines.pipeline(
        chosen.combination, dataset, manner.missing, jobs=manner.jobs(len(dataset.training)), seed=seed
    )
    model = pipelines.fitted(model, dataset.training, dataset, chosen.combination)
    fit_seconds = clock() - started
    report("fitted", candidate=chosen.combination.label(), seconds=round(fit_seconds, 3))

    exported = exports.export(model, dataset, chosen.combination)
    served = exports.Served(exported.content)
    parity = exports.prove(model, served, dataset, seed)
    report("exported", bytes=len(exported.content), rows=parity.rows, difference=parity.max_difference)

    answers = served.answers(dataset.held_out.frame)
    measured = scores.scores(dataset.held_out.answers, answers, classification=bool(dataset.classes))
    if not np.isfinite(measured[manner.metric]):
        raise RefusedError("MetricMissing", f"{manner.metric} of the held-out rows is no number")
    golden_rows = profiles.golden_rows(dataset)
    golden = profiles.golden(golden_rows, pipelines.outputs(model, dataset, golden_rows))
    trained = Trained(
        order=order,
        data_sha256=fetched.sha256,
        split_digest=dataset.split_digest,
        rows=dataset.rows,
        held_out=len(dataset.held_out),
        checks=(*outcomes, suspicion(dataset, measured)),
        candidates=tuple(_told(found) for found in choices.best_of_each(scored, manner.metric)),
        winner=_told(chosen),
        metrics=measured,
        parity=parity,
        signature=exported.signature,
        onnx=exported.content,
        fit_seconds=fit_seconds,
    )
    mattering = importances(served, dataset, manner.metric, seed)
    picture = plots.Picture(
        truth=dataset.held_out.answers,
        answers=answers,
        classes=dataset.classes,
        importances=mattering,
        metric=manner.metric.value,
    )
    trained.files.update({f"plots/{name}": content for name, content in plots.plots(picture).items()})
    trained.files.update(
        {
            "model_card.md": card(trained, mattering).encode(),
            jobs.GOLDEN_FILE: golden.model_dump_json(by_alias=True).encode(),
            PROFILE_FILE: profiles.profile(dataset, answers, measured, spec.data.columns)
            .model_dump_json(by_alias=True, exclude_none=True)
            .encode(),
            "signature.json": exported.signature.model_dump_json(by_alias=True, indent=1).encode(),
            "candidates.json": json.dumps(
                [{"candidate": found.combination.label(), "scores": found.scores} for found in scored], indent=1
            ).encode(),
        }
    )
    return trained


def _told(found: Scored) -> CandidateTold:
    combination = found.combination
    return CandidateTold(
        algorithm=combination.algorithm.value,
        label=combination.label(),
        parameters={name: str(value) for name, value in sorted(combination.parameters.items())},
        mean=found.mean,
        deviation=found.deviation,
        seconds=found.seconds,
    )
