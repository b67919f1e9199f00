"""The fitted estimators as ONNX nodes: linear models as one product, every kind of tree as one ensemble node.

Thresholds are the delicate part. scikit-learn and LightGBM compare 32-bit values with 64-bit thresholds by
`<=`; rounding such a threshold down to 32 bits keeps every comparison as it was, rounding to the nearest
would not. XGBoost's thresholds are 32-bit already and its comparison is `<`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto

from refit.api.modeldeployment import Algorithm
from refit_trainer.onnx_graph import ML_DOMAIN, Graph


@dataclass
class Ensemble:
    """The arrays of one TreeEnsembleRegressor node."""

    targets: int
    nodes: dict[str, list[Any]] = field(
        default_factory=lambda: {
            name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
        }
    )
    leaves: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    )

    def split(self, tree: int, node: int, feature: int, threshold: float, mode: str, yes: int, no: int) -> None:
        self._node(tree, node, feature, threshold, mode, yes, no)

    def leaf(self, tree: int, node: int, weights: list[float], first_target: int = 0) -> None:
        self._node(tree, node, 0, 0.0, "LEAF", 0, 0)
        for target, weight in enumerate(weights, start=first_target):
            row = (tree, node, target, weight)
            for values, value in zip(self.leaves.values(), row, strict=True):
                values.append(value)

    def added_to(self, graph: Graph, matrix: str, base: list[float] | None = None) -> str:
        """The node; puts out [rows, targets]."""
        attributes = {f"nodes_{name}": values for name, values in self.nodes.items()}
        attributes |= {f"target_{name}": values for name, values in self.leaves.items()}
        if base is not None:
            attributes["base_values"] = base
        return graph.add("TreeEnsembleRegressor", matrix, domain=ML_DOMAIN, n_targets=self.targets, **attributes)

    def _node(self, *row: Any) -> None:
        for values, value in zip(self.nodes.values(), row, strict=True):
            values.append(value)


def rounded_down(threshold: float) -> float:
    """The largest 32-bit number that is not above the threshold."""
    narrow = np.float32(threshold)
    return float(np.nextafter(narrow, np.float32(-np.inf)) if float(narrow) > threshold else narrow)


def estimate(graph: Graph, matrix: str, algorithm: Algorithm, model: Any, classes: int) -> str:
    """The answers, float32: probabilities [rows, classes], or predictions [rows, 1] where there are no classes."""
    return ESTIMATORS[algorithm](graph, matrix, model, classes)


def _linear(graph: Graph, matrix: str, model: Any, classes: int) -> str:
    matrix = graph.cast(matrix, TensorProto.DOUBLE)
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64)).T
    raw = graph.add("MatMul", matrix, graph.constant(weights))
    raw = graph.add("Add", raw, graph.constant(np.asarray(model.intercept_, dtype=np.float64).reshape(1, -1)))
    return graph.cast(_linked(graph, raw, classes, np.float64), TensorProto.FLOAT)


def _linked(graph: Graph, raw: str, classes: int, kind: type) -> str:
    """Raw scores to what is answered: the same number, or probabilities."""
    if not classes:
        return raw
    if classes > 2:  # noqa: PLR2004 - two classes share one score
        return graph.add("Softmax", raw, axis=1)
    positive = graph.add("Sigmoid", raw)
    return graph.add(
        "Concat", graph.add("Sub", graph.constant(np.ones((1, 1), dtype=kind)), positive), positive, axis=1
    )


def _forest(graph: Graph, matrix: str, model: Any, classes: int) -> str:
    ensemble = Ensemble(targets=classes or 1)
    trees = len(model.estimators_)
    for number, member in enumerate(model.estimators_):
        tree = member.tree_
        values = tree.value[:, 0, :]
        if classes:
            values = values / values.sum(axis=1, keepdims=True)
        values = values / trees
        for node in range(tree.node_count):
            if tree.children_left[node] < 0:
                ensemble.leaf(number, node, values[node].tolist())
            else:
                ensemble.split(
                    number,
                    node,
                    int(tree.feature[node]),
                    rounded_down(float(tree.threshold[node])),
                    "BRANCH_LEQ",
                    int(tree.children_left[node]),
                    int(tree.children_right[node]),
                )
    return ensemble.added_to(graph, matrix)


def _xgboost(graph: Graph, matrix: str, model: Any, classes: int) -> str:
    learner = json.loads(bytes(model.get_booster().save_raw("json")))["learner"]
    booster = learner["gradient_booster"]["model"]
    scores = classes if classes > 2 else 1  # noqa: PLR2004 - two classes share one score
    ensemble = Ensemble(targets=scores)
    for number, (tree, target) in enumerate(zip(booster["trees"], booster["tree_info"], strict=True)):
        left, right = tree["left_children"], tree["right_children"]
        for node, threshold in enumerate(tree["split_conditions"]):
            if left[node] < 0:
                ensemble.leaf(number, node, [threshold], first_target=target)
            else:
                ensemble.split(
                    number, node, tree["split_indices"][node], threshold, "BRANCH_LT", left[node], right[node]
                )
    base = np.array(json.loads(learner["learner_model_param"]["base_score"]), dtype=np.float64).reshape(-1)
    if classes == 2:  # noqa: PLR2004 - of two classes the base is a probability, of more it is scores
        base = np.log(base) - np.log1p(-base)
    raw = ensemble.added_to(graph, matrix, base=np.broadcast_to(base, (scores,)).tolist())
    return _linked(graph, raw, classes, np.float32)


def _lightgbm(graph: Graph, matrix: str, model: Any, classes: int) -> str:
    dumped = model.booster_.dump_model()
    scores = int(dumped["num_tree_per_iteration"])
    ensemble = Ensemble(targets=scores)
    rounds = len(dumped["tree_info"]) / scores if dumped["average_output"] else 1.0
    for tree in dumped["tree_info"]:
        number = int(tree["tree_index"])
        for node, found, yes, no in _walked(tree["tree_structure"]):
            if yes is None or no is None:
                ensemble.leaf(number, node, [found["leaf_value"] / rounds], first_target=number % scores)
            else:
                ensemble.split(
                    number, node, found["split_feature"], rounded_down(found["threshold"]), "BRANCH_LEQ", yes, no
                )
    return _linked(graph, ensemble.added_to(graph, matrix), classes, np.float32)


def _walked(root: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any], int | None, int | None]]:
    """Every node with its own number and those of its children; without recursion, since a tree may be deep."""
    waiting, count = [(0, root)], 1
    while waiting:
        number, node = waiting.pop()
        if "left_child" in node:
            waiting += [(count, node["left_child"]), (count + 1, node["right_child"])]
            yield number, node, count, count + 1
            count += 2
        else:
            yield number, node, None, None


ESTIMATORS: dict[Algorithm, Callable[[Graph, str, Any, int], str]] = {
    Algorithm.LOGISTIC_REGRESSION: _linear,
    Algorithm.LINEAR_REGRESSION: _linear,
    Algorithm.RANDOM_FOREST: _forest,
    Algorithm.XGBOOST: _xgboost,
    Algorithm.LIGHTGBM: _lightgbm,
}
"""Algorithm to what writes it; a test holds it against the API's enum."""
