"""What the monitor's tests stand on: made-up rows with their profile, and the other parts in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from refit.api.dataspec import ColumnType
from refit.api.modeldeployment import Task
from refit.api.profile import Profile
from refit_monitor import profiles
from refit_monitor.doors import Answer, Call, Door
from refit_trainer import profiles as trainer_profiles

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SINCE, UNTIL = "2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z"
ROWS = 240
TYPES = {
    "age": ColumnType.NUMBER,
    "dose": ColumnType.NUMBER,
    "vessels": ColumnType.NUMBER,
    "site": ColumnType.CATEGORY,
    "smoker": ColumnType.CATEGORY,
}
CLASSES = ("no", "yes")


def rows(count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Inputs: whole numbers, a continuous one, one of few values, and categories of which one is rare."""
    return {
        "age": rng.integers(30, 80, count).astype(np.float64),
        "dose": rng.normal(5, 2, count).astype(np.float32).astype(np.float64),
        "vessels": rng.choice([0.0, 1.0, 2.0, 3.0], count, p=[0.6, 0.2, 0.15, 0.05]),
        "site": rng.choice(["north", "south", "east", "far"], count, p=[0.4, 0.34, 0.25, 0.01]).astype(object),
        "smoker": rng.choice(["yes", "no", ""], count, p=[0.35, 0.6, 0.05]).astype(object),
    }


def answered(inputs: Mapping[str, Any]) -> np.ndarray:
    """The model's probability of yes."""
    risk = (np.nan_to_num(inputs["age"]) - 55) / 10 + (inputs["site"] == "north") - 0.5
    return np.asarray(1 / (1 + np.exp(-risk)), dtype=np.float32).astype(np.float64)


def truth(probability: np.ndarray, rng: np.random.Generator) -> list[str]:
    """What turns out: the model is calibrated."""
    return [CLASSES[int(yes)] for yes in rng.random(len(probability)) < probability]


def table(inputs: Mapping[str, Any], rng: np.random.Generator, *, labels: bool = False, **changes: Any) -> pa.Table:
    """A window as the collector serves it."""
    count = len(inputs["age"])
    probability = answered(inputs)
    found: dict[str, Any] = {
        "id": [f"r{place}" for place in range(count)],
        "row": pa.array([0] * count, pa.int32()),
        "version": pa.array([3] * count, pa.int32()),
        "time": pa.array([NOW - timedelta(hours=2)] * count, pa.timestamp("us", tz="UTC")),
        **{f"input.{name}": values for name, values in inputs.items()},
        "label": [CLASSES[int(yes > 0.5)] for yes in probability],
        "probability.no": 1 - probability,
        "probability.yes": probability,
        "truth": pa.array(truth(probability, rng) if labels else [None] * count, pa.string()),
        "truth_time": pa.array([NOW if labels else None] * count, pa.timestamp("us", tz="UTC")),
    }
    kept = {name: values for name, values in (found | changes).items() if values is not None}
    return pa.table(kept)


def profile(
    rng: np.random.Generator, count: int = ROWS, *, segment_column: str | None = None, **declared: Any
) -> Profile:
    """The profile of rows like these, with the answers of a third of them; `declared` are fields of a column, by name."""
    inputs = rows(count, rng)
    columns = {name: pa.chunked_array([pa.array(values)]) for name, values in inputs.items()}
    made = profiles.made(columns, TYPES, segment_column=segment_column)
    held = slice(0, max(60, count // 3))
    yes = answered(inputs)[held]
    true = np.array([CLASSES.index(label) for label in truth(yes, rng)])
    answers = trainer_profiles.classified(np.column_stack([1 - yes, yes]), true, CLASSES, {})
    return made.model_copy(
        update={
            "task": Task.CLASSIFICATION,
            "classes": CLASSES,
            "target": "ill",
            "answers": answers,
            "columns": tuple(column.model_copy(update=declared.get(column.name, {})) for column in made.columns),
        }
    )


@dataclass
class Others:
    """The collector, MLflow and Prometheus, in memory; they refuse what the real ones would."""

    window: pa.Table | None = None
    profile: bytes = b""
    kept: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)

    def door(self) -> Door:
        return Door(send=self._answer, attempts=2, pause=lambda _: None)

    def _answer(self, call: Call, _seconds: float) -> Answer:
        host = str(urlsplit(call.address).hostname)
        if host in self.down:
            raise ConnectionRefusedError("connection refused")
        return {"collector": self._collector, "mlflow": self._mlflow, "prometheus": self._prometheus}[host](call)

    def _collector(self, call: Call) -> Answer:
        if call.headers.get("Authorization") != "Bearer t0ken":
            return Answer(status=401)
        path = urlsplit(call.address).path.removeprefix("/v1/namespaces/clinic/models/heart/")
        if path == "window":
            assert {"since": SINCE, "until": UNTIL, "version": "3"}.items() <= call.query.items()
            assert self.window is not None
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, self.window.schema) as stream:
                stream.write_table(self.window)
            return Answer(status=200, content=sink.getvalue().to_pybytes())
        if call.method == "GET":
            return Answer(status=200, content=json.dumps(self.kept[::-1]).encode())
        body = json.loads(call.content or b"")
        assert path == f"measurements/{body['key']}"
        self.kept = [*(found for found in self.kept if found["key"] != body["key"]), body]
        return Answer(status=200, content=b"{}")

    def _mlflow(self, call: Call) -> Answer:
        path = urlsplit(call.address).path
        if call.method == "PUT":
            self.files[path] = call.content or b""
            return Answer(status=200, content=b"{}")
        known = {"/artifacts/profile.json": self.profile} | self.files
        return Answer(status=200, content=known[path]) if path in known else Answer(status=404, content=b"no such file")

    def _prometheus(self, call: Call) -> Answer:
        query = call.query["query"]
        found: list[float] = next((value for name, value in self.values.items() if name in query), [])
        vector = [{"metric": {}, "value": [0, str(value)]} for value in found]
        told = {"status": "success", "data": {"resultType": "vector", "result": vector}}
        return Answer(status=200, content=json.dumps(told).encode())


def environment(folder: Path, others: Others, *, key: str = "m1", **monitoring: Any) -> dict[str, str]:
    """What the operator gives a Job."""
    (folder / "token").write_text("t0ken\n")
    spec = {
        "data": {"source": {"uri": "sample://heart-disease"}, "target": {"column": "ill"}},
        "training": {"candidates": [{"algorithm": "LogisticRegression"}], "selection": {"metric": "f1"}},
        "monitoring": monitoring,
    }
    order = {
        "key": key,
        "version": 3,
        "since": SINCE,
        "until": UNTIL,
        "intervalSeconds": 300,
        "profileUri": "http://mlflow/artifacts/profile.json",
        "profileSha256": hashlib.sha256(others.profile).hexdigest(),
        "runId": "r" * 32,
    }
    return {
        "REFIT_MODELDEPLOYMENT": json.dumps({"metadata": {"name": "heart", "namespace": "clinic"}, "spec": spec}),
        "REFIT_MEASUREMENT": json.dumps(order),
        "REFIT_COLLECTOR_URL": "http://collector",
        "REFIT_COLLECTOR_TOKEN_FILE": str(folder / "token"),
        "MLFLOW_TRACKING_URI": "http://mlflow",
        "REFIT_PROMETHEUS_URL": "http://prometheus",
        "REFIT_TERMINATION_LOG": str(folder / "termination-log"),
    }
