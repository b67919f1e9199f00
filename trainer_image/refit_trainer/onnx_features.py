"""The preprocessing of a fitted pipeline as ONNX nodes: derived features, fills, scaling, one-hot columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto
from sklearn.pipeline import Pipeline

from refit.api.dataspec import ColumnType
from refit_trainer.datasets import Dataset
from refit_trainer.expressions import Constant, Reference, Tree, references
from refit_trainer.onnx_graph import ML_DOMAIN, Graph


def features(graph: Graph, fitted: Pipeline, dataset: Dataset) -> str:
    """The matrix that the estimator sees: float64 behind a scaler, else float32."""
    inputs = {
        column.name: graph.input(
            column.name, TensorProto.FLOAT if column.type is ColumnType.NUMBER else TensorProto.STRING
        )
        for column in dataset.inputs
    }
    parts: list[str] = []
    steps = fitted.named_steps["columns"].named_transformers_
    wide = False
    if "numbers" in steps:
        derived = {name: derive(graph, tree, inputs) for name, tree in dataset.derived.items()}
        numbers = [inputs[name] for name in dataset.numbers] + list(derived.values())
        filled = _filled(graph, graph.concatenated(numbers), steps["numbers"].named_steps["fill"].statistics_)
        wide = "scale" in steps["numbers"].named_steps
        if wide:
            scaler = steps["numbers"].named_steps["scale"]
            filled = graph.cast(filled, TensorProto.DOUBLE)
            filled = graph.add("Sub", filled, graph.constant(scaler.mean_.reshape(1, -1)))
            filled = graph.add("Div", filled, graph.constant(scaler.scale_.reshape(1, -1)))
        parts.append(filled)
    if "categories" in steps:
        fills = steps["categories"].named_steps["fill"].statistics_
        known = steps["categories"].named_steps["encode"].categories_
        for name, fill, categories in zip(dataset.categories, fills, known, strict=True):
            encoded = _encoded(graph, inputs[name], str(fill), [str(category) for category in categories])
            parts.append(graph.cast(encoded, TensorProto.DOUBLE) if wide else encoded)
    return graph.concatenated(parts)


def derive(graph: Graph, tree: Tree, inputs: dict[str, str]) -> str:
    """A derived feature, float32 [rows, 1], NaN where it is not a finite number."""
    wide = {name: graph.cast(inputs[name], TensorProto.DOUBLE) for name in sorted(references(tree))}
    narrow = graph.cast(_node(graph, tree, wide), TensorProto.FLOAT)
    odd = graph.add("Or", graph.add("IsNaN", narrow), graph.add("IsInf", narrow))
    return graph.add("Where", odd, graph.constant(np.array([[np.nan]], dtype=np.float32)), narrow)


def _node(graph: Graph, tree: Tree, columns: dict[str, str]) -> str:
    if isinstance(tree, Constant):
        return graph.constant(np.array([[tree.value]], dtype=np.float64))
    if isinstance(tree, Reference):
        return columns[tree.column]
    return NODES[tree.name](graph, *(_node(graph, operand, columns) for operand in tree.operands))


def _filled(graph: Graph, values: str, fills: np.ndarray) -> str:
    fill = graph.constant(np.asarray(fills, dtype=np.float32).reshape(1, -1))
    return graph.add("Where", graph.add("IsNaN", values), fill, values)


def _encoded(graph: Graph, values: str, fill: str, categories: list[str]) -> str:
    """One float32 column per category; a value that is none of them has zeros only."""
    places = {category: place for place, category in enumerate(categories)}
    keys = [*places, ""]
    index = graph.add(
        "LabelEncoder",
        values,
        domain=ML_DOMAIN,
        keys_strings=keys,
        values_int64s=[places.get(key or fill, -1) for key in keys],
        default_int64=-1,
    )
    same = graph.add("Equal", index, graph.constant(np.arange(len(categories), dtype=np.int64).reshape(1, -1)))
    return graph.cast(same, TensorProto.FLOAT)


def _plain(kind: str) -> Callable[..., str]:
    def node(graph: Graph, *operands: str) -> str:
        return graph.add(kind, *operands)

    return node


def _log1p(graph: Graph, value: str) -> str:
    return graph.add("Log", graph.add("Add", graph.constant(np.array([[1.0]])), value))


def _choose(kind: str) -> Callable[..., str]:
    """The smaller or larger of two; NaN if one is, as in numpy, which ONNX leaves open."""

    def node(graph: Graph, first: str, second: str) -> str:
        odd = graph.add("Or", graph.add("IsNaN", first), graph.add("IsNaN", second))
        return graph.add("Where", odd, graph.constant(np.array([[np.nan]])), graph.add(kind, first, second))

    return node


NODES: dict[str, Callable[..., str]] = {
    "add": _plain("Add"),
    "subtract": _plain("Sub"),
    "multiply": _plain("Mul"),
    "divide": _plain("Div"),
    "negative": _plain("Neg"),
    "abs": _plain("Abs"),
    "log": _plain("Log"),
    "log1p": _log1p,
    "sqrt": _plain("Sqrt"),
    "exp": _plain("Exp"),
    "min": _choose("Min"),
    "max": _choose("Max"),
}
"""Operation to its meaning in serving; `expressions.OPERATIONS` has its meaning in training."""
