"""What a model file says of itself: its inputs by name, its classes, and requests with known answers.

The signature travels inside the ONNX file (metadata key `refit.signature`), so that the file's one
digest covers it. The golden request lies beside the file in MLflow; its rows are made up from the
training data's quartiles and most frequent categories, so that no row of data leaves the store.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from refit.api.base import ApiModel, ColumnName, Word
from refit.api.dataspec import ColumnType
from refit.api.modeldeployment import Task

SIGNATURE_KEY = "refit.signature"
LABEL_OUTPUT = "label"
PROBABILITIES_OUTPUT = "probabilities"
PREDICTION_OUTPUT = "prediction"


class InputColumn(ApiModel):
    """One input: a float32 tensor [rows, 1] for Number (NaN = missing), a string tensor for Category ("" = missing).

    `nullable` says whether a request may leave the value out or send null. For a Category,
    `categories` are the values seen in training; others are accepted and count as none of them.
    """

    name: ColumnName
    type: ColumnType
    nullable: bool = True
    categories: Annotated[tuple[str, ...], Field(max_length=1024)] = ()


class Signature(ApiModel):
    """Inputs in the order that arrays are read in, and the outputs' meaning.

    Classification answers `label` [rows] (int64 index into `classes`) and `probabilities`
    [rows, classes] (float32); Regression answers `prediction` [rows, 1] (float32).
    """

    task: Task
    target: ColumnName
    inputs: Annotated[tuple[InputColumn, ...], Field(min_length=1, max_length=512)]
    classes: Annotated[tuple[Word, ...], Field(max_length=1024)] = ()


class Golden(ApiModel):
    """Rows to ask and what the fitted model answers: probabilities per class, or one prediction, per row."""

    rows: Annotated[tuple[dict[str, float | str | None], ...], Field(min_length=1, max_length=8)]
    answers: Annotated[tuple[tuple[float, ...], ...], Field(min_length=1, max_length=8)]
    tolerance: float
