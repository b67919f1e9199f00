"""The record of a training in MLflow: the run, the registered version, and the answer that is found again.

Everything is written once the model is known, in few calls, and the run is FINISHED last of all. So a run
that is FINISHED is whole, and a training that was cut off leaves at most an unfinished run, which its next
attempt closes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from refit.api import jobs
from refit.api.profile import PROFILE_FILE
from refit.api.results import Registered, TrainingOutcome, TrainingResult, decode_training
from refit_trainer.answers import answered, fitting
from refit_trainer.mlflow_door import ABSENT, THERE, Mlflow, MlflowError
from refit_trainer.mlmodel import MODEL_FOLDER, model_files
from refit_trainer.orders import Order
from refit_trainer.sources import digested
from refit_trainer.trainings import CandidateTold, Trained

KEY_TAG = "refit.training_key"
UID_TAG = "refit.uid"
RESULT_FILE = "result.json"
CHALLENGER = "challenger"
"""The alias of the newest version; `champion`, the one that is served, is the operator's to set."""
_FINISHED, _RUNNING, _KILLED = "FINISHED", "RUNNING", "KILLED"


def earlier_answer(mlflow: Mlflow, order: Order, now: int) -> TrainingResult | None:
    """The result of a finished training of the same key; what an earlier attempt left unfinished is closed."""
    experiment = _experiment(mlflow, order.experiment)
    if experiment is None:
        return None
    ours = f"tags.`{KEY_TAG}` = '{order.key}' AND tags.`{UID_TAG}` = '{order.uid}'"
    found = mlflow.post("runs/search", experiment_ids=[experiment["experiment_id"]], filter=ours, max_results=100)
    for run in found.get("runs", []):
        info = run["info"]
        if info["status"] == _RUNNING:
            mlflow.post("runs/update", run_id=info["run_id"], status=_KILLED, end_time=now)
        elif info["status"] == _FINISHED:
            told = mlflow.download(f"{info['artifact_uri']}/{RESULT_FILE}")
            if told is not None:
                return decode_training(told.decode())
    return None


def record(
    mlflow: Mlflow, trained: Trained, *, now: Callable[[], int], started: int, elapsed: Callable[[], float]
) -> TrainingResult:
    """Writes all of a training, registers the model if it passed, and says so. `now` is in milliseconds."""
    order = trained.order
    experiment = _wanted_experiment(mlflow, order.experiment)
    run = mlflow.post(
        "runs/create",
        experiment_id=experiment,
        start_time=started,
        run_name=f"{order.name}-{order.key}",
        tags=_pairs(_tags(trained)),
    )["run"]["info"]
    metrics = {metric.value: value for metric, value in trained.metrics.items()} | _compared(trained)
    mlflow.post(
        "runs/log-batch",
        run_id=run["run_id"],
        metrics=_metrics(metrics | {"fit_seconds": trained.fit_seconds}, started),
        params=_pairs({"algorithm": trained.winner.algorithm, **trained.winner.parameters}),
    )
    mlflow.post("runs/log-inputs", run_id=run["run_id"], datasets=[_input(trained)])
    for candidate in trained.candidates:
        _candidate(mlflow, experiment, run["run_id"], candidate, trained, started, now())
    for path, content in {**trained.files, **model_files(trained)}.items():
        mlflow.upload(f"{run['artifact_uri']}/{path}", content)
    registered = None
    if trained.outcome is TrainingOutcome.REGISTERED:
        registered = _registered(mlflow, trained, run["run_id"], run["artifact_uri"])
    result = fitting(answered(trained, registered, run_id=run["run_id"], total_seconds=elapsed()))
    told = result.model_dump_json(by_alias=True, exclude_none=True)
    mlflow.upload(f"{run['artifact_uri']}/{RESULT_FILE}", told.encode())
    mlflow.post("runs/update", run_id=run["run_id"], status=_FINISHED, end_time=now())
    return result


def _experiment(mlflow: Mlflow, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = mlflow.get("experiments/get-by-name", experiment_name=name)["experiment"]
    except MlflowError as error:
        if error.code != ABSENT:
            raise
        return None
    return found


def _wanted_experiment(mlflow: Mlflow, name: str) -> str:
    """The experiment's id; made if it is not there, brought back if somebody deleted it."""
    found = _experiment(mlflow, name)
    if found is None:
        try:
            return str(mlflow.post("experiments/create", name=name)["experiment_id"])
        except MlflowError as error:
            found = _experiment(mlflow, name)
            if error.code != THERE or found is None:
                raise
    if found["lifecycle_stage"] == "deleted":
        mlflow.post("experiments/restore", experiment_id=found["experiment_id"])
    return str(found["experiment_id"])


def _candidate(
    mlflow: Mlflow, experiment: str, parent: str, candidate: CandidateTold, trained: Trained, started: int, ended: int
) -> None:
    """A run below the training's for each candidate, so that MLflow's own pages compare them."""
    run_id = mlflow.post(
        "runs/create",
        experiment_id=experiment,
        start_time=started,
        run_name=candidate.algorithm,
        tags=_pairs({"mlflow.parentRunId": parent, "refit.selected": str(candidate == trained.winner).lower()}),
    )["run"]["info"]["run_id"]
    name = f"cv_{trained.metric.value}"
    metrics = {
        f"{name}_mean": candidate.mean,
        f"{name}_deviation": candidate.deviation,
        "cv_seconds": candidate.seconds,
    }
    mlflow.post(
        "runs/log-batch",
        run_id=run_id,
        metrics=_metrics(metrics, started),
        params=_pairs({"algorithm": candidate.algorithm, **candidate.parameters}),
    )
    mlflow.post("runs/update", run_id=run_id, status=_FINISHED, end_time=ended)


def _registered(mlflow: Mlflow, trained: Trained, run_id: str, artifact_uri: str) -> Registered:
    """The version of this training: the one an earlier attempt registered, if its bytes are the same, or a new one."""
    name = trained.order.model_name
    digest = digested(trained.onnx).sha256
    golden = digested(trained.files[jobs.GOLDEN_FILE]).sha256
    profile = digested(trained.files[PROFILE_FILE]).sha256
    tags = {
        KEY_TAG: trained.order.key,
        UID_TAG: trained.order.uid,
        "refit.sha256": digest,
        "refit.golden_sha256": golden,
        "refit.profile_sha256": profile,
        "refit.algorithm": trained.winner.algorithm,
        "refit.data_sha256": trained.data_sha256,
    }
    version = _earlier_version(mlflow, name, tags)
    if version is None:
        _wanted_model(mlflow, name, trained.order.experiment)
        source = f"{artifact_uri}/{MODEL_FOLDER}"
        version = mlflow.post("model-versions/create", name=name, source=source, run_id=run_id, tags=_pairs(tags))[
            "model_version"
        ]
    mlflow.post("registered-models/alias", name=name, alias=CHALLENGER, version=str(version["version"]))
    folder = str(version["source"])
    beside = folder.removesuffix("/" + MODEL_FOLDER)
    return Registered(
        version=int(version["version"]),
        artifact_uri=mlflow.address(f"{folder}/{jobs.MODEL_FILE}"),
        artifact_sha256=digest,
        golden_uri=mlflow.address(f"{beside}/{jobs.GOLDEN_FILE}"),
        golden_sha256=golden,
        profile_uri=mlflow.address(f"{beside}/{PROFILE_FILE}"),
        profile_sha256=profile,
        parity=trained.parity,
    )


def _earlier_version(mlflow: Mlflow, name: str, tags: Mapping[str, str]) -> dict[str, Any] | None:
    ours = f"name = '{name}' AND tags.`{KEY_TAG}` = '{tags[KEY_TAG]}'"
    found: list[dict[str, Any]] = mlflow.get("model-versions/search", filter=ours).get("model_versions", [])
    for version in found:
        if tags.items() <= {tag["key"]: tag["value"] for tag in version.get("tags", [])}.items():
            return version
    return None


def _wanted_model(mlflow: Mlflow, name: str, deployment: str) -> None:
    try:
        mlflow.post("registered-models/create", name=name, tags=_pairs({"refit.deployment": deployment}))
    except MlflowError as error:
        if error.code != THERE:
            raise


def _tags(trained: Trained) -> dict[str, str]:
    order = trained.order
    return {
        KEY_TAG: order.key,
        UID_TAG: order.uid,
        "refit.deployment": order.experiment,
        "refit.generation": str(order.generation),
        "refit.data_sha256": trained.data_sha256,
        "refit.split_digest": trained.split_digest,
        "refit.outcome": trained.outcome.value,
        **({"refit.trace_id": order.trace} if order.trace else {}),
        **_followed(trained),
        "mlflow.user": "refit",
        "mlflow.source.name": "refit_trainer",
        "mlflow.source.type": "JOB",
    }


def _followed(trained: Trained) -> dict[str, str]:
    """What a retraining followed, learned from, and how it compared."""
    if trained.retraining is None:
        return {}
    order = trained.retraining.order
    window = f"{order.window.since}/{order.window.until}" if order.window is not None else ""
    return {
        "refit.champion": str(order.champion.version),
        "refit.rows": order.rows.value,
        "refit.window": window,
        "refit.request": order.request or "",
        "refit.learned_from": trained.learned_from,
        "refit.comparison": trained.contest.told if trained.contest is not None else "",
    }


def _compared(trained: Trained) -> dict[str, float]:
    found: dict[str, float] = {}
    comparison = trained.contest.comparison if trained.contest is not None else None
    if comparison is not None:
        found = {
            "comparison_champion": float(comparison.champion),
            "comparison_challenger": float(comparison.challenger),
            "comparison_low": float(comparison.low),
            "comparison_high": float(comparison.high),
            "comparison_rows": float(comparison.rows),
        }
    if trained.shadow is not None:
        found |= {
            "shadow_requests": float(trained.shadow.requests),
            "shadow_differing": float(trained.shadow.differing),
        }
    return found


def _input(trained: Trained) -> dict[str, Any]:
    """The data set, in the words of MLflow's pages; its own digest field is too short for a whole SHA-256."""
    return {
        "tags": _pairs({"mlflow.data.context": "training"}),
        "dataset": {
            "name": trained.order.name,
            "digest": trained.data_sha256[:36],
            "source_type": "http",
            "source": json.dumps({"url": trained.order.spec.data.source.uri.split("?", 1)[0]}),
            "profile": json.dumps({"num_rows": trained.rows}),
        },
    }


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _metrics(values: Mapping[str, float], timestamp: int) -> list[dict[str, Any]]:
    return [{"key": key, "value": value, "timestamp": timestamp, "step": 0} for key, value in values.items()]
