"""The real predictor with a request log, and what its metrics say of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from onnx_models import HEART, make
from predictor_process import Running, environment, started

PREDICT = "/v1/models/heart:predict"
INFER = "/v2/models/heart/infer"
ROW = {"age": 41, "sex": "f"}


@contextmanager
def logged(folder: Path, url: str, **more: str) -> Iterator[Running]:
    """A predictor of the heart model that is ready; its token, spill and log lie in `folder`."""
    made = make(HEART)
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(made.content)
    if not (folder / "token").exists():
        (folder / "token").write_text("token-1\n")
    given = {
        "REFIT_COLLECTOR_URL": url,
        "REFIT_COLLECTOR_TOKEN_FILE": str(folder / "token"),
        "REFIT_NAMESPACE": "clinic",
        "REFIT_REQUEST_LOG": '{"mode":"All"}',
        "REFIT_SPILL_DIR": str(folder / "spill"),
        **more,
    }
    with started(folder, environment(folder, made.sha256, **given)) as running:
        running.wait_until_ready("heart")
        yield running


def ask(running: Running, *ids: str, row: dict[str, Any] | None = None) -> None:
    """A request of one row for each id, all answered."""
    body = {"instances": [ROW if row is None else row]}
    with httpx.Client(base_url=running.url, timeout=30) as client:
        for inference_id in ids:
            assert client.post(PREDICT, json=body, headers={"x-request-id": inference_id}).status_code == 200


def counts(running: Running) -> dict[str, int]:
    """The request log's metrics without what is nought: `sent_total`, `dropped_total{reason}`, `pending` and so on."""
    found = {}
    for line in httpx.get(f"{running.url}/metrics", timeout=30).text.splitlines():
        if match := re.fullmatch(r"refit_request_log_(\w+)\{(.*)\} (\S+)", line):
            labels = match[2].replace('"', "").replace("model=heart", "").replace("version=7", "")
            reason = ",".join(filter(None, labels.split(",")))
            if value := int(float(match[3])):
                found[match[1] + (f"{{{reason}}}" if reason else "")] = value
    return found


def wait_for(running: Running, seconds: float = 30.0, **wanted: int) -> dict[str, int]:
    """The metrics, once those named have these values."""
    deadline = time.monotonic() + seconds
    while any((found := counts(running)).get(name, 0) != value for name, value in wanted.items()):
        assert time.monotonic() < deadline, f"{found} is not {wanted} after {seconds} s"
        time.sleep(0.05)
    return found
