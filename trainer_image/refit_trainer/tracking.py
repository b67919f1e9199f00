"""MLflow: the record of a training, the registered version, and the answer that is found again.

Everything is written once the model is known, in few calls, and the run is FINISHED last of all. So a run
that is FINISHED is whole, and a training that was cut off leaves at most an unfinished run, which its next
attempt closes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from mlflow import MlflowClient
from mlflow.entities import Dataset as InputDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException

from refit.api import jobs
from refit.api.results import Registered, TrainingResult, decode_training
from refit_trainer.answers import answered, fitting
from refit_trainer.errors import UnreachableError
from refit_trainer.mlmodel import MODEL_FOLDER, model_files
from refit_trainer.orders import Order
from refit_trainer.sources import digested
from refit_trainer.trainings import CandidateTold, Trained

KEY_TAG = "refit.training_key"
RESULT_FILE = "result.json"
CHALLENGER = "challenger"
"""The alias of the newest version; `champion`, the one that is served, is the operator's to set."""


class Tracking:
    """One MLflow server, seen by one training."""

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    def earlier_answer(self, order: Order) -> TrainingResult | None:
        """The result of a finished training of the same key; what an earlier attempt left unfinished is closed."""
        try:
            experiment = self._client.get_experiment_by_name(order.experiment)
            if experiment is None:
                return None
            runs = self._client.search_runs(
                [experiment.experiment_id], f"tags.`{KEY_TAG}` = '{order.key}' AND tags.`refit.uid` = '{order.uid}'"
            )
            for run in runs:
                if run.info.status == "RUNNING":
                    self._client.set_terminated(run.info.run_id, status="KILLED")
                elif run.info.status == "FINISHED":
                    return self._answer_of(run.info.run_id)
        except MlflowException as error:
            raise _unreachable(self._uri, error) from error
        return None

    def record(self, trained: Trained, *, start_time: int, elapsed: Callable[[], float]) -> TrainingResult:
        """Writes all of a training, registers the model if it passed, and says so."""
        try:
            return self._recorded(trained, start_time, elapsed)
        except MlflowException as error:
            raise _unreachable(self._uri, error) from error

    def _recorded(self, trained: Trained, start_time: int, elapsed: Callable[[], float]) -> TrainingResult:
        order = trained.order
        experiment = self._experiment(order.experiment)
        run = self._client.create_run(
            experiment, start_time=start_time, run_name=f"{order.name}-{order.key}", tags=_tags(trained)
        )
        run_id = run.info.run_id
        self._client.log_batch(
            run_id,
            metrics=[
                Metric(metric.value, value, start_time, 0) for metric, value in trained.metrics.items()
            ]
            + [Metric("fit_seconds", trained.fit_seconds, start_time, 0)],
            params=[Param("algorithm", trained.winner.algorithm)]
            + [Param(name, value) for name, value in trained.winner.parameters.items()],
        )
        self._client.log_inputs(run_id, [_input(trained)])
        for candidate in trained.candidates:
            self._candidate(experiment, run_id, candidate, trained, start_time)
        with tempfile.TemporaryDirectory() as folder:
            for path, content in {**trained.files, **model_files(trained)}.items():
                file = Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            self._client.log_artifacts(run_id, folder)
            registered = None
            if trained.missed_bound() is None:
                registered = self._registered(trained, run_id, run.info.artifact_uri)
            result = fitting(answered(trained, registered, run_id=run_id, total_seconds=elapsed()))
            told = Path(folder, RESULT_FILE)
            told.write_text(result.model_dump_json(by_alias=True, exclude_none=True))
            self._client.log_artifact(run_id, str(told))
        self._client.set_terminated(run_id, status="FINISHED")
        return result

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _candidate(
        self, experiment: str, parent: str, candidate: CandidateTold, trained: Trained, start_time: int
    ) -> None:
        metric = trained.metric.value
        tags = {
            "mlflow.parentRunId": parent,
            "refit.candidate": candidate.label[:5000],
            "refit.selected": str(candidate == trained.winner).lower(),
        }
        run_id = self._client.create_run(
            experiment, start_time=start_time, run_name=candidate.algorithm, tags=tags
        ).info.run_id
        self._client.log_batch(
            run_id,
            metrics=[
                Metric(f"cv_{metric}_mean", candidate.mean, start_time, 0),
                Metric(f"cv_{metric}_deviation", candidate.deviation, start_time, 0),
                Metric("cv_seconds", candidate.seconds, start_time, 0),
            ],
            params=[Param("algorithm", candidate.algorithm)]
            + [Param(name, value) for name, value in candidate.parameters.items()],
        )
        self._client.set_terminated(run_id, status="FINISHED")

    def _registered(self, trained: Trained, run_id: str, artifact_uri: str) -> Registered:
        """The version of this training: the one an earlier attempt registered, if its bytes are the same, or a new one."""
        name = trained.order.model_name
        digest = digested(trained.onnx).sha256
        golden = digested(trained.files[jobs.GOLDEN_FILE]).sha256
        try:
            self._client.create_registered_model(name, tags={"refit.deployment": trained.order.experiment})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        tags = {
            KEY_TAG: trained.order.key,
            "refit.sha256": digest,
            "refit.golden_sha256": golden,
            "refit.algorithm": trained.winner.algorithm,
            "refit.data_sha256": trained.data_sha256,
            "refit.uid": trained.order.uid,
        }
        earlier = [
            found
            for found in self._client.search_model_versions(f"name = '{name}'")
            if tags.items() <= found.tags.items()
        ]
        version = (
            earlier[0]
            if earlier
            else self._client.create_model_version(
                name, source=f"{artifact_uri}/{MODEL_FOLDER}", run_id=run_id, tags=tags, await_creation_for=0
            )
        )
        self._client.set_registered_model_alias(name, CHALLENGER, version.version)
        folder = self._http(version.source)
        return Registered(
            version=int(version.version),
            artifact_uri=f"{folder}/{jobs.MODEL_FILE}",
            artifact_sha256=digest,
            golden_uri=f"{folder.removesuffix('/' + MODEL_FOLDER)}/{jobs.GOLDEN_FILE}",
            golden_sha256=golden,
            parity=trained.parity,
        )

    def _http(self, artifact_uri: str) -> str:
        """The plain HTTP address of an artifact behind MLflow's proxy."""
        parts = urlsplit(artifact_uri)
        if parts.scheme != "mlflow-artifacts":
            raise UnreachableError(
                f"MLflow at {self._uri} keeps artifacts at {parts.scheme or 'a local path'}, where nobody else can read "
                "them; start it with --serve-artifacts"
            )
        return f"{self._uri}/api/2.0/mlflow-artifacts/artifacts/{quote(parts.path.lstrip('/'))}"

    def _answer_of(self, run_id: str) -> TrainingResult | None:
        if not any(found.path == RESULT_FILE for found in self._client.list_artifacts(run_id)):
            return None
        with tempfile.TemporaryDirectory() as folder:
            path = self._client.download_artifacts(run_id, RESULT_FILE, folder)
            return decode_training(Path(path).read_text())


def _tags(trained: Trained) -> dict[str, str]:
    order = trained.order
    return {
        KEY_TAG: order.key,
        "refit.deployment": order.experiment,
        "refit.uid": order.uid,
        "refit.generation": str(order.generation),
        "refit.data_sha256": trained.data_sha256,
        "refit.split_digest": trained.split_digest,
        "refit.outcome": "Registered" if trained.missed_bound() is None else "BelowBound",
    }


def _input(trained: Trained) -> DatasetInput:
    uri = trained.order.spec.data.source.uri
    dataset: Any = InputDataset(
        name=trained.order.name,
        digest=trained.data_sha256[:36],
        source_type="refit",
        source=uri.split("?", 1)[0],
        profile=f'{{"num_rows": {trained.rows}}}',
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def _unreachable(uri: str, error: MlflowException) -> UnreachableError:
    said = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    return UnreachableError(f"MLflow at {uri}: {said}")


