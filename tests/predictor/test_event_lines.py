"""Answered requests as the collector reads them; the type it reads them with is the judge."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from onnx_models import DIGITS, HEART, HOUSES
from refit.api.events import PredictionEvent
from refit.api.signature import InputColumn, Signature
from refit_predictor.event_lines import Lines
from refit_predictor.graph import Answers
from refit_predictor.intake import Intake, Rows

AT = 1_790_000_000.25
COMMON = {"id": "an-id", "version": 7, "time": "2026-09-21T14:13:20.250000Z", "latency": 1.5}
HEART_ANSWERS: dict[str, list[Any]] = {
    "classes": ["no", "yes"],
    "labels": ["yes", "no"],
    "probabilities": [[0.1, 0.9], [0.7, 0.3]],
}


def rows(signature: Signature, *records: dict[str, Any]) -> Rows:
    """Rows as either protocol reads them."""
    names = [column.name for column in signature.inputs]
    return Intake(signature).read([[record.get(name) for record in records] for name in names], len(records), place)


def place(row: int, at: int) -> str:
    return f"{row}, {at}"


def classes(signature: Signature, *probabilities: list[float]) -> Answers:
    values = np.array(probabilities, dtype=np.float32)
    return Answers(values, [], values.argmax(axis=1).tolist(), signature.classes)


def line(signature: Signature, asked: Rows, answers: Answers, *mask: str) -> dict[str, Any]:
    """The line as JSON, once the collector's type has taken it too."""
    written = Lines(signature, 7, frozenset(mask)).line(("an-id", AT, 0.0015, asked, answers, 100))
    assert written.endswith(b"}\n")
    assert written.count(b"\n") == 1
    PredictionEvent.model_validate_json(written, strict=False)
    found: dict[str, Any] = json.loads(written)
    return found


@pytest.mark.parametrize(
    ("asked", "mask", "inputs", "masked"),
    [
        pytest.param(
            [{"age": 41, "sex": "f", "chol": 0.1, "thal": "3"}, {"age": 62.5, "sex": "m"}],
            [],
            {"age": [41, 62.5], "chol": [0.1, None], "sex": ["f", "m"], "thal": ["3", None]},
            {},
            id="several rows, some values missing",
        ),
        pytest.param(
            [{"age": 41, "sex": 'a "b"\n%s ü', "chol": None, "thal": ""}],
            [],
            {"age": [41], "chol": [None], "sex": ['a "b"\n%s ü'], "thal": [None]},
            {},
            id="one row, a word of odd letters, nothing else",
        ),
        pytest.param(
            [{"age": 41, "sex": "f", "chol": 200, "thal": "3"}],
            ["age", "thal"],
            {"chol": [200], "sex": ["f"]},
            {"masked": ["age", "thal"]},
            id="one row with a number and a word masked",
        ),
        pytest.param(
            [{"age": 41, "sex": "f", "chol": 200}, {"age": 42, "sex": "m", "chol": 201}],
            ["chol"],
            {"age": [41, 42], "sex": ["f", "m"], "thal": [None, None]},
            {"masked": ["chol"]},
            id="several rows with a number masked",
        ),
        pytest.param(
            [{"age": 41, "sex": "f"}],
            ["age", "chol", "sex", "thal"],
            {},
            {"masked": ["age", "sex", "chol", "thal"]},
            id="everything masked",
        ),
    ],
)
def test_inputs(asked: list[dict[str, Any]], mask: list[str], inputs: dict[str, Any], masked: dict[str, Any]) -> None:
    answers = classes(HEART, *[[0.1, 0.9], [0.7, 0.3]][: len(asked)])
    wanted = {key: value if key == "classes" else value[: len(asked)] for key, value in HEART_ANSWERS.items()}
    found = line(HEART, rows(HEART, *asked), answers, *mask)
    assert found == {**COMMON, "rows": len(asked), "inputs": inputs, **masked, **wanted}


def test_a_regression_answers_predictions_in_the_shortest_text_of_their_32_bits() -> None:
    answers = Answers(np.array([0.1, 1e20], dtype=np.float32))
    found = line(HOUSES, rows(HOUSES, {"x0": 1, "x1": 2}, {"x0": 3.25, "x1": 4}), answers)
    wanted = {"rows": 2, "inputs": {"x0": [1, 3.25], "x1": [2, 4]}, "predictions": [0.1, 1e20]}
    assert found == COMMON | wanted


def test_labels_are_the_classes_as_text_also_where_clients_see_numbers() -> None:
    found = line(DIGITS, rows(DIGITS, {"x0": 1, "x1": 2, "x2": 3}), classes(DIGITS, [0.1, 0.1, 0.8]))
    assert (found["classes"], found["labels"]) == (["0", "1", "2"], ["2"])


def test_names_and_classes_need_not_be_words() -> None:
    odd = ('100 % "sure"', "%s", "%b]")
    signature = Signature(
        task=HEART.task,
        target="y",
        inputs=tuple(InputColumn(name=name, type=DIGITS.inputs[0].type) for name in odd),
        classes=("%d", '"'),
    )
    found = line(signature, rows(signature, dict.fromkeys(odd, 1)), classes(signature, [1.0, 0.0]), "%s")
    assert (found["inputs"], found["masked"], found["labels"]) == ({odd[0]: [1], odd[2]: [1]}, ["%s"], ["%d"])


def test_time_goes_on_over_the_second() -> None:
    lines = Lines(HOUSES, 7)
    asked, answers = rows(HOUSES, {"x0": 1, "x1": 2}), Answers(np.array([1], dtype=np.float32))
    written = [lines.line(("a", at, 0.0, asked, answers, 0)) for at in (AT, AT + 0.5, AT + 0.75, AT + 60)]
    assert [json.loads(each)["time"] for each in written] == [
        "2026-09-21T14:13:20.250000Z",
        "2026-09-21T14:13:20.750000Z",
        "2026-09-21T14:13:21.000000Z",
        "2026-09-21T14:14:20.250000Z",
    ]
