"""V2 bodies that are refused, each with the field that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from predictor_process import ask
from refit_predictor.desk import Desk

AGE = {"name": "age", "shape": [2], "datatype": "FP32", "data": [41, 62]}
SEX = {"name": "sex", "shape": [2], "datatype": "BYTES", "data": ["f", "m"]}


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
