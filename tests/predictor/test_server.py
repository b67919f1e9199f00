"""The real server process, over HTTP: what it answers and what it counts."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from onnx_models import HEART, make

PREDICT = "/v1/models/heart:predict"
INFER = "/v2/models/heart/infer"
ROW = {"age": 41, "sex": "f"}
V1 = {"instances": [ROW]}
V2 = {
    "inputs": [
        {"name": "sex", "shape": [1], "datatype": "BYTES", "data": ["f"]},
        {"name": "age", "shape": [1, 1], "datatype": "INT64", "data": [41]},
    ]
}
JSON = {"content-type": "application/json"}
FRESH_ID = re.compile(r"[0-9a-f]{32}")


def test_v1_and_v2_answer_the_same(http: httpx.Client) -> None:
    v1, v2 = http.post(PREDICT, json=V1), http.post(INFER, json=V2)
    (prediction,) = v1.json()["predictions"]
    label, probabilities = v2.json()["outputs"]
    assert (v1.status_code, v2.status_code) == (200, 200)
    assert label["data"] == [prediction["label"]]
    assert probabilities["data"] == list(prediction["probabilities"].values())


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param("application/json; charset=utf-8", id="with a charset"),
        pytest.param('Application/JSON;charset="UTF-8"', id="in other letters"),
        pytest.param(None, id="none at all"),
    ],
)
def test_json_is_read_however_its_type_is_written(http: httpx.Client, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    assert http.post(PREDICT, content=json.dumps(V1), headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param({"ce-id": "abc-1", "x-request-id": "other"}, "abc-1", id="an event's id comes first"),
        pytest.param({"x-request-id": "9f/1:2"}, "9f/1:2", id="a proxy's id is taken"),
        pytest.param({"ce-id": "a b", "x-request-id": "ok"}, "ok", id="an id with a space is none"),
        pytest.param({"x-request-id": "x" * 129}, None, id="too long an id is none"),
        pytest.param({}, None, id="without an id there is a fresh one"),
    ],
)
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param(PREDICT, V1, 200, id="V1"),
        pytest.param(INFER, V2, 200, id="V2"),
        pytest.param(PREDICT, {}, 400, id="refused"),
        pytest.param("/nowhere", {}, 404, id="not found"),
    ],
)
def test_every_answer_has_an_inference_id_and_the_version(
    http: httpx.Client, path: str, body: Any, status: int, sent: dict[str, str], expected: str | None
) -> None:
    answer = http.post(path, json=body, headers=sent)
    given = answer.headers["refit-inference-id"]
    assert (answer.status_code, answer.headers["refit-model-version"]) == (status, "7")
    assert given == expected if expected else FRESH_ID.fullmatch(given)
    assert answer.json()["id"] == given


def test_v2_gives_the_id_of_the_body_back(http: httpx.Client) -> None:
    answer = http.post(INFER, json=V2 | {"id": "mine"})
    assert (answer.json()["id"], answer.headers["refit-inference-id"]) == ("mine", "mine")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("application/json", id="JSON"),
        pytest.param("Application/JSON; charset=utf-8", id="JSON in UTF-8"),
        pytest.param("application/x-www-form-urlencoded", id="what curl says when it is told nothing"),
    ],
)
def test_the_content_types_that_json_comes_under(http: httpx.Client, kind: str) -> None:
    answer = http.post(INFER, content=json.dumps(V2), headers={"content-type": kind})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/", {"status": "alive"}, id="alive"),
        pytest.param("/v1/models", {"models": ["heart"]}, id="models by V1"),
        pytest.param("/v1/models/heart", {"name": "heart", "ready": True}, id="readiness by V1"),
        pytest.param("/v2/health/live", {"live": True}, id="liveness by V2"),
        pytest.param("/v2/health/ready", {"ready": True}, id="the server's readiness by V2"),
        pytest.param("/v2/models/heart/ready", {"name": "heart", "ready": True}, id="readiness by V2"),
        pytest.param(
            "/v2/models/heart/versions/7/ready", {"name": "heart", "ready": True}, id="readiness of the version"
        ),
        pytest.param(
            "/refit/v1/model",
            {"name": "heart", "version": "7", "sha256": make(HEART).sha256, "signature": HEART.wire()},
            id="what is served, for the operator",
        ),
    ],
)
def test_documents(http: httpx.Client, path: str, expected: Any) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.json()) == (200, expected)
    assert answer.headers["refit-model-version"] == "7"


def test_v2_metadata_tells_the_digest(http: httpx.Client) -> None:
    answer = http.get("/v2/models/heart").json()
    assert (answer["versions"], answer["properties"]["sha256"]) == (["7"], make(HEART).sha256)
    assert http.get("/v2/models/heart/versions/7").json() == answer


def test_requests_rows_and_values_are_counted(http: httpx.Client) -> None:
    before = _metrics(http)
    http.post(PREDICT, json={"instances": [ROW, ROW | {"sex": "x", "thal": "6"}]})
    http.post(INFER, json=V2)
    http.post(PREDICT, json={"instances": []})
    after = _metrics(http)
    changes = {
        name: after[name] - before.get(name, 0)
        for name in after
        if after[name] != before.get(name) and "seconds" not in name
    }
    labels = {key: changes.pop(key) for key in list(changes) if "predictions_total" in key}
    assert changes == {
        "requests_total{code=200,protocol=v1}": 1,
        "requests_total{code=200,protocol=v2}": 1,
        "requests_total{code=400,protocol=v1}": 1,
        "rows_total{protocol=v1}": 2,
        "rows_total{protocol=v2}": 1,
        "missing_values_total{column=chol}": 3,
        "missing_values_total{column=thal}": 2,
        "unknown_categories_total{column=sex}": 1,
    }
    assert sum(labels.values()) == 3
    assert [before[f"requests_total{{code=500,protocol={protocol}}}"] for protocol in ("v1", "v2")] == [0, 0]
    assert after["request_seconds_count{protocol=v1}"] - before["request_seconds_count{protocol=v1}"] == 2
    assert after[f"model_info{{sha256={make(HEART).sha256}}}"] == 1


def _metrics(http: httpx.Client) -> dict[str, float]:
    """Our samples of this model without their common labels and prefix."""
    found = {}
    for line in http.get("/metrics").text.splitlines():
        if match := re.fullmatch(r"refit_predictor_(\w+)\{(.*)\} (\S+)", line):
            labels = match[2].replace('"', "").replace("model=heart", "").replace("version=7", "")
            found[f"{match[1]}{{{','.join(filter(None, labels.split(',')))}}}"] = float(match[3])
    return found
