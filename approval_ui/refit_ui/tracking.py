"""What MLflow knows of a model: the metrics and pictures of a training, and all trainings of a month.

MLflow knows no people, so nothing is asked for but what hangs on a model that the person could read just now: its run
ids, its experiment, its reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from refit_ui.views.runs import Run

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
TIMEOUT = httpx.Timeout(8.0, connect=2.0)
LARGEST = 8 * 1024 * 1024
"""Bytes of an artifact that is shown or handed on: a report is at most 2 MB."""
MOST_RUNS = 200


class AwayError(Exception):
    """MLflow did not answer, or not with what was asked for; the message says which."""


@dataclass(frozen=True)
class Tracking:
    """MLflow at that address."""

    uri: str

    def run(self, run_id: str) -> Run:
        """Raises AwayError."""
        return _run(self._json("GET", "/api/2.0/mlflow/runs/get", params={"run_id": run_id})["run"])

    def trainings(self, experiment: str, since: datetime) -> tuple[Run, ...]:
        """The finished trainings of a model since then, the oldest first."""
        found = self._json("GET", "/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": experiment})
        wanted = {
            "experiment_ids": [found["experiment"]["experiment_id"]],
            "filter": (
                f"attributes.start_time >= {int(since.timestamp() * 1000)} AND attributes.status = 'FINISHED' "
                "AND tags.`refit.outcome` != ''"
            ),
            "max_results": MOST_RUNS,
            "order_by": ["attributes.start_time ASC"],
        }
        answer = self._json("POST", "/api/2.0/mlflow/runs/search", json=wanted)
        return tuple(_run(one) for one in answer.get("runs", []))

    def artifact(self, run: Run, path: str) -> bytes:
        """A file of a run; raises AwayError."""
        parts = urlsplit(run.artifacts)
        if parts.scheme != "mlflow-artifacts":
            raise AwayError("MLflow keeps artifacts where this page can not read them")
        return self._bytes(f"{self.uri}{ARTIFACTS}/{quote(parts.path.lstrip('/'))}/{quote(path)}")

    def holds(self, address: str) -> bool:
        """Whether that address is one of its artifacts: nothing else is fetched on a person's behalf."""
        path = address.removeprefix(f"{self.uri}{ARTIFACTS}/")
        return bool(self.uri) and path != address and ".." not in path and "%2e" not in path.lower()

    def file(self, address: str) -> bytes:
        """An artifact by its address; raises AwayError."""
        if not self.holds(address):
            raise AwayError("this file is not in the MLflow that this page knows")
        return self._bytes(address)

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        if not self.uri:
            raise AwayError("no MLflow is set for this page (REFIT_UI_TRACKING_URI)")
        try:
            with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
                answer = client.request(method, self.uri + path, **request)
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise AwayError(f"MLflow does not answer ({type(error).__name__})") from error
        if not answer.is_success or not isinstance(found, dict):
            said = found.get("error_code", "") if isinstance(found, dict) else ""
            raise AwayError(f"MLflow answered {answer.status_code} {said}".strip())
        return found

    def _bytes(self, address: str) -> bytes:
        try:
            with (
                httpx.Client(timeout=TIMEOUT, trust_env=False) as client,
                client.stream("GET", address) as answer,
            ):
                if not answer.is_success:
                    raise AwayError(f"MLflow has no such file ({answer.status_code})")
                content = b""
                for chunk in answer.iter_bytes():
                    content += chunk
                    if len(content) > LARGEST:
                        raise AwayError(f"the file is larger than {LARGEST} bytes")
                return content
        except httpx.HTTPError as error:
            raise AwayError(f"MLflow does not answer ({type(error).__name__})") from error


def _run(found: Mapping[str, Any]) -> Run:
    info, data = found["info"], found.get("data") or {}
    return Run(
        run_id=info["run_id"],
        started=datetime.fromtimestamp(int(info.get("start_time") or 0) / 1000, UTC),
        metrics={one["key"]: float(one["value"]) for one in data.get("metrics") or ()},
        parameters={one["key"]: str(one["value"]) for one in data.get("params") or ()},
        tags={one["key"]: str(one["value"]) for one in data.get("tags") or ()},
        artifacts=str(info.get("artifact_uri", "")),
    )
