"""The typed result of a training, made to fit a termination message whatever it has to tell."""

from __future__ import annotations

from collections.abc import Callable

from refit.api.metrics import Metrics
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.results import (
    CandidateScore,
    CheckOutcome,
    Registered,
    ResultTooLongError,
    TrainingOutcome,
    TrainingResult,
    encode,
)
from refit_trainer.checked import DataRefusedError
from refit_trainer.errors import RefusedError, ShadowFailedError
from refit_trainer.trainings import Trained


def answered(
    trained: Trained, registered: Registered | None, *, run_id: str | None, total_seconds: float
) -> TrainingResult:
    """The result of a training that ended in a model; `registered` is None where it was not to be."""
    outcome = trained.outcome
    return TrainingResult(
        key=trained.order.key,
        outcome=outcome,
        reason=outcome.value,
        message=_told(trained)[:1024],
        run_id=run_id,
        algorithm=trained.winner.algorithm,
        metric=trained.metric,
        value=_number(trained.value),
        metrics=Metrics(**{metric.value: _number(value) for metric, value in trained.metrics.items()}),
        rows=trained.rows,
        data_sha256=trained.data_sha256,
        checks=trained.checks,
        candidates=tuple(
            CandidateScore(algorithm=told.algorithm, mean=_number(told.mean), deviation=_number(told.deviation))
            for told in trained.candidates
        ),
        fit_seconds=_number(round(trained.fit_seconds, 3)),
        total_seconds=_number(round(total_seconds, 3)),
        registered=registered,
        comparison=trained.contest.comparison if trained.contest is not None else None,
        shadow=trained.shadow,
    )


def _told(trained: Trained) -> str:
    told = f"{trained.winner.label}: {trained.metric} {trained.value:.4g} on {trained.held_out} held-out rows"
    contest = trained.contest.told if trained.contest is not None else ""
    missed = trained.missed_bound()
    if missed is not None:
        parts = [missed, f"best candidate {trained.winner.label}", contest]
    elif trained.outcome is TrainingOutcome.CHAMPION_KEPT:
        parts = [contest, told]
    else:
        parts = [told, contest]
    return "; ".join(part for part in (*parts, trained.learned_from) if part)


def refused(
    error: RefusedError, *, key: str, spec: ModelDeploymentSpec | None, data_sha256: str | None, total_seconds: float
) -> TrainingResult:
    """The result of a training that must not end in a model."""
    found = error if isinstance(error, DataRefusedError) else None
    failed = error if isinstance(error, ShadowFailedError) else None
    return TrainingResult(
        key=key,
        outcome=TrainingOutcome.REFUSED,
        reason=error.reason,
        message=error.message[:1024],
        metric=spec.training.selection.metric.value if spec is not None else "",
        rows=found.rows if found else failed.rows if failed else 0,
        data_sha256=data_sha256,
        checks=found.checks if found else (),
        total_seconds=_number(round(total_seconds, 3)),
        shadow=failed.shadow if failed else None,
    )


def fitting(result: TrainingResult) -> TrainingResult:
    """The result, with less and less prose until it fits; what a machine reads is never dropped."""
    for shorter in (_same, *SHORTER):
        result = shorter(result)
        try:
            encode(result)
        except ResultTooLongError:
            continue
        return result
    raise ResultTooLongError("the result does not fit even without prose")


def _number(value: float) -> str:
    return f"{value:.6g}"


def _same(result: TrainingResult) -> TrainingResult:
    return result


def _checks_cut(limit: int, *, passed: bool) -> Callable[[TrainingResult], TrainingResult]:
    """The messages of the checks that passed, or failed, cut to a length."""

    def shorter(result: TrainingResult) -> TrainingResult:
        checks = tuple(
            CheckOutcome(name=check.name, passed=check.passed, message=cut(check.message, limit))
            if check.passed is passed
            else check
            for check in result.checks
        )
        return result.model_copy(update={"checks": checks})

    return shorter


def _message_cut(limit: int) -> Callable[[TrainingResult], TrainingResult]:
    def shorter(result: TrainingResult) -> TrainingResult:
        return result.model_copy(update={"message": cut(result.message, limit)})

    return shorter


def cut(text: str, limit: int) -> str:
    """The beginning of the text, at most `limit` bytes of UTF-8."""
    raw = text.encode()
    return text if len(raw) <= limit else raw[: max(limit - 3, 0)].decode(errors="ignore") + "..." * (limit >= 3)  # noqa: PLR2004 - three dots


SHORTER = (
    _checks_cut(96, passed=True),
    _message_cut(512),
    _checks_cut(0, passed=True),
    _checks_cut(128, passed=False),
    _message_cut(200),
    _checks_cut(40, passed=False),
)
"""What is given up, least missed first."""
