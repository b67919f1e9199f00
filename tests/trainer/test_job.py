"""The training Job against a real MLflow server."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psycopg
import pytest

from refit.api import jobs
from refit.api.results import TrainingOutcome, TrainingResult, decode_training
from refit.api.signature import Golden
from refit_trainer.errors import UnreachableError
from refit_trainer.exports import Served
from refit_trainer.job import cpus, run_job
from refit_trainer.mlflow_door import Mlflow, Patience


class Jobs:
    """Runs Jobs as the operator would start them."""

    def __init__(self, made: Any, uri: str, folder: Path) -> None:
        self.made, self.uri, self.folder = made, uri, folder
        (folder / "data.csv").write_bytes(made.csv(made.patients()))
        self.log = folder / "termination-log"

    def environment(self, key: str, **changes: Any) -> dict[str, str]:
        source = {"spec__data__source": {"uri": "pvc://claim/data.csv"}}
        return {
            jobs.DEPLOYMENT: json.dumps(self.made.manifest(**source | changes)),
            jobs.TRAINING_KEY: key,
            jobs.TRACKING_URI: self.uri,
            jobs.TERMINATION_LOG: str(self.log),
            jobs.DATA_DIR: str(self.folder),
            jobs.CPU_LIMIT: "2",
        }

    def run(self, key: str, **changes: Any) -> tuple[int, TrainingResult | None, str, str]:
        """Exit code, typed result, and what was said on both streams."""
        self.log.unlink(missing_ok=True)
        out, err = io.StringIO(), io.StringIO()
        code = run_job(self.environment(key, **changes), since=0.0, out=out, err=err)
        return (
            code,
            decode_training(self.log.read_text()) if self.log.exists() else None,
            out.getvalue(),
            err.getvalue(),
        )

    def model(self, name: str) -> dict[str, Any]:
        with Mlflow(self.uri, {}) as mlflow:
            return dict(mlflow.get("registered-models/get", name=name)["registered_model"])

    def runs(self, name: str) -> list[dict[str, Any]]:
        with Mlflow(self.uri, {}) as mlflow:
            experiment = mlflow.get("experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"]
            return list(mlflow.post("runs/search", experiment_ids=[experiment], max_results=100).get("runs", []))


@pytest.fixture
def ward(made: Any, mlflow_uri: str, tmp_path: Path) -> Jobs:
    return Jobs(made, mlflow_uri, tmp_path)


def test_a_training_is_registered_where_mlflow_stands_on_postgresql(
    made: Any, postgres: str, mlflow_on_postgres: str, tmp_path: Path
) -> None:
    ward = Jobs(made, mlflow_on_postgres, tmp_path)
    code, result, _, err = ward.run("k-1", metadata__name="stored")
    assert (code, err) == (0, "")
    assert result is not None
    assert result.registered is not None
    assert ward.model("clinic.stored")["aliases"] == [{"alias": "challenger", "version": "1"}]
    model = httpx.get(result.registered.artifact_uri).content
    assert hashlib.sha256(model).hexdigest() == result.registered.artifact_sha256
    with psycopg.connect(postgres) as database:
        stored = database.execute("SELECT name, version, run_id FROM model_versions").fetchall()
    assert stored == [("clinic.stored", 1, result.run_id)]


@pytest.fixture(scope="module")
def done(made: Any, mlflow_uri: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Jobs, TrainingResult]:
    """One training that ended well, to be looked at from all sides."""
    ward = Jobs(made, mlflow_uri, tmp_path_factory.mktemp("done"))
    candidates = [
        {"algorithm": "LogisticRegression"},
        {"algorithm": "RandomForest", "parameters": {"n_estimators": "5"}},
    ]
    code, result, _, err = ward.run("k-done", metadata__name="done", spec__training__candidates=candidates)
    assert (code, err) == (0, "")
    assert result is not None
    return ward, result


def tags(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}


def test_a_registered_model_is_downloaded_and_answers(done: tuple[Jobs, TrainingResult]) -> None:
    _, result = done
    assert (result.outcome, result.registered is not None) == (TrainingOutcome.REGISTERED, True)
    assert result.registered is not None
    model = httpx.get(result.registered.artifact_uri).content
    golden = httpx.get(result.registered.golden_uri).content
    assert hashlib.sha256(model).hexdigest() == result.registered.artifact_sha256
    assert hashlib.sha256(golden).hexdigest() == result.registered.golden_sha256
    profile = httpx.get(str(result.registered.profile_uri)).content
    assert hashlib.sha256(profile).hexdigest() == result.registered.profile_sha256
    first = Golden.model_validate_json(golden)
    frame = pd.DataFrame([first.rows[0]])
    np.testing.assert_allclose(Served(model).answers(frame)[0], first.answers[0], atol=first.tolerance)


def test_mlflow_holds_the_whole_story(done: tuple[Jobs, TrainingResult]) -> None:
    ward, result = done
    runs = {run["info"]["run_name"]: run for run in ward.runs("clinic/done")}
    parent = runs["done-k-done"]
    expected = {
        "refit.training_key": "k-done",
        "refit.uid": "u-1",
        "refit.generation": "3",
        "refit.data_sha256": result.data_sha256,
    }
    assert expected.items() <= tags(parent).items()
    assert len(tags(parent)["refit.split_digest"]) == 64
    assert parent["info"]["status"] == "FINISHED"
    assert {metric["key"] for metric in parent["data"]["metrics"]} >= {"f1", "roc_auc", "log_loss", "fit_seconds"}
    assert {tags(runs[name])["mlflow.parentRunId"] for name in ("LogisticRegression", "RandomForest")} == {
        parent["info"]["run_id"]
    }
    assert tags(runs["LogisticRegression"])["refit.selected"] == "true"
    assert parent["inputs"]["dataset_inputs"][0]["dataset"]["digest"] == str(result.data_sha256)[:36]
    with Mlflow(ward.uri, {}) as mlflow:
        files = mlflow.get("artifacts/list", run_id=parent["info"]["run_id"])["files"]
    assert {file["path"] for file in files} == {
        "candidates.json", "confusion.json", "golden.json", "lineage.bin", "lineage.json", "model", "model_card.md", "plots", "profile.json",
        "result.json", "signature.json",
    }  # fmt: skip


def test_the_version_says_what_it_is(done: tuple[Jobs, TrainingResult]) -> None:
    ward, result = done
    assert result.registered is not None
    model = ward.model("clinic.done")
    (version,) = model["latest_versions"]
    found = {tag["key"]: tag["value"] for tag in version["tags"]}
    assert (model["aliases"], version["version"]) == ([{"alias": "challenger", "version": "1"}], "1")
    assert found == {
        "refit.training_key": "k-done",
        "refit.uid": "u-1",
        "refit.sha256": result.registered.artifact_sha256,
        "refit.golden_sha256": result.registered.golden_sha256,
        "refit.profile_sha256": result.registered.profile_sha256,
        "refit.algorithm": "LogisticRegression",
        "refit.data_sha256": result.data_sha256,
    }


def test_mlflow_itself_can_load_it(done: tuple[Jobs, TrainingResult], monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow  # noqa: PLC0415 - seconds of import, for this test only

    ward, result = done
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(ward.uri)
    assert result.registered is not None
    loaded = mlflow.pyfunc.load_model("models:/clinic.done@challenger")
    frame = pd.DataFrame(
        {"age": [50.0, 70.0], "dose": [5.0, np.nan], "site": ["north", ""], "smoker": ["yes", "who knows"]}
    )
    request = {name: frame[name].to_numpy().reshape(-1, 1) for name in ("age", "dose", "site", "smoker")}
    for name in ("age", "dose"):
        request[name] = request[name].astype(np.float32)
    served = Served(httpx.get(result.registered.artifact_uri).content)
    np.testing.assert_array_equal(loaded.predict(request)["probabilities"].astype(np.float64), served.answers(frame))
    onnx_model = mlflow.onnx.load_model("models:/clinic.done@challenger")
    assert onnx_model.SerializeToString(deterministic=True) == httpx.get(result.registered.artifact_uri).content


def test_the_same_key_is_answered_again_and_not_trained_again(done: tuple[Jobs, TrainingResult]) -> None:
    ward, result = done
    before = len(ward.runs("clinic/done"))
    code, again, out, _ = ward.run("k-done", metadata__name="done")
    assert (code, again) == (0, result)
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["found", "ended"]
    assert len(ward.runs("clinic/done")) == before


def test_progress_is_told_fold_by_fold(ward: Jobs) -> None:
    _, _, out, _ = ward.run("k-progress", metadata__name="progress")
    events = [json.loads(line)["event"] for line in out.splitlines()]
    assert events == [
        "fetched",
        "checked",
        "fold",
        "fold",
        "fold",
        "candidate",
        "fitted",
        "exported",
        "judged",
        "ended",
    ]


def test_a_training_that_was_cut_off_is_done_again_without_a_second_version(ward: Jobs) -> None:
    """As if the Job had died between registering and finishing its run: the version is found by its key and bytes."""
    _, first, _, _ = ward.run("k-cut", metadata__name="cut")
    assert first is not None
    with Mlflow(ward.uri, {}) as mlflow:
        mlflow.post("runs/update", run_id=first.run_id, status="RUNNING")
    code, second, _, _ = ward.run("k-cut", metadata__name="cut")
    assert second is not None
    assert (code, second.registered, second.run_id == first.run_id) == (0, first.registered, False)
    status = {run["info"]["run_id"]: run["info"]["status"] for run in ward.runs("clinic/cut")}
    assert (status[str(first.run_id)], status[str(second.run_id)]) == ("KILLED", "FINISHED")
    assert ward.model("clinic.cut")["latest_versions"][0]["version"] == "1"


def test_a_model_below_its_bound_is_logged_and_not_registered(ward: Jobs) -> None:
    changes = {"metadata__name": "low", "spec__training__selection": {"metric": "f1", "minimum": "0.999"}}
    code, result, _, _ = ward.run("k-low", **changes)
    assert result is not None
    assert (code, result.outcome, result.registered) == (0, TrainingOutcome.BELOW_BOUND, None)
    outcomes = {tags(run).get("refit.training_key"): tags(run).get("refit.outcome") for run in ward.runs("clinic/low")}
    assert outcomes["k-low"] == "BelowBound"
    with pytest.raises(Exception, match="RESOURCE_DOES_NOT_EXIST"):
        ward.model("clinic.low")
    assert ward.run("k-low", **changes)[1] == result


def test_refused_data_ends_with_three_and_a_typed_result(ward: Jobs) -> None:
    table = ward.made.patients()
    table["age"][4] = "old"
    (ward.folder / "data.csv").write_bytes(ward.made.csv(table))
    columns = [{"name": "age"}, {"name": "ill", "type": "Category"}]
    code, result, _, err = ward.run("k-bad", metadata__name="bad", spec__data__columns=columns)
    assert result is not None
    assert (code, err) == (3, "")
    assert (result.outcome, result.reason, result.key, result.rows) == (
        TrainingOutcome.REFUSED,
        "WrongType",
        "k-bad",
        200,
    )
    assert result.message.startswith("types: 'age' is a Number but 1 row (5) hold something else")
    assert [check.name for check in result.checks if not check.passed] == ["types"]
    assert result.data_sha256 == hashlib.sha256((ward.folder / "data.csv").read_bytes()).hexdigest()


def test_a_wrong_digest_is_refused(ward: Jobs) -> None:
    code, result, _, _ = ward.run("k-d", spec__data__source={"uri": "pvc://claim/data.csv", "sha256": "0" * 64})
    assert result is not None
    assert (code, result.reason) == (3, "DigestMismatch")


def test_without_mlflow_there_is_one_line_and_no_result(ward: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    ward.uri = "http://127.0.0.1:1"
    monkeypatch.setattr(
        "refit_trainer.job.Mlflow", lambda uri, env: Mlflow(uri, env, Patience(attempts=2, pause=lambda _: None))
    )
    code, result, _, err = ward.run("k-none")
    assert (code, result, err.count("\n")) == (1, None, 1)
    assert err.startswith("refit_trainer: MLflow at http://127.0.0.1:1: ")


def test_a_started_wrongly_job_says_which_variable(ward: Jobs) -> None:
    err = io.StringIO()
    assert run_job({jobs.TERMINATION_LOG: str(ward.log)}, since=0.0, out=io.StringIO(), err=err) == 2
    assert err.getvalue() == "refit_trainer: environment variable REFIT_MODELDEPLOYMENT is not set\n"


@pytest.mark.parametrize(("limit", "expected"), [("2", 2), ("0", 1), ("", 1), ("500m", 1)])
def test_cpus(limit: str, expected: int) -> None:
    assert cpus({jobs.CPU_LIMIT: limit}) == expected


def test_artifacts_that_nobody_else_can_read_are_a_mistake_of_the_server() -> None:
    with (
        Mlflow("http://mlflow", {}) as mlflow,
        pytest.raises(UnreachableError, match="start it with --serve-artifacts"),
    ):
        mlflow.address("file:///mlruns/1/model.onnx")


def test_sigterm_ends_it_at_once(ward: Jobs) -> None:
    """Also inside a fit: the signal comes after the first fold of a forest that would grow for minutes."""
    candidates = [{"algorithm": "RandomForest", "parameters": {"n_estimators": "3"}},
                  {"algorithm": "RandomForest", "parameters": {"n_estimators": "200000"}}]  # fmt: skip
    environment = os.environ | ward.environment("k-term", metadata__name="term", spec__training__candidates=candidates)
    process = subprocess.Popen(
        [sys.executable, "-m", "refit_trainer"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "candidate":
            break
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 143
    process.stdout.close()
    assert not ward.log.exists()
