"""V1 bodies in, V1 bodies out; HTTP has tests of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from onnx_models import DIGITS, HEART, HOUSES, make
from predictor_process import MAX_ROWS, ask
from refit_predictor.desk import Desk

ROW = {"age": 41, "sex": "f", "chol": 200.5, "thal": "normal"}
OTHER = {"age": 62, "sex": "m", "chol": None, "thal": "6"}


def expected(*rows: dict[str, Any]) -> dict[str, Any]:
    """The whole answer, by the pipeline that the graph was made from."""
    frame = pd.DataFrame(rows, columns=["age", "sex", "chol", "thal"]).astype({"age": float, "chol": float})
    probabilities = make(HEART).pipeline.predict_proba(frame.fillna({"thal": ""}))
    return {
        "predictions": [
            {
                "label": HEART.classes[int(row.argmax())],
                "probabilities": pytest.approx(dict(zip(HEART.classes, row.tolist(), strict=True)), abs=1e-5),
            }
            for row in probabilities
        ],
        "model_name": "heart",
        "model_version": "7",
        "id": "an-id",
    }


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        pytest.param({"instances": [ROW, OTHER]}, [ROW, OTHER], id="records"),
        pytest.param({"instances": [dict(reversed(ROW.items()))]}, [ROW], id="records in another order"),
        pytest.param(
            {"instances": [list(ROW.values()), list(OTHER.values())]},
            [ROW, OTHER],
            id="arrays in the signature's order",
        ),
        pytest.param(
            {"inputs": {name: [ROW[name], OTHER[name]] for name in reversed(ROW)}}, [ROW, OTHER], id="a list per input"
        ),
        pytest.param(
            {"instances": [{"age": 41, "sex": "f"}]},
            [{"age": 41, "sex": "f", "chol": None, "thal": ""}],
            id="what may be missing is left out",
        ),
        pytest.param(
            {"inputs": {"age": [41, 42], "sex": ["f", "m"]}},
            [{"age": 41, "sex": "f"}, {"age": 42, "sex": "m"}],
            id="lists that may be missing are left out",
        ),
        pytest.param({"instances": [ROW | {"thal": ""}]}, [ROW | {"thal": ""}], id="an empty word is a missing one"),
        pytest.param({"instances": [ROW | {"sex": "x"}]}, [ROW | {"sex": "x"}], id="a word never seen in training"),
        pytest.param({"instances": [ROW | {"thal": 6}]}, [ROW | {"thal": "6"}], id="a code sent as a number"),
        pytest.param(
            {"instances": [ROW | {"thal": 6.0}]}, [ROW | {"thal": "6"}], id="a code sent as a number with a point"
        ),
        pytest.param(
            {"instances": [ROW | {"age": True}]}, [ROW | {"age": 1}], id="true where a number is asked for is 1"
        ),
        pytest.param({"instances": [ROW], "signature_name": "x"}, [ROW], id="other members of the body are no concern"),
        pytest.param({"instances": [ROW] * MAX_ROWS}, [ROW] * MAX_ROWS, id="as many rows as are allowed"),
    ],
)
def test_answers(heart: Desk, body: Any, rows: list[dict[str, Any]]) -> None:
    assert ask(heart.v1, body) == (200, expected(*rows))


def test_whole_number_classes_are_answered_as_numbers(digits: Desk) -> None:
    frame = make(DIGITS).frame.head(3)
    status, answer = ask(digits.v1, {"instances": frame.astype(float).to_numpy().tolist()})
    labels = [prediction["label"] for prediction in answer["predictions"]]
    assert (status, labels) == (200, make(DIGITS).pipeline.predict(frame).tolist())


def test_a_regression_is_answered_with_numbers(houses: Desk) -> None:
    frame = make(HOUSES).frame.head(3)
    answer = ask(houses.v1, {"instances": frame.astype(float).to_dict("records")})
    predictions = pytest.approx(make(HOUSES).pipeline.predict(frame).tolist(), rel=1e-5)
    assert answer == (200, {"predictions": predictions, "model_name": "heart", "model_version": "7", "id": "an-id"})


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        pytest.param({"age": None}, "instances[0].age", "must not be null", id="null where a value is needed"),
        pytest.param({"age": "41"}, "instances[0].age", 'must be a number, got text "41"', id="text in a number"),
        pytest.param({"age": ""}, "instances[0].age", 'must be a number, got text ""', id="empty text in a number"),
        pytest.param(
            {"age": [41]}, "instances[0].age", "must be a number, got an array of 1", id="an array in a number"
        ),
        pytest.param({"age": {}}, "instances[0].age", "must be a number, got an object", id="an object in a number"),
        pytest.param(
            {"age": 1e300}, "instances[0].age", "1e+300 is beyond the range of a 32-bit number", id="a huge number"
        ),
        pytest.param(
            {"age": -(10**60)},
            "instances[0].age",
            "-1e+60 is beyond the range of a 32-bit number",
            id="a huge whole number",
        ),
        pytest.param({"sex": None}, "instances[0].sex", "must not be null", id="null where a word is needed"),
        pytest.param({"sex": ""}, "instances[0].sex", "must not be empty", id="an empty word where one is needed"),
        pytest.param({"sex": ["f"]}, "instances[0].sex", "must be text, got an array of 1", id="an array in a word"),
        pytest.param({"thal": {"a": 1}}, "instances[0].thal", "must be text, got an object", id="an object in a word"),
        pytest.param({"cp": 1}, 'instances[0]."cp"', "is no input of the model", id="an input the model does not have"),
        pytest.param({"x" * 99: 1}, f'instances[0]."{"x" * 40}…"', "is no input of the model", id="a long name is cut"),
        pytest.param(
            {"thal": "y" * 99, "age": "y" * 99},
            "instances[0].age",
            f'must be a number, got text "{"y" * 40}…"',
            id="a long value is cut",
        ),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_the_field(heart: Desk, changed: Any, field: str, message: str) -> None:
    assert ask(heart.v1, {"instances": [ROW | changed]}) == refused(422, field, message)


def refused(status: int, field: str, message: str) -> tuple[int, dict[str, Any]]:
    error = f"{field}: {message}" if field else message
    return status, {"error": error, "problems": [{"field": field, "message": message}], "id": "an-id"}


@pytest.mark.parametrize(
    ("body", "status", "field", "message"),
    [
        pytest.param(
            {"instances": [ROW, {"sex": "f"}]}, 422, "instances[1].age", "is missing", id="a row without an input"
        ),
        pytest.param(
            {"instances": [[1, "f", 2]]},
            422,
            "instances[0]",
            "must hold 4 values (age, sex, chol, thal), got 3",
            id="a short array",
        ),
        pytest.param(
            {"instances": [list(ROW.values()), [1] * 5]},
            422,
            "instances[1]",
            "must hold 4 values (age, sex, chol, thal), got 5",
            id="a long array",
        ),
        pytest.param(
            {"instances": [[41, "f", "x", None]]},
            422,
            "instances[0][2] (chol)",
            'must be a number, got text "x"',
            id="a wrong value in an array",
        ),
        pytest.param(
            {"instances": [ROW, list(ROW.values())]},
            400,
            "instances",
            "must be all records or all arrays, not both",
            id="records and arrays",
        ),
        pytest.param(
            {"instances": [ROW, 5]}, 400, "instances[1]", "must be a record or an array, got 5", id="a number for a row"
        ),
        pytest.param(
            {"instances": [None]}, 400, "instances[0]", "must be a record or an array, got null", id="null for a row"
        ),
        pytest.param({"instances": []}, 400, "instances", "must hold at least one row", id="no rows"),
        pytest.param(
            {"instances": ROW},
            400,
            "instances",
            "must be an array, got an object",
            id="a record without an array around it",
        ),
        pytest.param({"instances": None}, 400, "instances", "must be an array, got null", id="null for rows"),
        pytest.param({"instance": [ROW]}, 400, "instances", "is missing", id="a misspelt body"),
        pytest.param(
            {"instances": [ROW], "inputs": {}},
            400,
            "",
            'give either "instances" or "inputs", not both',
            id="rows in two forms",
        ),
        pytest.param(
            {"inputs": [1]},
            400,
            "inputs",
            "must be an object with a list per input, got an array of 1",
            id="V2 sent to V1",
        ),
        pytest.param({"inputs": {"age": [1], "chol": [1]}}, 422, "inputs.sex", "is missing", id="a list left out"),
        pytest.param({"inputs": {}}, 400, "inputs", "must hold at least one input", id="no lists"),
        pytest.param({"inputs": {"age": 41}}, 400, "inputs.age", "must be an array, got 41", id="a number for a list"),
        pytest.param({"inputs": {"age": []}}, 400, "inputs.age", "must hold at least one value", id="an empty list"),
        pytest.param(
            {"inputs": {"age": [1, 2], "sex": ["f"]}},
            422,
            "inputs.sex",
            "must hold 2 values as age does, got 1",
            id="lists of two lengths",
        ),
        pytest.param(
            {"inputs": {"age": [1], "sex": []}},
            422,
            "inputs.sex",
            "must hold 1 values as age does, got 0",
            id="an empty list among others",
        ),
        pytest.param(
            {"inputs": {"age": [1], "sex": ["f"], "cp": [1]}},
            422,
            'inputs."cp"',
            "is no input of the model",
            id="a list the model does not know",
        ),
        pytest.param(
            {"inputs": {"age": [1, None], "sex": ["f", "m"]}},
            422,
            "inputs.age[1]",
            "must not be null",
            id="null in a list",
        ),
        pytest.param(
            [ROW],
            400,
            "",
            'the body must be an object with "instances", got an array of 1',
            id="rows without a body around them",
        ),
        pytest.param("null", 400, "", 'the body must be an object with "instances", got null', id="null for a body"),
        pytest.param(
            {"instances": [ROW] * (MAX_ROWS + 1)},
            413,
            "",
            "51 rows are more than the 50 that one request may hold",
            id="more rows than are allowed",
        ),
        pytest.param(
            {"instances": [[1]] * 1_000_000},
            413,
            "",
            "1000000 rows are more than the 50 that one request may hold",
            id="a million rows",
        ),
        pytest.param(
            {"inputs": {"age": [1] * 51}},
            413,
            "",
            "51 rows are more than the 50 that one request may hold",
            id="too long lists",
        ),
    ],
)
def test_a_body_that_does_not_fit_is_refused(heart: Desk, body: Any, status: int, field: str, message: str) -> None:
    assert ask(heart.v1, body) == refused(status, field, message)


def test_all_that_is_wrong_with_a_request_is_told_up_to_a_limit(heart: Desk) -> None:
    status, answer = ask(heart.v1, {"instances": [{"age": "x", "sex": None, "chol": "y"}] * 20})
    assert status == 422
    assert [problem["field"] for problem in answer["problems"]] == [f"instances[{row}].age" for row in range(8)]
    status, answer = ask(heart.v1, {"instances": [{"sex": None, "chol": "y"}]})
    assert answer["error"] == (
        'instances[0].age: is missing; instances[0].chol: must be a number, got text "y"; instances[0].sex: must not be null'
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="nothing"),
        pytest.param("{", id="half an object"),
        pytest.param('{"instances": [{"age": NaN, "sex": "f"}]}', id="NaN is no JSON"),
        pytest.param('{"instances": [{"age": Infinity, "sex": "f"}]}', id="Infinity is no JSON"),
        pytest.param('{"instances": [{"age": 1e999, "sex": "f"}]}', id="a number beyond 64 bits"),
        pytest.param("[" * 100_000 + "]" * 100_000, id="deep arrays"),
        pytest.param('{"a":' * 100_000 + "1" + "}" * 100_000, id="deep objects"),
        pytest.param('{"instances": [{"age": 1, "sex": "\\ud800"}]}', id="half a character"),
        pytest.param("age=41&sex=f", id="a form"),
        pytest.param("<instances/>", id="XML"),
    ],
)
def test_a_body_that_is_no_json_is_refused(heart: Desk, body: str) -> None:
    status, answer = ask(heart.v1, body)
    assert (status, answer["error"].split(": ")[0]) == (400, "the body is not JSON")


def test_a_row_without_a_finite_answer_is_refused(houses: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([[1.0], [np.inf]], dtype=np.float32)
    monkeypatch.setattr(houses._graph._runner, "run", lambda *_: [rows])
    assert ask(houses.v1, {"instances": [[1, 2], [3, 4]]}) == refused(
        422, "row 1", "the model has no finite answer for these values"
    )


def test_a_mistake_of_ours_is_logged_without_data_and_answered_without_a_traceback(
    houses: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("41, f, 200.5")

    monkeypatch.setattr(houses._graph._runner, "run", broken)
    assert ask(houses.v1, {"instances": [[1, 2]]}) == refused(500, "", "the predictor failed; its log says where")
    assert "inference an-id failed with KeyError at broken:" in caplog.text
    assert "200.5" not in caplog.text
