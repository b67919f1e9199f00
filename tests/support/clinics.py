"""A model's life outside of a cluster, for tests: a real MLflow, a real collector, and Jobs that run in this process."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from collector_process import Running
from drifting import Log, csv, patients
from refit.api import jobs
from refit.api.results import Registered, TrainingResult, decode_training
from refit_trainer.job import run_job
from refit_trainer.mlflow_door import Mlflow


class Clinic:
    """One model's life: trained, asked, told the truth, trained again."""

    def __init__(self, made: Any, uri: str, collecting: Running, folder: Path, name: str) -> None:
        self.made, self.uri, self.folder, self.name = made, uri, folder, name
        self.log = Log(collecting, "clinic", name)
        self.termination = folder / "termination-log"
        self.source(patients(400, 1))

    def source(self, table: dict[str, list[Any]]) -> None:
        (self.folder / "data.csv").write_bytes(csv(table))

    def environment(self, key: str, **changes: Any) -> dict[str, str]:
        """What the operator gives a Job."""
        manifest = self.made.manifest(
            **{
                "metadata__name": self.name,
                "spec__data__source": {"uri": "pvc://claim/data.csv"},
                "spec__data__ignore": ["cost"],
            }
            | changes
        )
        return {
            jobs.DEPLOYMENT: json.dumps(manifest),
            jobs.TRAINING_KEY: key,
            jobs.TRACKING_URI: self.uri,
            jobs.TERMINATION_LOG: str(self.termination),
            jobs.DATA_DIR: str(self.folder),
        } | self.log.environment(self.folder)

    def train(self, key: str, order: dict[str, Any] | None = None, **changes: Any) -> tuple[int, TrainingResult, str]:
        self.termination.unlink(missing_ok=True)
        environment = self.environment(key, **changes)
        if order is not None:
            environment[jobs.RETRAINING] = json.dumps(order)
        err = io.StringIO()
        code = run_job(environment, since=0.0, out=io.StringIO(), err=err)
        assert self.termination.exists(), err.getvalue()
        return code, decode_training(self.termination.read_text()), err.getvalue()

    def first(self, **changes: Any) -> Registered:
        code, result, err = self.train("first", **changes)
        assert (code, err) == (0, ""), result
        assert result.registered is not None
        return result.registered

    def run(self, result: TrainingResult) -> dict[str, Any]:
        with Mlflow(self.uri, {}) as mlflow:
            return dict(mlflow.get("runs/get", run_id=str(result.run_id))["run"]["data"])

    def artifact(self, result: TrainingResult, path: str) -> str:
        """A text beside the run."""
        with Mlflow(self.uri, {}) as mlflow:
            folder = mlflow.get("runs/get", run_id=str(result.run_id))["run"]["info"]["artifact_uri"]
            return (mlflow.download(f"{folder}/{path}") or b"").decode()

    def aliases(self) -> list[dict[str, str]]:
        with Mlflow(self.uri, {}) as mlflow:
            return list(mlflow.get("registered-models/get", name=f"clinic.{self.name}")["registered_model"]["aliases"])
