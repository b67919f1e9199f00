from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from onnx_models import DIGITS, HEART, HOUSES, Made, export, make
from refit.api.modeldeployment import Task
from refit.api.signature import Signature
from refit_predictor.artifact import Unfit
from refit_predictor.graph import Graph, labels
from refit_predictor.intake import Intake


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(HEART, id="a classifier of numbers and words"),
        pytest.param(DIGITS, id="a classifier of three classes"),
        pytest.param(HOUSES, id="a regression"),
    ],
)
def test_the_graph_answers_as_the_pipeline_it_was_made_from(signature: Signature) -> None:
    made = make(signature)
    frame = made.frame.head(50)
    columns = [frame[column.name].tolist() for column in signature.inputs]
    answers = Graph(made.content).answer(Intake(signature).read(columns, len(frame), lambda *_: ""))
    expected = made.pipeline.predict_proba(frame) if signature.classes else made.pipeline.predict(frame)
    np.testing.assert_allclose(answers.values, expected, rtol=1e-5, atol=1e-6)
    if signature.classes:
        assert answers.positions == made.pipeline.predict(frame).tolist()
        assert answers.labels == [labels(signature)[at] for at in answers.positions or ()]


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(HEART, id="a model with words"),
        pytest.param(DIGITS, id="a classifier of numbers"),
        pytest.param(HOUSES, id="a regression of numbers"),
    ],
)
def test_a_row_asked_alone_from_any_thread_is_answered_as_among_others(signature: Signature) -> None:
    made, intake = make(signature), Intake(signature)
    graph = Graph(made.content)
    frame = made.frame.head(100).astype({c.name: object for c in signature.inputs})
    frame.iloc[::7, -1] = None
    rows = frame.to_numpy().tolist()

    def alone(row: list[Any]) -> Any:
        return graph.answer(intake.read([[value] for value in row], 1, lambda *_: "")).values[0]

    together = graph.answer(intake.read(list(zip(*rows, strict=True)), len(rows), lambda *_: "")).values
    with ThreadPoolExecutor(4) as threads:
        np.testing.assert_allclose(list(threads.map(alone, rows)), together, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        pytest.param(("no", "yes"), ["no", "yes"], id="words stay words"),
        pytest.param(("-1", "0", "1"), [-1, 0, 1], id="whole numbers become numbers"),
        pytest.param(("0", "1+"), ["0", "1+"], id="one word among them keeps them words"),
        pytest.param(("00", "01"), ["00", "01"], id="codes with leading zeros stay words"),
        pytest.param(("1", "1" * 20), ["1", "1" * 20], id="numbers beyond 64 bits stay words"),
    ],
)
def test_labels(classes: tuple[str, ...], expected: list[str | int]) -> None:
    assert labels(HEART.model_copy(update={"classes": classes})) == expected


def written(**changes: Any) -> str:
    return json.dumps(HEART.wire() | changes)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        pytest.param("not JSON", "refit.signature is not valid: the whole", id="a signature that is no JSON"),
        pytest.param(written(inputs=[]), "refit.signature is not valid: inputs", id="a signature without inputs"),
        pytest.param(written(classes=[]), "Classification with 0 classes", id="a classifier without classes"),
        pytest.param(
            written(inputs=[column.wire() for column in HEART.inputs[:-1]]),
            "input thal is not in the signature",
            id="an input that the signature does not know",
        ),
        pytest.param(
            written(inputs=[{"name": "oldpeak", "type": "Number"}, *(column.wire() for column in HEART.inputs)]),
            "input oldpeak is not in the graph",
            id="an input that the graph does not have",
        ),
        pytest.param(
            written(inputs=[{"name": column.name, "type": "Number"} for column in HEART.inputs]),
            "input sex is tensor(string), not tensor(float); input thal is tensor(string), not tensor(float)",
            id="inputs of other types",
        ),
        pytest.param(
            written(inputs=[column.wire() for column in (*HEART.inputs, HEART.inputs[0])]),
            "an input is named twice",
            id="an input named twice",
        ),
        pytest.param(
            written(task=str(Task.REGRESSION), classes=[]),
            "output prediction is not in the graph",
            id="another task than the graph's",
        ),
        pytest.param(
            written(classes=["a", "b", "c"]),
            "2 rows are answered by shapes [(2,), (2, 2)], not [(2,), (2, 3)]",
            id="another number of classes",
        ),
    ],
)
def test_a_graph_that_is_not_as_its_signature_says_is_not_served(metadata: str, message: str) -> None:
    content = export(make(HEART).pipeline, HEART, metadata)
    with pytest.raises(Unfit) as raised:
        Graph(content)
    assert str(raised.value) == f"SignatureMismatch: {message}"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x80\x04\x95not a graph", id="a pickle"),
        pytest.param(make(HEART).content[:2000], id="half a model"),
        pytest.param(b"\x00", id="one byte"),
    ],
)
def test_a_file_that_is_no_model_is_not_served(content: bytes) -> None:
    with pytest.raises(Unfit, match="SignatureMismatch: not an ONNX model: "):
        Graph(content)


def test_a_model_of_others_has_no_signature() -> None:
    made: Made = make(DIGITS)
    with pytest.raises(Unfit) as raised:
        Graph(made.content.replace(b"refit.signature", b"other.signature"))
    assert str(raised.value) == "SignatureMismatch: the model's metadata has no refit.signature"
