"""One training from bytes to a judged model: read, check, prepare, compare, fit, export, prove, tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from refit.api import jobs
from refit.api.metrics import Metric
from refit.api.profile import PROFILE_FILE
from refit.api.results import CheckOutcome, Parity, TrainingOutcome
from refit.api.signature import Signature
from refit_trainer.checks import check
from refit_trainer.columns import Reading, read
from refit_trainer.errors import RefusedError
from refit_trainer.expectations import check_expectations
from refit_trainer.orders import Order
from refit_trainer.progress import Report
from refit_trainer.sources import Fetched
from refit_trainer.tables import read_table

if TYPE_CHECKING:
    from refit.api.outcome import Shadow
    from refit_trainer.choices import Scored
    from refit_trainer.comparisons import Contest
    from refit_trainer.datasets import Dataset, Late
    from refit_trainer.evidence import Evidence
    from refit_trainer.exports import Served
    from refit_trainer.retrainings import Retraining


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
    retraining: Retraining | None = None
    contest: Contest | None = None
    shadow: Shadow | None = None
    learned_from: str = ""
    """What a retraining learned from, in a clause."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Artifact's path to its bytes; among them `golden.json`, `profile.json`, `model_card.md`."""

    @property
    def outcome(self) -> TrainingOutcome:
        """What is to become of it."""
        if self.missed_bound() is not None:
            return TrainingOutcome.BELOW_BOUND
        if self.contest is not None and not self.contest.better:
            return TrainingOutcome.CHAMPION_KEPT
        return TrainingOutcome.REGISTERED

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


class ShadowFailedError(RefusedError):
    """The challenger has no answer to requests that the champion answered."""

    def __init__(self, message: str, *, shadow: Shadow, rows: int) -> None:
        super().__init__("ShadowFailed", message)
        self.shadow = shadow
        self.rows = rows


def train(
    order: Order,
    fetched: Fetched | None,
    *,
    cpus: int,
    clock: Callable[[], float],
    report: Report,
    retraining: Retraining | None = None,
) -> Trained:
    """A trained model; raises RefusedError where data, spec or model can not be trusted.

    `fetched` is None only where a retraining learns from requests alone.
    """
    spec = order.spec
    source = read_table(fetched.content, spec.data.format) if fetched is not None else None
    evidence = _evidence(source, retraining, order)
    reading = read(evidence.table if evidence is not None else source, spec.data)
    outcomes, reason = check(reading, spec)
    if spec.data.expectations:
        expected = check_expectations(spec.data.expectations, reading)
        outcomes = (*outcomes, expected)
        reason = reason or ("" if expected.passed else "ExpectationFailed")
    if reason:
        failed = "; ".join(f"{outcome.name}: {outcome.message}" for outcome in outcomes if not outcome.passed)
        raise DataRefusedError(reason, failed, checks=outcomes, rows=reading.rows)
    report("checked", rows=reading.rows, columns=len(reading.columns))
    late = evidence.late if evidence is not None else None

    # From here on the numerical libraries are needed; bad data has been turned away without them.
    from refit_trainer import algorithms, choices, datasets, exports, lineages, pipelines, plots, profiles, scores  # noqa: PLC0415
    from refit_trainer.cards import card  # noqa: PLC0415
    from refit_trainer.importances import importances  # noqa: PLC0415
    from refit_trainer.leaks import suspicion  # noqa: PLC0415

    combinations = algorithms.combinations(spec.training.candidates, spec.task)
    dataset = datasets.prepare(reading, spec, late)
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
    source_sha256 = fetched.sha256 if fetched is not None else None
    contest, shadow = _against_champion(retraining, served, dataset, order, source_sha256)
    if contest is not None:
        report("compared", better=contest.better, told=contest.told)
    golden_rows = profiles.golden_rows(dataset)
    golden = profiles.golden(golden_rows, pipelines.outputs(model, dataset, golden_rows))
    trained = Trained(
        order=order,
        data_sha256=_digest(reading) if late is not None else source_sha256 or "",
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
        retraining=retraining,
        contest=contest,
        shadow=shadow,
        learned_from=_learned_from(retraining, reading, late),
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
            lineages.LINEAGE_FILE: _lineage(trained, dataset, source_sha256),
            lineages.FINGERPRINTS_FILE: lineages.packed(
                lineages.fingerprints(dataset.training.frame, datasets.named(dataset, dataset.training))
            ),
            "signature.json": exported.signature.model_dump_json(by_alias=True, indent=1).encode(),
            "candidates.json": json.dumps(
                [{"candidate": found.combination.label(), "scores": found.scores} for found in scored], indent=1
            ).encode(),
        }
    )
    return trained


def _evidence(source: pa.Table | None, retraining: Retraining | None, order: Order) -> Evidence | None:
    if retraining is None:
        return None
    from refit_trainer.evidence import gathered  # noqa: PLC0415 - only a retraining needs it

    inputs = tuple(column.name for column in retraining.champion.signature.inputs)
    return gathered(retraining.order.rows, source, retraining.known, order.spec, inputs)


def _digest(reading: Reading) -> str:
    from refit_trainer.evidence import digest  # noqa: PLC0415 - as above

    return digest(reading)


def _against_champion(
    retraining: Retraining | None, served: Served, dataset: Dataset, order: Order, source_sha256: str | None
) -> tuple[Contest | None, Shadow | None]:
    """How the model compares with the champion; raises ShadowFailedError where it fails requests that were answered."""
    if retraining is None:
        return None, None
    from refit_trainer.comparisons import contest, shadow  # noqa: PLC0415 - as above
    from refit_trainer.retrainings import new_rows  # noqa: PLC0415 - as above

    seen = shadow(retraining, served)
    if seen is not None and seen.failed:
        raise ShadowFailedError(
            f"the new model has no answer to {seen.failed} of {seen.requests} requests that version "
            f"{retraining.champion.number} answered",
            shadow=seen,
            rows=dataset.rows,
        )
    spec = order.spec
    rows = new_rows(dataset, retraining, spec, source_sha256)
    metric, seed = spec.training.selection.metric, spec.data.split.seed
    return contest(rows, retraining.champion, served, dataset, metric, seed), seen


def _learned_from(retraining: Retraining | None, reading: Reading, late: Late | None) -> str:
    """How many rows of which kind; how many requests say what a row of the source says, and which labels were no use."""
    if retraining is None or retraining.known is None:
        return ""
    cut = ", the window was cut" if retraining.requests is not None and retraining.requests.cut else ""
    unknown = f", {retraining.known.unknown} labels of no class" if retraining.known.unknown else ""
    if late is None:
        return (
            f"learned from {reading.rows} rows of the source; {len(retraining.known)} labelled requests{unknown}{cut}"
        )
    from refit_trainer.evidence import repeated  # noqa: PLC0415 - as above

    of_source = f"{late.first} rows of the source and " if late.first else ""
    twice = repeated(reading, late.first)
    same = f", {twice} of them repeat rows of the source" if twice else ""
    return f"learned from {of_source}{len(late.shares)} requests{same}{unknown}{cut}"


def _lineage(trained: Trained, dataset: Dataset, source_sha256: str | None) -> bytes:
    from refit_trainer.lineages import Lineage  # noqa: PLC0415 - with the numerical libraries

    split = trained.order.spec.data.split
    return (
        Lineage(
            seed=split.seed,
            test_percent=split.test_percent,
            source_sha256=source_sha256,
            source_split=dataset.source_split,
            window=trained.retraining.learned_window if trained.retraining is not None else None,
            algorithm=trained.winner.algorithm,
            parameters=trained.winner.parameters,
            rows=trained.rows,
        )
        .model_dump_json(by_alias=True, exclude_none=True)
        .encode()
    )


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
