"""Specs for the real cluster: small, so that a training takes seconds."""

from __future__ import annotations

from typing import Any

HEART = "sample://heart-disease"
RECORD = {
    "age": 63, "sex": 1, "cp": 1, "trestbps": 145, "chol": 233, "fbs": 1, "restecg": 2,
    "thalach": 150, "exang": 0, "oldpeak": 2.3, "slope": 3, "ca": 0, "thal": 6,
}  # fmt: skip


def heart(
    *, data: dict[str, Any] | None = None, serving: dict[str, Any] | None = None, **training: Any
) -> dict[str, Any]:
    """The heart disease sample with one quick candidate; fields of its parts replaced."""
    found: dict[str, Any] = {
        "data": {"source": {"uri": HEART}, "target": {"column": "num", "positiveWhen": "> 0"}} | (data or {}),
        "training": {
            "candidates": [{"algorithm": "LogisticRegression"}],
            "folds": 2,
            "selection": {"metric": "f1", "minimum": "0.6"},
        }
        | training,
    }
    return found | ({"serving": serving} if serving else {})


SLOW = [{"algorithm": "RandomForest", "parameters": {"n_estimators": "5000"}}]
"""Candidates that train for minutes."""
