"""The real server process, over HTTP."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from hashlib import sha256 as digest
from pathlib import Path
from typing import Any

import httpx
import pytest

from onnx_models import DIGITS, HEART, export, make
from predictor_process import MAX_BODY, MAX_ROWS, Running, environment, started

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


def test_a_client_that_leaves_half_way_does_no_harm(server: Running, http: httpx.Client) -> None:
    with _connection(server) as client:
        client.sendall(_request(b'{"instances"', length=1000))
    assert http.post(PREDICT, json=V1).status_code == 200
    assert "Traceback" not in server.log.read_text()


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


@pytest.mark.parametrize(
    ("content", "sha256", "code", "message"),
    [
        pytest.param(
            make(HEART).content,
            make(DIGITS).sha256,
            3,
            f"DigestMismatch: want {make(DIGITS).sha256[:8]}… got {make(HEART).sha256[:8]}…",
            id="another model",
        ),
        pytest.param(
            b"",
            make(HEART).sha256,
            3,
            f"DigestMismatch: want {make(HEART).sha256[:8]}… got an empty file",
            id="an empty file",
        ),
        pytest.param(None, "", 2, "BadSettings: not set: REFIT_ARTIFACT_SHA256", id="no digest to compare with"),
    ],
)
def test_a_model_that_must_not_be_served_ends_the_process_with_a_reason(
    tmp_path: Path, content: bytes | None, sha256: str, code: int, message: str
) -> None:
    if content is not None:
        (tmp_path / "model.onnx").write_bytes(content)
    with started(tmp_path, environment(tmp_path, sha256)) as running:
        assert running.process.wait(60) == code
    assert (tmp_path / "termination-log").read_text() == f"{message}\n"


def test_a_model_without_a_valid_signature_ends_the_process_with_a_reason(tmp_path: Path) -> None:
    content = export(make(HEART).pipeline, HEART, "{}")
    (tmp_path / "model.onnx").write_bytes(content)
    with started(tmp_path, environment(tmp_path, digest(content).hexdigest())) as running:
        assert running.process.wait(60) == 3
    expected = "SignatureMismatch: refit.signature is not valid: inputs, target, task\n"
    assert (tmp_path / "termination-log").read_text() == expected


def test_a_request_in_flight_is_answered_after_sigterm(tmp_path: Path) -> None:
    made = make(HEART)
    (tmp_path / "model.onnx").write_bytes(made.content)
    body = json.dumps(V1).encode()
    with started(tmp_path, environment(tmp_path, made.sha256)) as running:
        running.wait_until_ready("heart")
        with _connection(running) as client:
            client.sendall(_request(body[:10], length=len(body)))
            assert httpx.get(f"{running.url}/v2/models/heart/ready").status_code == 200  # by now the request has begun
            running.process.send_signal(signal.SIGTERM)
            _wait_until_closed(running)
            client.sendall(body[10:])
            answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")
        assert running.process.wait(30) == 0


def _connection(running: Running) -> socket.socket:
    port = httpx.URL(running.url).port
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def _request(start: bytes, length: int) -> bytes:
    head = f"POST {PREDICT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    return head.encode() + start


def _wait_until_closed(running: Running) -> None:
    """Until new connections are refused: the server has taken note of the signal."""
    while True:
        try:
            _connection(running).close()
        except ConnectionRefusedError:
            return
