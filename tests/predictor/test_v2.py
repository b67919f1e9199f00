"""V2 bodies that are answered; those that are refused are next door, and HTTP has tests of its own."""

from __future__ import annotations

from typing import Any

import pytest

from onnx_models import DIGITS, HEART, HOUSES, make
from predictor_process import ask
from refit_predictor.desk import Desk

AGE = {"name": "age", "shape": [2], "datatype": "FP32", "data": [41, 62]}
SEX = {"name": "sex", "shape": [2], "datatype": "BYTES", "data": ["f", "m"]}
CHOL = {"name": "chol", "shape": [2, 1], "datatype": "FP64", "data": [200.5, None]}
THAL = {"name": "thal", "shape": [2, 1], "datatype": "BYTES", "data": [["normal"], ["6"]]}
ROWS = [[41, "f", 200.5, "normal"], [62, "m", None, "6"]]


def by_v1(desk: Desk, instances: list[Any]) -> dict[str, list[Any]]:
    """The outputs that V1 gives for the same rows; V1 is compared with the pipeline itself."""
    predictions = ask(desk.v1, {"instances": instances})[1]["predictions"]
    return {
        "label": [prediction["label"] for prediction in predictions],
        "probabilities": [p for prediction in predictions for p in prediction["probabilities"].values()],
    }


@pytest.mark.parametrize(
    ("inputs", "rows"),
    [
        pytest.param([AGE, SEX, CHOL, THAL], ROWS, id="a tensor per input, flat or nested"),
        pytest.param([THAL, CHOL, SEX, AGE], ROWS, id="tensors in another order"),
        pytest.param([AGE, SEX], [[41, "f", None, None], [62, "m", None, None]], id="what may be missing is left out"),
        pytest.param([AGE | {"datatype": "INT64"}, SEX, CHOL, THAL], ROWS, id="whole numbers for numbers"),
        pytest.param(
            [AGE | {"datatype": "BOOL", "data": [True, False]}, SEX],
            [[1, "f", None, None], [0, "m", None, None]],
            id="truth for numbers",
        ),
        pytest.param(
            [AGE, SEX, THAL | {"datatype": "INT32", "data": [3, 6]}],
            [[41, "f", None, "3"], [62, "m", None, "6"]],
            id="numbers for codes",
        ),
        pytest.param(
            [AGE, SEX | {"data": ["x", "y"]}],
            [[41, "x", None, None], [62, "y", None, None]],
            id="words never seen in training",
        ),
    ],
)
def test_answers(heart: Desk, inputs: list[Any], rows: list[Any]) -> None:
    wanted = by_v1(heart, rows)
    assert ask(heart.v2, {"inputs": inputs}) == (
        200,
        {
            "model_name": "heart",
            "model_version": "7",
            "id": "an-id",
            "outputs": [
                {"name": "label", "shape": [2], "datatype": "BYTES", "data": wanted["label"]},
                {"name": "probabilities", "shape": [2, 2], "datatype": "FP32", "data": wanted["probabilities"]},
            ],
        },
    )


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        pytest.param(None, ["label", "probabilities"], id="no wish"),
        pytest.param([], ["label", "probabilities"], id="an empty wish"),
        pytest.param(
            [{"name": "probabilities"}, {"name": "label"}], ["probabilities", "label"], id="in the order asked for"
        ),
        pytest.param([{"name": "label"}], ["label"], id="one only"),
        pytest.param([{"name": "label"}, {"name": "label"}], ["label"], id="one twice"),
    ],
)
def test_the_outputs_asked_for_are_answered(heart: Desk, outputs: Any, names: list[str]) -> None:
    status, answer = ask(heart.v2, {"inputs": [AGE, SEX], "outputs": outputs, "id": "mine"})
    assert (status, answer["id"], [output["name"] for output in answer["outputs"]]) == (200, "mine", names)


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]], ids=["flat", "nested"])
def test_a_model_of_numbers_takes_one_matrix(digits: Desk, data: list[Any]) -> None:
    tensor = {"name": "anything", "shape": [2, 3], "datatype": "FP32", "data": data}
    wanted = by_v1(digits, [[1, 2, 3], [4, 5, 6]])
    status, answer = ask(digits.v2, {"inputs": [tensor]})
    assert (status, answer["outputs"]) == (
        200,
        [
            {"name": "label", "shape": [2], "datatype": "INT64", "data": wanted["label"]},
            {"name": "probabilities", "shape": [2, 3], "datatype": "FP32", "data": wanted["probabilities"]},
        ],
    )


def test_a_regression_answers_one_number_per_row(houses: Desk) -> None:
    frame = make(HOUSES).frame.head(2)
    inputs = [{"name": name, "shape": [2], "datatype": "FP32", "data": frame[name].tolist()} for name in frame]
    wanted = pytest.approx(make(HOUSES).pipeline.predict(frame).tolist(), rel=1e-5)
    assert ask(houses.v2, {"inputs": inputs})[1]["outputs"] == [
        {"name": "prediction", "shape": [2], "datatype": "FP32", "data": wanted}
    ]


@pytest.mark.parametrize(
    ("desk", "inputs", "outputs"),
    [
        pytest.param(
            "heart",
            [("age", "FP32"), ("sex", "BYTES"), ("chol", "FP32"), ("thal", "BYTES")],
            [("label", "BYTES", [-1]), ("probabilities", "FP32", [-1, 2])],
            id="numbers and words",
        ),
        pytest.param(
            "digits",
            [("x0", "FP32"), ("x1", "FP32"), ("x2", "FP32")],
            [("label", "INT64", [-1]), ("probabilities", "FP32", [-1, 3])],
            id="classes that are whole numbers",
        ),
        pytest.param("houses", [("x0", "FP32"), ("x1", "FP32")], [("prediction", "FP32", [-1])], id="a regression"),
    ],
)
def test_metadata(desk: str, inputs: list[Any], outputs: list[Any], request: pytest.FixtureRequest) -> None:
    task = {"heart": HEART, "digits": DIGITS, "houses": HOUSES}[desk].task
    assert request.getfixturevalue(desk).metadata() == {
        "name": "heart",
        "versions": ["7"],
        "platform": "onnxruntime",
        "inputs": [{"name": name, "datatype": datatype, "shape": [-1, 1]} for name, datatype in inputs],
        "outputs": [{"name": name, "datatype": datatype, "shape": shape} for name, datatype, shape in outputs],
        "properties": {"sha256": "0" * 64, "task": str(task)},
    }
