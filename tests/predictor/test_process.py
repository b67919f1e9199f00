"""The server as a process: refusing to start, clients that leave, and the end."""

from __future__ import annotations

import json
import signal
import socket
from hashlib import sha256 as digest
from pathlib import Path

import httpx
import pytest

from onnx_models import DIGITS, HEART, export, make
from predictor_process import Running, environment, started

PREDICT = "/v1/models/heart:predict"
ROW = {"age": 41, "sex": "f"}
V1 = {"instances": [ROW]}


def test_a_client_that_leaves_half_way_does_no_harm(server: Running, http: httpx.Client) -> None:
    with _connection(server) as client:
        client.sendall(_request(b'{"instances"', length=1000))
    assert http.post(PREDICT, json=V1).status_code == 200
    assert "Traceback" not in server.log.read_text()


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
        except ConnectionResetError:  # it came just as the door was closed
            continue
        except ConnectionRefusedError:
            return
