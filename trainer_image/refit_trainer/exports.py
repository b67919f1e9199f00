"""The exported model: one ONNX file with preprocessing, estimator and signature, and the proof that it answers alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
from numpy.typing import NDArray
from onnx import TensorProto
from sklearn.pipeline import Pipeline

from refit.api.dataspec import ColumnType
from refit.api.results import Parity
from refit.api.signature import (
    LABEL_OUTPUT,
    PREDICTION_OUTPUT,
    PROBABILITIES_OUTPUT,
    SIGNATURE_KEY,
    InputColumn,
    Signature,
)
from refit_trainer.algorithms import Combination
from refit_trainer.datasets import Dataset
from refit_trainer.errors import RefusedError
from refit_trainer.onnx_estimators import estimate
from refit_trainer.onnx_features import features
from refit_trainer.onnx_graph import OWN, Graph
from refit_trainer.pipelines import outputs
from refit_trainer.scores import number

TOLERANCE = 1e-4
"""Largest difference of a probability, or relative difference of a prediction, that counts as alike."""
UNKNOWN_CATEGORY = "\N{REPLACEMENT CHARACTER} unknown"
_TAKEN = (LABEL_OUTPUT, PROBABILITIES_OUTPUT, PREDICTION_OUTPUT)


@dataclass(frozen=True)
class Exported:
    """The bytes of the ONNX file and what it says of itself."""

    content: bytes
    signature: Signature


def signature_of(dataset: Dataset) -> Signature:
    """What the model takes and answers; categories are those that training rows hold."""
    return Signature(
        task=dataset.task,
        target=dataset.target,
        inputs=tuple(
            InputColumn(
                name=column.name,
                type=column.type,
                nullable=column.nullable,
                categories=()
                if column.type is ColumnType.NUMBER
                else tuple(sorted(set(dataset.training.frame[column.name]) - {""})),
            )
            for column in dataset.inputs
        ),
        classes=dataset.classes,
    )


def export(fitted: Pipeline, dataset: Dataset, combination: Combination) -> Exported:
    """The ONNX file of a fitted pipeline."""
    for column in dataset.inputs:
        if column.name in _TAKEN or column.name.startswith(OWN):
            raise RefusedError(
                "NameTaken", f"column {column.name!r} has the name of one of the model's outputs; rename it"
            )
    graph = Graph()
    matrix = features(graph, fitted, dataset)
    answers = estimate(graph, matrix, combination.algorithm, fitted.named_steps["model"], len(dataset.classes))
    if dataset.classes:
        graph.output(graph.add("ArgMax", answers, axis=1, keepdims=0), LABEL_OUTPUT, TensorProto.INT64, [None])
        graph.output(answers, PROBABILITIES_OUTPUT, TensorProto.FLOAT, [None, len(dataset.classes)])
    else:
        graph.output(answers, PREDICTION_OUTPUT, TensorProto.FLOAT, [None, 1])
    signature = signature_of(dataset)
    model = graph.model({SIGNATURE_KEY: signature.model_dump_json(by_alias=True)})
    return Exported(content=model.SerializeToString(deterministic=True), signature=signature)


class Served:
    """An exported model as a server would run it: from its bytes and raw rows alone."""

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.signature = Signature.model_validate_json(metadata[SIGNATURE_KEY])

    def answers(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Probabilities [rows, classes] or predictions [rows, 1]."""
        name = PROBABILITIES_OUTPUT if self.signature.classes else PREDICTION_OUTPUT
        (found,) = self._session.run([name], self._request(frame))
        return np.asarray(found, dtype=np.float64)

    def labels(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        (found,) = self._session.run([LABEL_OUTPUT], self._request(frame))
        return np.asarray(found, dtype=np.int64)

    def _request(self, frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
        return {
            column.name: frame[column.name]
            .to_numpy(dtype=np.float32 if column.type is ColumnType.NUMBER else object)
            .reshape(-1, 1)
            for column in self.signature.inputs
        }


def prove(fitted: Pipeline, served: Served, dataset: Dataset, seed: int) -> Parity:
    """How closely the exported model follows the fitted one; raises RefusedError where it does not.

    Asked are the held-out rows as they are, and the same rows with values taken out and categories that
    nobody has seen, all raw: neither side is handed what the other has prepared.
    """
    frame = pd.concat([dataset.held_out.frame, spoiled(dataset.held_out.frame, dataset, seed)], ignore_index=True)
    expected = outputs(fitted, dataset, frame)
    found = served.answers(frame)
    if not np.isfinite(found).all():
        odd = int((~np.isfinite(found)).any(axis=1).sum())
        raise RefusedError("ModelUnusable", f"the model answers NaN or infinity for {odd} of {len(frame)} rows")
    kept = found[: len(dataset.held_out)]
    if (np.ptp(kept, axis=0) == 0).all():
        raise RefusedError(
            "ModelUnusable", f"the model answers the same, {number(kept[0, -1])}, for all {len(kept)} held-out rows"
        )
    if dataset.classes:
        difference = float(np.abs(found - expected).max())
        top = np.sort(expected, axis=1)
        tied = top[:, -1] - top[:, -2] <= 2 * TOLERANCE
        differing = int(((served.labels(frame) != expected.argmax(axis=1)) & ~tied).sum())
    else:
        scale = np.maximum(np.abs(expected), float(np.abs(expected).mean()) or 1.0)
        difference = float((np.abs(found - expected) / scale).max())
        differing = 0
    parity = Parity(rows=len(frame), max_difference=f"{difference:.3g}", differing_labels=differing)
    if difference > TOLERANCE or differing:
        raise RefusedError(
            "ParityFailed",
            f"the exported model differs from the fitted one: by {difference:.3g} (limit {TOLERANCE:g}), "
            f"{differing} other labels on {len(frame)} rows",
        )
    return parity


def spoiled(frame: pd.DataFrame, dataset: Dataset, seed: int) -> pd.DataFrame:
    """The rows with a fifth of the values taken out, and a tenth of the categories ones nobody has seen."""
    random = np.random.default_rng(seed)
    columns = {}
    for column in dataset.inputs:
        values = frame[column.name].to_numpy(copy=True)
        chance = random.random(len(values))
        if column.type is ColumnType.NUMBER:
            values[chance < 0.2] = np.nan  # noqa: PLR2004 - as said
        else:
            values[chance < 0.2] = ""  # noqa: PLR2004 - as said
            values[chance > 0.9] = UNKNOWN_CATEGORY  # noqa: PLR2004 - as said
        columns[column.name] = values
    return pd.DataFrame(columns)
