"""Requests that the real server refuses, whatever protocol they speak."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from predictor_process import MAX_BODY, MAX_ROWS

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


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status", "error"),
    [
        pytest.param(
            "POST",
            PREDICT,
            {"content-type": "text/csv"},
            "41,f",
            415,
            "content-type: must be application/json in UTF-8",
            id="CSV",
        ),
        pytest.param(
            "POST",
            PREDICT,
            {"content-type": "application/json; charset=latin-1"},
            "{}",
            415,
            "content-type: must be application/json in UTF-8",
            id="another charset",
        ),
        pytest.param(
            "POST",
            INFER,
            {"content-type": "application/octet-stream"},
            "{}",
            415,
            "content-type: must be application/json in UTF-8",
            id="binary tensors",
        ),
        pytest.param(
            "POST",
            PREDICT,
            JSON | {"content-encoding": "gzip"},
            "{}",
            415,
            "content-encoding: must be absent; send the body uncompressed",
            id="a compressed body",
        ),
        pytest.param(
            "POST",
            PREDICT,
            JSON,
            " " * MAX_BODY + "{}",
            413,
            f"the body is longer than {MAX_BODY} bytes",
            id="a body over the limit",
        ),
        pytest.param(
            "POST",
            PREDICT,
            JSON,
            json.dumps({"instances": [ROW] * (MAX_ROWS + 1)}),
            413,
            "51 rows are more than the 50 that one request may hold",
            id="rows over the limit",
        ),
        pytest.param(
            "POST",
            PREDICT,
            JSON,
            '{"instances": [{"sex": "f"}]}',
            422,
            "instances[0].age: is missing",
            id="a missing input",
        ),
        pytest.param("GET", PREDICT, {}, "", 405, "ask for predictions by POST", id="GET of a prediction"),
        pytest.param(
            "POST",
            "/v1/models/other:predict",
            JSON,
            json.dumps(V1),
            404,
            "there is no such model, version or endpoint",
            id="another model by V1",
        ),
        pytest.param(
            "POST",
            "/v2/models/other/infer",
            JSON,
            "{",
            404,
            "there is no such model, version or endpoint",
            id="another model by V2",
        ),
        pytest.param(
            "POST",
            "/v2/models/heart/versions/6/infer",
            JSON,
            json.dumps(V2),
            404,
            "there is no such model, version or endpoint",
            id="another version",
        ),
        pytest.param(
            "POST",
            "/v1/models/heart:explain",
            JSON,
            json.dumps(V1),
            404,
            "there is no such model, version or endpoint",
            id="an explanation",
        ),
        pytest.param(
            "POST",
            "/v2/repository/models/heart/unload",
            JSON,
            "",
            404,
            "there is no such model, version or endpoint",
            id="unloading the model",
        ),
        pytest.param(
            "DELETE",
            "/v2/models/heart",
            {},
            "",
            404,
            "there is no such model, version or endpoint",
            id="another method",
        ),
        pytest.param(
            "GET",
            "/v2/models/heart/versions/6/ready",
            {},
            "",
            404,
            "there is no such model, version or endpoint",
            id="readiness of another version",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(
    http: httpx.Client, method: str, path: str, headers: dict[str, str], content: str, status: int, error: str
) -> None:
    answer = http.request(method, path, headers=headers, content=content)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert http.post(PREDICT, json=V1).status_code == 200


def test_a_body_in_parts_is_read_up_to_the_limit(http: httpx.Client) -> None:
    def parts(blank: int) -> Iterator[bytes]:
        yield b'{"instances": '
        for _ in range(blank):
            yield b" " * 1024
        yield json.dumps([ROW]).encode() + b"}"

    assert http.post(PREDICT, content=parts(40), headers=JSON).status_code == 200  # large enough for the thread
    try:
        status = http.post(PREDICT, content=parts(MAX_BODY // 1024), headers=JSON).status_code
    except httpx.TransportError:  # refused while still sending: then the answer may be lost with the connection
        status = 413
    assert status == 413
