from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest

from refit.api.dataspec import DataFormat
from refit.api.modeldeployment import Algorithm, Task
from refit.api.signature import Signature
from refit_trainer import datasets, exports, pipelines
from refit_trainer.algorithms import ALGORITHMS, combinations
from refit_trainer.columns import read
from refit_trainer.errors import RefusedError
from refit_trainer.onnx_estimators import ESTIMATORS, rounded_down
from refit_trainer.tables import read_table

SMALL = {
    Algorithm.LOGISTIC_REGRESSION: {},
    Algorithm.LINEAR_REGRESSION: {},
    Algorithm.RANDOM_FOREST: {"n_estimators": "15"},
    Algorithm.XGBOOST: {"n_estimators": "15"},
    Algorithm.LIGHTGBM: {"n_estimators": "15", "min_child_samples": "5"},
}
FEATURES = [
    {"name": "dose_per_age", "expression": "dose / age"},
    {"name": "steep", "expression": "log(dose) - min(age, 60) / sqrt(abs(dose))"},
]
CASES = [
    pytest.param(algorithm, shape, id=f"{algorithm} of {shape}")
    for algorithm, kind in ALGORITHMS.items()
    for shape in ("two classes", "three classes", "numbers")
    if (Task.REGRESSION if shape == "numbers" else Task.CLASSIFICATION) in kind.estimators
]


def gaps(made: Any, rows: int = 240) -> bytes:
    """Patients with holes in a number and a category column, and doses below zero."""
    table = made.patients(rows=rows)
    for row in range(0, rows, 9):
        table["dose"][row] = None
        table["smoker"][row + 1] = None
    table["dose"][3], table["dose"][5] = -1.25, 0
    return bytes(made.csv(table))


def trained(made: Any, algorithm: Algorithm, shape: str, **parameters: str) -> tuple[Any, datasets.Dataset, Any]:
    changes = {"two classes": {}, "three classes": made.stages, "numbers": made.regression}[shape]
    candidate = {"algorithm": algorithm.value, "parameters": SMALL[algorithm] | parameters}
    order = made.order(**changes | {"spec__data__features": FEATURES, "spec__training__candidates": [candidate]})
    spec = order.spec
    dataset = datasets.prepare(read(read_table(gaps(made), DataFormat.CSV), spec.data), spec)
    (combination,) = combinations(spec.training.candidates, spec.task)
    unfitted = pipelines.pipeline(combination, dataset, spec.data.cleaning.missing.strategy, jobs=1, seed=1)
    return pipelines.fitted(unfitted, dataset.training, dataset, combination), dataset, combination


@pytest.mark.parametrize(("algorithm", "shape"), CASES)
def test_the_exported_model_answers_as_the_fitted_one(made: Any, algorithm: Algorithm, shape: str) -> None:
    model, dataset, combination = trained(made, algorithm, shape)
    exported = exports.export(model, dataset, combination)
    onnx.checker.check_model(exported.content, full_check=True)
    served = exports.Served(exported.content)
    parity = exports.prove(model, served, dataset, seed=1)
    assert (parity.rows, parity.differing_labels) == (2 * len(dataset.held_out), 0)
    assert float(parity.max_difference) < 2e-6
    # Every training row too, each of which lies on the edge of some tree's threshold.
    expected, found = pipelines.outputs(model, dataset, dataset.training.frame), served.answers(dataset.training.frame)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-6 * max(1.0, np.abs(expected).mean()))
    assert served.signature == exported.signature


@pytest.mark.parametrize(
    ("algorithm", "parameters"),
    [
        pytest.param(Algorithm.LIGHTGBM, {"boosting_type": "dart"}, id="LightGBM that drops trees"),
        pytest.param(Algorithm.LIGHTGBM, {"boosting_type": "rf", "subsample": "0.5", "subsample_freq": "1"},
                     id="LightGBM that averages trees"),
        pytest.param(Algorithm.LIGHTGBM, {"class_weight": "balanced", "num_leaves": "2"}, id="LightGBM with weights"),
        pytest.param(Algorithm.XGBOOST, {"scale_pos_weight": "3", "max_depth": "1"}, id="XGBoost with weights"),
        pytest.param(Algorithm.XGBOOST, {"num_parallel_tree": "3", "subsample": "0.7"}, id="XGBoost of forests"),
        pytest.param(Algorithm.RANDOM_FOREST, {"class_weight": "balanced", "criterion": "entropy"}, id="a forest with weights"),
        pytest.param(Algorithm.RANDOM_FOREST, {"max_depth": "1"}, id="a forest of stumps"),
        pytest.param(Algorithm.LOGISTIC_REGRESSION, {"solver": "liblinear", "C": "100"}, id="another solver"),
        pytest.param(Algorithm.LOGISTIC_REGRESSION, {"fit_intercept": "false"}, id="no intercept"),
    ],
)  # fmt: skip
def test_parameters_are_exported_too(made: Any, algorithm: Algorithm, parameters: dict[str, str]) -> None:
    model, dataset, combination = trained(made, algorithm, "two classes", **parameters)
    served = exports.Served(exports.export(model, dataset, combination).content)
    assert float(exports.prove(model, served, dataset, seed=1).max_difference) < 2e-6


def test_inputs_are_the_raw_columns_and_outputs_are_named(made: Any) -> None:
    model, dataset, combination = trained(made, Algorithm.RANDOM_FOREST, "two classes")
    graph = onnx.load_from_string(exports.export(model, dataset, combination).content).graph
    told = {
        value.name: (value.type.tensor_type.elem_type, len(value.type.tensor_type.shape.dim))
        for value in (*graph.input, *graph.output)
    }
    number, text, integer = onnx.TensorProto.FLOAT, onnx.TensorProto.STRING, onnx.TensorProto.INT64
    assert told == {
        "age": (number, 2), "dose": (number, 2), "site": (text, 2), "smoker": (text, 2),
        "label": (integer, 1), "probabilities": (number, 2),
    }  # fmt: skip


def test_the_signature_lists_what_training_rows_hold(made: Any) -> None:
    model, dataset, combination = trained(made, Algorithm.LOGISTIC_REGRESSION, "three classes")
    found = exports.export(model, dataset, combination).signature
    assert found == Signature.model_validate(
        {
            "task": "Classification",
            "target": "stage",
            "inputs": [
                {"name": "age", "type": "Number"},
                {"name": "dose", "type": "Number"},
                {"name": "site", "type": "Category", "categories": ["east", "north", "south"]},
                {"name": "smoker", "type": "Category", "categories": ["no", "yes"]},
            ],
            "classes": ["0", "1", "2"],
        }
    )


def test_training_twice_gives_the_same_bytes(made: Any) -> None:
    for algorithm in (Algorithm.RANDOM_FOREST, Algorithm.XGBOOST, Algorithm.LIGHTGBM, Algorithm.LOGISTIC_REGRESSION):
        first, second = (
            exports.export(*trained(made, algorithm, "two classes")).content for _ in range(2)
        )  # fmt: skip
        assert first == second


class Wrong:
    """A server that answers something else."""

    def __init__(self, served: exports.Served, change: Any) -> None:
        self._served, self._change = served, change

    def answers(self, frame: pd.DataFrame) -> Any:
        return self._change(self._served.answers(frame))

    def labels(self, frame: pd.DataFrame) -> Any:
        return self.answers(frame).argmax(axis=1)


@pytest.mark.parametrize(
    ("shape", "change", "reason", "said"),
    [
        pytest.param("two classes", lambda a: np.clip(a + np.array([0.01, -0.01]), 0, 1), "ParityFailed", "by 0.01", id="probabilities that differ"),
        pytest.param("two classes", lambda a: a[:, ::-1], "ParityFailed", "other labels on 96 rows", id="labels that differ"),
        pytest.param("numbers", lambda a: a * 1.001, "ParityFailed", "limit 0.0001", id="predictions that differ"),
        pytest.param("numbers", lambda a: a * np.nan, "ModelUnusable", "NaN or infinity for 96 of 96 rows", id="no number"),
        pytest.param("numbers", lambda a: a * 0 + 7, "ModelUnusable", "answers the same, 7, for all 48 held-out rows", id="always the same"),
    ],
)  # fmt: skip
def test_what_is_not_proved_is_refused(made: Any, shape: str, change: Any, reason: str, said: str) -> None:
    algorithm = Algorithm.LINEAR_REGRESSION if shape == "numbers" else Algorithm.LOGISTIC_REGRESSION
    model, dataset, combination = trained(made, algorithm, shape)
    served = Wrong(exports.Served(exports.export(model, dataset, combination).content), change)
    with pytest.raises(RefusedError) as refused:
        exports.prove(model, served, dataset, seed=1)  # type: ignore[arg-type]  # a stand-in
    assert (refused.value.reason, said in refused.value.message) == (reason, True), refused.value.message


def test_a_column_may_not_be_named_as_an_output(made: Any) -> None:
    table = made.patients()
    table["label"] = table.pop("dose")
    order = made.order()
    dataset = datasets.prepare(read(read_table(made.csv(table), DataFormat.CSV), order.spec.data), order.spec)
    (combination,) = combinations(order.spec.training.candidates, order.spec.task)
    with pytest.raises(RefusedError, match="NameTaken: column 'label'"):
        exports.export(None, dataset, combination)


@pytest.mark.parametrize("threshold", [0.1, -0.1, 1e-35, 0.0, 3.5, 16777217.0])
def test_a_threshold_rounded_down_divides_32_bit_numbers_as_before(threshold: float) -> None:
    near = np.float32(threshold)
    for value in (near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))):
        assert (float(value) <= threshold) == (value <= np.float32(rounded_down(threshold)))


def test_every_algorithm_can_be_made_and_exported() -> None:
    assert set(ALGORITHMS) == set(ESTIMATORS) == set(Algorithm)
