"""V2 bodies in, V2 bodies out; HTTP has tests of its own."""

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


def refused(status: int, field: str, message: str) -> tuple[int, dict[str, Any]]:
    error = f"{field}: {message}" if field else message
    return status, {"error": error, "problems": [{"field": field, "message": message}], "id": "an-id"}


DATATYPES = "FP16, FP32, FP64, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOL, BYTES"


@pytest.mark.parametrize(
    ("changed", "status", "field", "message"),
    [
        pytest.param({"name": None}, 400, "inputs[0].name", "is missing", id="no name"),
        pytest.param({"name": 5}, 400, "inputs[0].name", "must be text, got 5", id="a number for a name"),
        pytest.param({"name": "cp"}, 422, "inputs[0].name", '"cp" is no input of the model', id="an unknown name"),
        pytest.param(
            {"shape": None}, 400, "inputs[0].shape", "must be an array of sizes such as [1, 1], got null", id="no shape"
        ),
        pytest.param(
            {"shape": []},
            400,
            "inputs[0].shape",
            "must be an array of sizes such as [1, 1], got an array of 0",
            id="a shape of no dimensions",
        ),
        pytest.param(
            {"shape": [-2]},
            400,
            "inputs[0].shape",
            "must be an array of sizes such as [1, 1], got an array of 1",
            id="a negative size",
        ),
        pytest.param(
            {"shape": [2.0]},
            400,
            "inputs[0].shape",
            "must be an array of sizes such as [1, 1], got an array of 1",
            id="a size with a point",
        ),
        pytest.param(
            {"shape": [True]},
            400,
            "inputs[0].shape",
            "must be an array of sizes such as [1, 1], got an array of 1",
            id="a truth for a size",
        ),
        pytest.param(
            {"shape": [3]},
            400,
            "inputs[0].data",
            "holds 2 values, but shape [3] holds 3",
            id="fewer values than the shape says",
        ),
        pytest.param(
            {"shape": [10**30]},
            400,
            "inputs[0].shape",
            "must be an array of sizes such as [1, 1], got an array of 1",
            id="a size beyond 64 bits",
        ),
        pytest.param(
            {"shape": [1, 2]},
            422,
            "inputs.age",
            "shape must be [rows] or [rows, 1], got [1, 2]",
            id="a row for a column",
        ),
        pytest.param(
            {"shape": [2, 1, 1]},
            422,
            "inputs.age",
            "shape must be [rows] or [rows, 1], got [2, 1, 1]",
            id="three dimensions",
        ),
        pytest.param(
            {"shape": [1], "data": [41]}, 422, "inputs.sex", "has 2 rows, but age has 1", id="tensors of two lengths"
        ),
        pytest.param(
            {"shape": [0], "data": []}, 422, "inputs.sex", "has 2 rows, but age has 0", id="no rows among others"
        ),
        pytest.param(
            {"data": [[41], [62]]},
            422,
            'inputs[0].data[0] ("age")',
            "an array of 1 does not fit datatype FP32",
            id="deeper than the shape",
        ),
        pytest.param(
            {"shape": [2, 1], "data": [[41, 42], [62, 63]]},
            400,
            "inputs[0].data",
            "is not nested as shape [2, 1] is",
            id="wider than the shape",
        ),
        pytest.param(
            {"shape": [2, 1], "data": [[41], 62]},
            400,
            "inputs[0].data",
            "is not nested as shape [2, 1] is",
            id="half nested",
        ),
        pytest.param({"data": None}, 400, "inputs[0].data", "is missing", id="no data"),
        pytest.param({"data": "AAAA"}, 400, "inputs[0].data", 'must be an array, got text "AAAA"', id="text for data"),
        pytest.param(
            {"data": None, "parameters": {"binary_data_size": 8}},
            400,
            "inputs[0]",
            "binary tensor data is not read here; send the data as JSON",
            id="binary data",
        ),
        pytest.param(
            {"data": None, "parameters": 5}, 400, "inputs[0].data", "is missing", id="parameters that are none"
        ),
        pytest.param(
            {"datatype": None}, 400, "inputs[0].datatype", f"must be one of {DATATYPES}, got null", id="no datatype"
        ),
        pytest.param(
            {"datatype": ["FP32"]},
            400,
            "inputs[0].datatype",
            f"must be one of {DATATYPES}, got an array of 1",
            id="an array for a datatype",
        ),
        pytest.param(
            {"datatype": "float"},
            400,
            "inputs[0].datatype",
            f'must be one of {DATATYPES}, got text "float"',
            id="an unknown datatype",
        ),
        pytest.param(
            {"datatype": "INT32", "data": [41.5, 62]},
            422,
            'inputs[0].data[0] ("age")',
            "41.5 does not fit datatype INT32",
            id="a fraction in whole numbers",
        ),
        pytest.param(
            {"datatype": "BOOL"},
            422,
            'inputs[0].data[0] ("age")',
            "41 does not fit datatype BOOL",
            id="a number in truths",
        ),
        pytest.param(
            {"data": [41, "62"]},
            422,
            'inputs[0].data[1] ("age")',
            'text "62" does not fit datatype FP32',
            id="text in numbers",
        ),
        pytest.param(
            {"data": [41, True]},
            422,
            'inputs[0].data[1] ("age")',
            "true does not fit datatype FP32",
            id="a truth in numbers",
        ),
        pytest.param(
            {"datatype": "BYTES", "data": ["41", "62"]},
            422,
            "inputs.age",
            "datatype BYTES is text, but the model asks for a number; FP32 will do",
            id="text for an input of numbers",
        ),
        pytest.param({"data": [41, None]}, 422, "inputs.age[1]", "must not be null", id="null where a value is needed"),
        pytest.param(
            {"data": [41, 1e39]},
            422,
            "inputs.age[1]",
            "1e+39 is beyond the range of a 32-bit number",
            id="a huge number",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(
    heart: Desk, changed: Any, status: int, field: str, message: str
) -> None:
    assert ask(heart.v2, {"inputs": [AGE | changed, SEX]}) == refused(status, field, message)


@pytest.mark.parametrize(
    ("body", "status", "field", "message"),
    [
        pytest.param({"inputs": [SEX]}, 422, "inputs.age", "is missing", id="an input left out"),
        pytest.param(
            {"inputs": [AGE, SEX, AGE]}, 400, "inputs[2].name", '"age" is given twice', id="an input given twice"
        ),
        pytest.param({"inputs": []}, 400, "inputs", "must be an array of tensors, got an array of 0", id="no tensors"),
        pytest.param(
            {"inputs": AGE},
            400,
            "inputs",
            "must be an array of tensors, got an object",
            id="a tensor without an array around it",
        ),
        pytest.param({"instances": []}, 400, "inputs", "is missing", id="V1 sent to V2"),
        pytest.param({"inputs": [5]}, 400, "inputs[0]", "must be a tensor, got 5", id="a number for a tensor"),
        pytest.param(
            [], 400, "", 'the body must be an object with "inputs", got an array of 0', id="an array for a body"
        ),
        pytest.param(
            {"inputs": [AGE, SEX], "id": 5},
            400,
            "id",
            "must be text of at most 256 characters, got 5",
            id="a number for an id",
        ),
        pytest.param(
            {"inputs": [AGE, SEX], "outputs": {}},
            400,
            "outputs",
            "must be an array, got an object",
            id="outputs that are no array",
        ),
        pytest.param(
            {"inputs": [AGE, SEX], "outputs": [5]},
            400,
            "outputs[0].name",
            "must be text",
            id="an output that is no object",
        ),
        pytest.param(
            {"inputs": [AGE, SEX], "outputs": [{"name": "margin"}]},
            422,
            "outputs[0].name",
            '"margin" is none of label, probabilities',
            id="an unknown output",
        ),
        pytest.param(
            {"inputs": [{"name": "all", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]},
            422,
            "inputs",
            "the model has text inputs: give one tensor [rows] or [rows, 1] for each input",
            id="a matrix for a model that asks for words",
        ),
        pytest.param(
            {"inputs": [{"name": "age", "shape": [51], "datatype": "FP32", "data": [1] * 51}]},
            413,
            "",
            "51 rows are more than the 50 that one request may hold",
            id="more rows than are allowed",
        ),
        pytest.param(
            {"inputs": [AGE | {"shape": [0], "data": []}]},
            400,
            "inputs.age",
            "must hold at least one row",
            id="no rows",
        ),
    ],
)
def test_a_body_that_does_not_fit_is_refused(heart: Desk, body: Any, status: int, field: str, message: str) -> None:
    assert ask(heart.v2, body) == refused(status, field, message)


@pytest.mark.parametrize(
    ("changed", "status", "field", "message"),
    [
        pytest.param(
            {"shape": [3, 2]},
            422,
            "inputs[0].shape",
            "must be [rows, 3], one column per input, got [3, 2]",
            id="a matrix turned round",
        ),
        pytest.param(
            {"datatype": "BYTES", "data": list("abcdef")},
            422,
            "inputs[0].datatype",
            "BYTES is text, but the model asks for numbers; FP32 will do",
            id="a matrix of words",
        ),
        pytest.param(
            {"shape": [0, 3], "data": []},
            400,
            "inputs[0].shape",
            "must hold at least one row",
            id="a matrix of no rows",
        ),
        pytest.param(
            {"data": [1, 2, 3, 4, 5, 1e39]},
            422,
            "inputs[0].data[1][2] (x2)",
            "1e+39 is beyond the range of a 32-bit number",
            id="a huge number in a matrix",
        ),
    ],
)
def test_a_matrix_that_does_not_fit_is_refused(
    digits: Desk, changed: Any, status: int, field: str, message: str
) -> None:
    tensor = {"name": "all", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}
    assert ask(digits.v2, {"inputs": [tensor | changed]}) == refused(status, field, message)
