"""One training from bytes to a judged model: read, check, prepare, compare, fit, export, prove, tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from refit.api import jobs
from refit.api.confusion import CONFUSION_FILE
from refit.api.metrics import Metric
from refit.api.profile import PROFILE_FILE
from refit.api.results import CheckOutcome, Parity, TrainingOutcome
from refit.api.signature import Signature
from refit_trainer.checked import checked
from refit_trainer.errors import RefusedError
from refit_trainer.orders import Order
from refit_trainer.progress import Report
from refit_trainer.sources import Fetched

if TYPE_CHECKING:
    from refit.api.outcome import Shadow
    from refit_trainer.choices import Scored
    from refit_trainer.comparisons import Contest
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
    found = checked(order, fetched, report, retraining)
    reading, outcomes = found.reading, found.outcomes

    # From here on the numerical libraries are needed; bad data has been turned away without them.
    from refit_trainer import (  # noqa: PLC0415
        algorithms,
        challenges,
        choices,
        datasets,
        exports,
        lineages,
        pipelines,
        plots,
        profiles,
        scores,
    )
    from refit_trainer.cards import card  # noqa: PLC0415
    from refit_trainer.importances import importances  # noqa: PLC0415
    from refit_trainer.leaks import suspicion  # noqa: PLC0415

    combinations = algorithms.combinations(spec.training.candidates, spec.task)
    dataset = datasets.prepare(reading, spec, found.late)
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
    contest, shadow = challenges.against_champion(retraining, served, dataset, order, source_sha256)
    if contest is not None:
        report("compared", better=contest.better, told=contest.told)
    golden_rows = profiles.golden_rows(dataset)
    golden = profiles.golden(golden_rows, pipelines.outputs(model, dataset, golden_rows))
    trained = Trained(
        order=order,
        data_sha256=found.data_sha256,
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
        learned_from=challenges.learned_from(found, retraining),
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
    confusion = plots.confusion(picture)
    if confusion is not None:
        trained.files[CONFUSION_FILE] = confusion.model_dump_json().encode()
    trained.files.update(
        {
            "model_card.md": card(trained, mattering).encode(),
            jobs.GOLDEN_FILE: golden.model_dump_json(by_alias=True).encode(),
            PROFILE_FILE: profiles.profile(
                dataset,
                answers,
                measured,
                spec.data.columns,
                spec.monitoring.segment_column if spec.monitoring is not None else None,
            )
            .model_dump_json(by_alias=True, exclude_none=True)
            .encode(),
            lineages.LINEAGE_FILE: challenges.lineage(trained, dataset, source_sha256),
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
