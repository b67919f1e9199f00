"""The approval page as a process, before a live API server with the guard, and a team whose work it shows.

People sign in with tokens that the API server knows from a file, as the ones of a real cluster would come from an
identity provider; who they are and what they may do is what `guarded.PEOPLE` says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from collector_process import free_port
from guarded import PEOPLE, REQUESTS, TEAM, Guarded, request
from plugin import DIGEST, MODELS, ago, asking, furnish, model, record
from refit.api.confusion import CONFUSION_FILE
from refit.api.signature import Signature
from refit_cluster.shell import wait_until
from refit_trainer import plots

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0
EVIL = "<img src=x onerror=alert(1)><script>window.pwned=1</script>"
EVIL_MARKDOWN = "[click](javascript:window.pwned=1) ![x](http://192.0.2.7/pixel.png) **bold** $x$"
FORMULA = '=HYPERLINK("http://192.0.2.7","win")'
ROLLBACK = "heart-rollback-9f00ba11"
COLUMNS = [
    {"name": "num"},
    {"name": "age", "min": "1", "max": "120", "nullable": False},
    {"name": "sex", "type": "Category", "categories": ["f", "m"], "nullable": False},
    {"name": "chol", "min": "50", "max": "700"},
    {"name": "thal", "type": "Category", "categories": ["3", "6", "normal"]},
]
NOW_METRICS = {"accuracy": 0.87, "f1": 0.835616, "roc_auc": 0.91, "precision": 0.86, "recall": 0.81, "log_loss": 0.34}
OLD_METRICS = {"accuracy": 0.85, "f1": 0.807018, "roc_auc": 0.89, "precision": 0.84, "recall": 0.78, "log_loss": 0.39}


@dataclass(frozen=True)
class World:
    """`url` is the page's; `tokens` are people's, by name; `heart` and `mlflow` are addresses; `runs` by name."""

    plane: Guarded
    url: str
    tokens: dict[str, str]
    heart: str
    runs: dict[str, str]
    mlflow: str

    def renew(self) -> None:
        """Models and requests as they were in the beginning."""
        populate(self.plane, self.heart, self.runs)

    def stored(self, name: str) -> dict[str, Any]:
        """The decisions on a request, as the API server has them."""
        return self.plane.decided(f"{REQUESTS}/{name}")


def tokens(folder: Path) -> tuple[str, dict[str, str]]:
    """The argument by which an API server knows everybody, and each one's token."""
    known = {user: f"token-of-{user.replace(':', '-')}-{'0' * 16}" for user in PEOPLE}
    lines = [
        f'{token},{user},{user},"{",".join(PEOPLE[user].groups)}"' if PEOPLE[user].groups else f"{token},{user},{user}"
        for user, token in known.items()
    ]
    path = folder / "tokens.csv"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return f"--token-auth-file={path}", known


@contextmanager
def served(plane: Guarded, folder: Path, **more: str) -> Iterator[str]:
    """Its address. `more` are settings by their short names."""
    port = free_port()
    given = {
        "REFIT_UI_API_SERVER": plane.plane.url,
        "REFIT_UI_API_CA_FILE": str(plane.plane.directory / "ca.crt"),
        "REFIT_UI_HOST": "127.0.0.1",
        "REFIT_UI_PORT": str(port),
        "REFIT_UI_CLUSTER_NAME": "test cluster",
        "REFIT_UI_REFRESH_SECONDS": "30",
    } | {f"REFIT_UI_{name.upper()}": value for name, value in more.items()}
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REFIT_UI_")}
    with started([sys.executable, "-m", "refit_ui"], kept | given, folder, f"http://127.0.0.1:{port}") as url:
        yield url


@contextmanager
def started(command: list[str], environment: Mapping[str, str], folder: Path, url: str) -> Iterator[str]:
    """A Streamlit server; its address when it answers."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, env=dict(environment), cwd=folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(url), what=f"an answer of {command[-1]}", within=START_SECONDS, pause=0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_stcore/health", timeout=2).is_success
    except httpx.TransportError:
        return False


def populate(plane: Guarded, url: str = "", runs: Mapping[str, str] | None = None) -> None:
    """What `furnish` makes, with a model that has columns and an address, and requests in every state."""
    furnish(plane)
    heart = model("heart")
    heart["spec"]["data"]["columns"] = COLUMNS
    plane.admin.merge(f"{MODELS}/heart", {"spec": heart["spec"]}).accepted()
    status: dict[str, Any] = {"history": _history(runs or {})}
    if url:
        status["url"] = url
    plane.admin.merge(f"{MODELS}/heart/status", {"status": status}).accepted()
    _rollback(plane)
    for name, action, phase in (("heart-scale-1", "Scale", "Executed"), ("heart-promote-1", "Promote", "Rejected")):
        path = f"{REQUESTS}/{name}"
        plane.who("rita").create(REQUESTS, {**request(name, "rita", action)}).accepted()
        proposal = {"digest": DIGEST, "text": f"{action} heart", "automatic": action == "Scale"}
        plane.write_status(path, {"status": {"observedGeneration": 1, "phase": phase, "proposal": proposal}})


def _history(runs: Mapping[str, str]) -> list[dict[str, Any]]:
    names = {one: runs.get(one, one) for one in ("run1", "run2", "run3")}
    return [
        record(1, "Retired", "0.807018", since=ago(480), until=ago(30), reason="first training", createTime=ago(481),
               algorithm="LogisticRegression", runId=names["run1"]),
        record(2, "Failed", "0.812345", reason="the schedule", message="GoldenMismatch: 2 of 16 answers differ",
               createTime=ago(200), runId=names["run2"]),
        record(3, "Serving", "0.835616", since=ago(30), reason="Retrain by request", createTime=ago(31), runId=names["run3"]),
    ]  # fmt: skip


def _rollback(plane: Guarded) -> None:
    made = request(ROLLBACK, "rita", "Rollback")
    made["spec"]["parameters"] = {"toVersion": 1}
    made["spec"]["note"] = "answers look wrong since Friday"
    plane.who("rita").create(REQUESTS, made).accepted()
    asked = asking("sha256:" + "9f00ba11" * 8)
    asked["status"]["proposal"] |= {
        "text": "Return heart to version 1",
        "change": [{"what": "served version", "from": "version 3", "to": "version 1"}],
        "predictedImpact": {
            "metric": "f1",
            "now": "0.71",
            "predicted": "0.74",
            "low": "0.69",
            "high": "0.79",
            "method": "replay of 412 logged requests",
        },
        "ranking": [{"version": 1, "value": "0.74", "low": "0.69", "high": "0.79", "rows": 412}],
    }
    del asked["status"]["diagnosis"]
    plane.write_status(f"{REQUESTS}/{ROLLBACK}", asked)


def train(mlflow: str, signature: Signature) -> dict[str, str]:
    """Runs of a month with metrics, and for those that serve or served what a training leaves in MLflow; ids by name."""
    experiment = _post(mlflow, "experiments/create", name=f"{TEAM}/heart")["experiment_id"]
    found = {}
    picture = _picture(signature)
    for name, hours, metrics in (
        ("run1", 481.0, OLD_METRICS),
        ("run2", 200.0, {"f1": 0.812345}),
        ("run3", 31.0, NOW_METRICS),
    ):
        found[name] = _run(mlflow, experiment, hours, metrics, outcome="Registered", algorithm=name == "run1")
    for hours, value in ((600.0, 0.79), (350.0, 0.78), (120.0, 0.80), (60.0, 0.79)):
        _run(mlflow, experiment, hours, {"f1": value}, outcome="ChampionKept")
    for file, content in plots.plots(picture).items():
        for name in ("run1", "run3"):  # the one that serves, and one from before the counts were stored
            _upload(mlflow, experiment, found[name], f"plots/{file}", content)
    confusion = plots.confusion(picture)
    if confusion is not None:
        _upload(mlflow, experiment, found["run3"], CONFUSION_FILE, confusion.model_dump_json().encode())
    told = signature.model_dump_json(by_alias=True).encode()
    _upload(mlflow, experiment, found["run3"], "signature.json", told)
    return found


def _picture(signature: Signature) -> plots.Picture:
    random = np.random.default_rng(5)
    truth = random.integers(0, 2, 300)
    chance = np.clip(random.normal(0.5 + (truth - 0.5) * 0.6, 0.22), 0.01, 0.99)
    importances = {
        one.name: float(value) for one, value in zip(signature.inputs, (0.12, 0.08, 0.05, 0.01), strict=False)
    }
    return plots.Picture(
        truth=truth,
        answers=np.column_stack([1 - chance, chance]),
        classes=signature.classes,
        importances=importances,
        metric="f1",
    )


def _run(
    mlflow: str, experiment: str, hours: float, metrics: Mapping[str, float], *, outcome: str, algorithm: bool = False
) -> str:
    from refit.api.times import moment  # noqa: PLC0415  # beside its one use

    began = int(moment(ago(hours)).timestamp() * 1000)
    tags = [{"key": "refit.outcome", "value": outcome}]
    made = _post(mlflow, "runs/create", experiment_id=experiment, start_time=began, tags=tags)["run"]["info"]["run_id"]
    parameters = (
        {"algorithm": "LogisticRegression", "C": "1.0"} if algorithm else {"algorithm": "XGBoost", "max_depth": "3"}
    )
    _post(
        mlflow,
        "runs/log-batch",
        run_id=made,
        metrics=[{"key": key, "value": value, "timestamp": began, "step": 0} for key, value in metrics.items()],
        params=[{"key": key, "value": value} for key, value in parameters.items()],
    )
    _post(mlflow, "runs/update", run_id=made, status="FINISHED", end_time=began + 60_000)
    return str(made)


def _upload(mlflow: str, experiment: str, run: str, path: str, content: bytes) -> None:
    address = f"{mlflow}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{path}"
    httpx.put(address, content=content, timeout=30).raise_for_status()


def _post(mlflow: str, path: str, **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{mlflow}/api/2.0/mlflow/{path}", json=body, timeout=30).raise_for_status()
    return dict(answer.json())
