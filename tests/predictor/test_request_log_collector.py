"""The real predictor and the real collector: what one answers, the other has."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pyarrow as pa
import pytest

import collector_process
from collector_process import HEART, TOKEN
from logged_predictor import INFER, PREDICT, ROW, counts, logged, wait_for
from predictor_process import Running

KILLS = 5
BETWEEN = 0.7
"""Seconds that the collector lives and is away."""


def logging_to(port: int, folder: Path) -> Any:
    (folder / "predictor").mkdir()
    (folder / "predictor" / "token").write_text(f"{TOKEN}\n")
    return logged(folder / "predictor", f"http://127.0.0.1:{port}", REFIT_NAMESPACE="shop")


def window(collector: collector_process.Running) -> pa.Table:
    with collector.client() as http:
        answer = http.get(
            f"{HEART}/window", params={"since": collector_process.stamp(3600), "until": collector_process.stamp()}
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        return pa.ipc.open_stream(answer.content).read_all()


def test_the_collector_has_what_was_asked_and_answered(tmp_path: Path) -> None:
    port = collector_process.free_port()
    inputs = [
        {"name": name, "shape": [2], "datatype": kind, "data": data}
        for name, kind, data in (("age", "FP32", [0.1, 62]), ("sex", "BYTES", ["m", "f"]), ("chol", "FP64", [None, 1]))
    ]
    with collector_process.started(tmp_path, port) as collector, logging_to(port, tmp_path) as predictor:
        with httpx.Client(base_url=predictor.url, timeout=30) as http:
            answer = http.post(INFER, json={"id": "two-rows", "inputs": inputs}).json()
        wait_for(predictor, sent_total=1)
        found = window(collector).to_pylist()
        with collector.client() as http:
            told = http.get("/v1/namespaces/shop/predictions/two-rows").json()
    columns = ("id", "row", "version", "input.age", "input.sex", "input.chol", "input.thal")
    assert [tuple(row[column] for column in columns) for row in found] == [
        ("two-rows", 0, 7, 0.1, "m", None, None),
        ("two-rows", 1, 7, 62, "f", 1, None),
    ]
    labels, probabilities = (output["data"] for output in answer["outputs"])
    assert [row["label"] for row in found] == labels
    assert [row[f"probability.{name}"] for row in found for name in ("no", "yes")] == pytest.approx(probabilities)
    assert (told["model"], told["version"], told["rows"]) == ("heart", 7, 2)


def test_a_collector_killed_under_load_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    port = collector_process.free_port()
    over = Event()
    with logging_to(port, tmp_path) as predictor, ThreadPoolExecutor(2) as pool:
        load = [pool.submit(_load, predictor, f"client{at}", over.is_set) for at in range(2)]
        for _ in range(KILLS):
            with collector_process.started(tmp_path, port) as collector:
                time.sleep(BETWEEN)
                collector.process.send_signal(signal.SIGKILL)
                collector.process.wait()
            time.sleep(BETWEEN)
        over.set()
        answered = [inference_id for each in load for inference_id in each.result()]
        with collector_process.started(tmp_path, port) as collector:
            wait_for(predictor, 120, pending=0)
            ids = window(collector)["id"].to_pylist()
        found = counts(predictor)
    assert len(answered) > 100
    assert sorted(ids) == sorted(answered)
    assert found == {"sent_total": len(answered)}


def _load(predictor: Running, name: str, over: Callable[[], bool]) -> list[str]:
    """Asks without a pause; the ids that were answered."""
    answered: list[str] = []
    with httpx.Client(base_url=predictor.url, timeout=30) as http:
        while not over():
            inference_id = f"{name}-{len(answered)}"
            answer = http.post(PREDICT, json={"instances": [ROW]}, headers={"x-request-id": inference_id})
            assert answer.status_code == httpx.codes.OK
            answered.append(inference_id)
    return answered
