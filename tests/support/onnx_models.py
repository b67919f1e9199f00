"""Small models exported as the contract of refit.api.signature says, without the trainer."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from onnx import StringStringEntryProto
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from refit.api.dataspec import ColumnType
from refit.api.modeldeployment import Task
from refit.api.signature import SIGNATURE_KEY, InputColumn, Signature

RESULT_NAMES = {
    Task.CLASSIFICATION: {"output_label": "label", "output_probability": "probabilities"},
    Task.REGRESSION: {"variable": "prediction"},
}


class Made(NamedTuple):
    """A model file, and the pipeline it was made from."""

    content: bytes
    signature: Signature
    pipeline: Any
    frame: pd.DataFrame

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def numbers(count: int) -> tuple[InputColumn, ...]:
    return tuple(InputColumn(name=f"x{at}", type=ColumnType.NUMBER) for at in range(count))


HEART = Signature(
    task=Task.CLASSIFICATION,
    target="disease",
    inputs=(
        InputColumn(name="age", type=ColumnType.NUMBER, nullable=False),
        InputColumn(name="sex", type=ColumnType.CATEGORY, nullable=False, categories=("f", "m")),
        InputColumn(name="chol", type=ColumnType.NUMBER),
        InputColumn(name="thal", type=ColumnType.CATEGORY, categories=("3", "6", "normal")),
    ),
    classes=("no", "yes"),
)
DIGITS = Signature(task=Task.CLASSIFICATION, target="digit", inputs=numbers(3), classes=("0", "1", "2"))
HOUSES = Signature(task=Task.REGRESSION, target="price", inputs=numbers(2))


@cache
def make(signature: Signature, trees: int = 10) -> Made:
    """A forest for the signature, fitted to made-up rows in which the first input matters."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            column.name: random.normal(50, 20, 400).astype(np.float32)
            if column.type is ColumnType.NUMBER
            else random.choice(column.categories, 400)
            for column in signature.inputs
        }
    )
    score = frame[signature.inputs[0].name].to_numpy() + random.normal(0, 5, 400)
    kinds = {kind: [c.name for c in signature.inputs if c.type is kind] for kind in ColumnType}
    encode = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median"), kinds[ColumnType.NUMBER]),
            ("words", OneHotEncoder(handle_unknown="ignore"), kinds[ColumnType.CATEGORY]),
        ]
    )
    if signature.classes:
        edges = np.quantile(score, np.linspace(0, 1, len(signature.classes) + 1)[1:-1])
        pipeline = make_pipeline(encode, RandomForestClassifier(trees, max_depth=8, random_state=0))
        pipeline.fit(frame, np.digitize(score, edges).astype(np.int64))
    else:
        pipeline = make_pipeline(encode, RandomForestRegressor(trees, max_depth=8, random_state=0))
        pipeline.fit(frame, score)
    return Made(export(pipeline, signature), signature, pipeline, frame)


def export(pipeline: Any, signature: Signature, written: str | None = None) -> bytes:
    """The pipeline as ONNX with `written`, or else the signature, in its metadata."""
    types = {ColumnType.NUMBER: FloatTensorType, ColumnType.CATEGORY: StringTensorType}
    model = to_onnx(
        pipeline,
        initial_types=[(column.name, types[column.type]([None, 1])) for column in signature.inputs],
        options={"zipmap": False} if signature.classes else None,
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    renamed = RESULT_NAMES[signature.task]
    for node in model.graph.node:
        node.output[:] = [renamed.get(name, name) for name in node.output]
        node.input[:] = [renamed.get(name, name) for name in node.input]
    for output in model.graph.output:
        output.name = renamed.get(output.name, output.name)
    value = signature.model_dump_json(by_alias=True) if written is None else written
    model.metadata_props.append(StringStringEntryProto(key=SIGNATURE_KEY, value=value))
    return bytes(model.SerializeToString())
