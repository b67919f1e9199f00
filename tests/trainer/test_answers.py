from __future__ import annotations

import pytest

from refit.api.metrics import Metrics
from refit.api.results import (
    CandidateScore,
    CheckOutcome,
    Parity,
    Registered,
    TrainingOutcome,
    TrainingResult,
    decode_training,
    encode,
)
from refit_trainer.answers import cut, fitting

SHA = "f" * 64
LONG = TrainingResult(
    key="0123456789",
    outcome=TrainingOutcome.REGISTERED,
    reason="Registered",
    message="ä" * 1024,
    run_id="a" * 32,
    algorithm="LogisticRegression",
    metric="balanced_accuracy",
    value="0.123457",
    metrics=Metrics(**dict.fromkeys(("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss"), "0.123457")),
    rows=1_000_000,
    data_sha256=SHA,
    checks=tuple(CheckOutcome(name=f"expectations{n}"[:12], passed=n % 2 == 0, message="ü" * 256) for n in range(9)),
    candidates=tuple(CandidateScore(algorithm="LogisticRegression", mean="0.123457", deviation="0.0123457") for _ in range(16)),
    fit_seconds="12345.678",
    total_seconds="12345.678",
    registered=Registered(
        version=999999,
        artifact_uri="http://refit-mlflow.refit-system.svc.cluster.local:5000/api/2.0/mlflow-artifacts/artifacts/123/" + "a" * 32 + "/artifacts/model/model.onnx",
        artifact_sha256=SHA,
        golden_uri="http://refit-mlflow.refit-system.svc.cluster.local:5000/api/2.0/mlflow-artifacts/artifacts/123/" + "a" * 32 + "/artifacts/golden.json",
        golden_sha256=SHA,
        profile_uri="http://refit-mlflow.refit-system.svc.cluster.local:5000/api/2.0/mlflow-artifacts/artifacts/123/" + "a" * 32 + "/artifacts/profile.json",
        profile_sha256=SHA,
        parity=Parity(rows=100000, max_difference="2.98e-08", differing_labels=0),
    ),
)  # fmt: skip


def test_the_longest_result_fits_and_keeps_all_but_prose() -> None:
    short = fitting(LONG)
    assert decode_training(encode(short)) == short
    assert len(encode(short).encode()) <= 4096
    bare = {"message": "", "checks": ()}
    assert short.model_copy(update=bare) == LONG.model_copy(update=bare)
    assert [(c.name, c.passed) for c in short.checks] == [(c.name, c.passed) for c in LONG.checks]
    assert all(c.message for c in short.checks if not c.passed)


def test_a_short_result_is_left_alone() -> None:
    short = LONG.model_copy(update={"message": "good", "checks": ()})
    assert fitting(short) == short


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [("abc", 3, "abc"), ("abcdef", 5, "ab..."), ("ääää", 6, "ä..."), ("abc", 0, "")],
    ids=["what fits stays", "the end gives way to dots", "no character is cut in half", "nothing is left of it"],
)
def test_cut(text: str, limit: int, expected: str) -> None:
    assert cut(text, limit) == expected
