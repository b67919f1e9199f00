"""A clinic whose patients change: a model trained before, requests that were answered since, and labels that came late."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pandas as pd

from collector_process import ADMIN_TOKEN, NDJSON, Running
from refit.api import jobs
from refit.api.orders import VersionOrder
from refit.api.results import Registered
from refit_trainer.exports import Served
from refit_trainer.versions import as_asked

BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
SINCE, UNTIL = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (BEGAN, BEGAN + timedelta(hours=1)))
WINDOW = {"since": SINCE, "until": UNTIL}


def patients(rows: int, seed: int, *, turned: bool = False) -> dict[str, list[Any]]:
    """Patients and what they have; where the world has turned, age and dose mean the opposite of what they meant."""
    rng = np.random.default_rng(seed)
    age = rng.integers(30, 80, rows)
    dose = np.round(rng.normal(5, 2, rows), 2)
    site = rng.choice(["north", "south", "east"], rows)
    way = -1 if turned else 1
    risk = way * ((age - 55) / 12 + (dose - 5) / 2) + (site == "north") + rng.normal(0, 0.8, rows)
    return {
        "age": age.tolist(),
        "dose": dose.tolist(),
        "site": site.tolist(),
        "ill": ["yes" if value > 0 else "no" for value in risk],
        "cost": np.round(1000 + 400 * risk, 2).tolist(),
    }


def positives(table: Mapping[str, Sequence[Any]]) -> list[str]:
    """What is told as the truth: a label is a class, and with positiveWhen the classes are 0 and 1."""
    return ["1" if value == "yes" else "0" for value in table["ill"]]


def csv(table: Mapping[str, Sequence[Any]]) -> bytes:
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    return ("\n".join(lines) + "\n").encode()


@dataclass(frozen=True)
class Log:
    """The collector of one namespace, filled as predictors and people would."""

    running: Running
    namespace: str
    model: str

    def requests(
        self, served: Served, table: Mapping[str, Sequence[Any]], *, version: int = 1, name: str = "r", **changes: Any
    ) -> None:
        """A request a row, answered by the model, a second apart."""
        frame = pd.DataFrame({key: table[key] for key in ("age", "dose", "site")})
        found = served.answers(as_asked(served.signature, frame))
        classes = served.signature.classes
        lines = []
        for place in range(len(frame)):
            event: dict[str, Any] = {
                "id": f"{self.model}-{name}{place}",
                "version": version,
                "time": (BEGAN + timedelta(seconds=place)).isoformat(),
                "rows": 1,
                "inputs": {key: [table[key][place]] for key in frame.columns},
                "latency": 1.0,
            }
            if classes:
                event |= {"classes": classes, "labels": [classes[int(found[place].argmax())]]}
                event["probabilities"] = [[float(value) for value in found[place]]]
            else:
                event["predictions"] = [float(found[place][0])]
            lines.append(orjson.dumps(event | changes))
        self._post("events", b"\n".join(lines), NDJSON)

    def labels(self, truth: Sequence[Any], *, name: str = "r") -> None:
        told = [{"id": f"{self.model}-{name}{place}", "label": str(label)} for place, label in enumerate(truth)]
        self._post("labels", json.dumps(told).encode(), {"content-type": "application/json"})

    def environment(self, folder: Path) -> dict[str, str]:
        (folder / "token").write_text(f"{ADMIN_TOKEN}\n")
        return {jobs.COLLECTOR_URL: self.running.url, jobs.COLLECTOR_TOKEN_FILE: str(folder / "token")}

    def _post(self, page: str, content: bytes, headers: Mapping[str, str]) -> None:
        path = f"/v1/namespaces/{self.namespace}/models/{self.model}/{page}"
        with self.running.client(ADMIN_TOKEN) as client:
            answer = client.post(path, content=content, headers=dict(headers))
        assert answer.is_success, answer.text[:300]
        assert not answer.json()["refused"], answer.text[:300]


def order_of(registered: Registered) -> VersionOrder:
    """A registered version as the operator names it in an order."""
    return VersionOrder(
        version=registered.version,
        artifact_uri=registered.artifact_uri,
        artifact_sha256=registered.artifact_sha256,
    )


def served(registered: Registered) -> Served:
    return Served(httpx.get(registered.artifact_uri).content)
