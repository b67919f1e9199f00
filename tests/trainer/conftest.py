"""What the trainer's tests stand on: made-up data, the sample data sets, and real servers that start once."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from clinics import Clinic
from collector_process import Running, started
from refit_cluster import debian
from refit_trainer.orders import Order, from_manifest

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("REFIT_CACHE") or Path.home() / ".cache" / "refit")
POSTGRES_PASSWORD = "made-up-for-tests"
VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

Write = Callable[..., bytes]
Ordered = Callable[..., Order]


def patients(rows: int = 200, seed: int = 7, **columns: object) -> dict[str, list[object]]:
    """A healthy data set: two numbers, two categories, and an answer that follows from them but for noise."""
    random = np.random.default_rng(seed)
    age = random.integers(30, 80, rows)
    dose = np.round(random.normal(5, 2, rows), 2)
    site = random.choice(["north", "south", "east"], rows)
    smoker = random.choice(["yes", "no"], rows)
    risk = (age - 55) / 12 + (dose - 5) / 2 + (site == "north") - 0.5 * (smoker == "no") + random.normal(0, 0.8, rows)
    table: dict[str, list[object]] = {
        "age": age.tolist(),
        "dose": dose.tolist(),
        "site": site.tolist(),
        "smoker": smoker.tolist(),
        "ill": ["yes" if value > 0 else "no" for value in risk],
        "stage": [str(int(np.clip(value + 1, 0, 2))) for value in risk],
        "cost": np.round(1000 + 400 * risk, 2).tolist(),
    }
    return table | {name: list(values) for name, values in columns.items()}  # type: ignore[call-overload]  # test shorthand


def as_csv(table: Mapping[str, list[object]]) -> bytes:
    lines = [",".join(table)] + [
        ",".join("" if v is None else str(v) for v in row) for row in zip(*table.values(), strict=True)
    ]
    return ("\n".join(lines) + "\n").encode()


def manifest(**changes: Any) -> dict[str, Any]:
    """A ModelDeployment about `patients`; keyword arguments with `__` change nested fields."""
    made: dict[str, Any] = {
        "apiVersion": "refit.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "ward", "namespace": "clinic", "uid": "u-1", "generation": 3},
        "spec": {
            "task": "Classification",
            "data": {
                "source": {"uri": "https://data.example/patients.csv"},
                "target": {"column": "ill", "positiveWhen": "== yes"},
                "ignore": ["stage", "cost"],
            },
            "training": {
                "candidates": [{"algorithm": "LogisticRegression"}],
                "folds": 3,
                "selection": {"metric": "f1", "minimum": "0.5"},
            },
        },
    }
    for path, value in changes.items():
        place = made
        *parents, last = path.split("__")
        for parent in parents:
            place = place[parent]
        place[last] = value
    return made


REGRESSION = {
    "spec__task": "Regression",
    "spec__data__target": {"column": "cost"},
    "spec__data__ignore": ["stage", "ill"],
    "spec__training__candidates": [{"algorithm": "LinearRegression"}],
    "spec__training__selection": {"metric": "rmse"},
}
STAGES = {
    "spec__data__target": {"column": "stage"},
    "spec__data__ignore": ["cost", "ill"],
    "spec__training__selection": {"metric": "f1"},
}


@dataclass(frozen=True)
class Made:
    """The builders above, as one value that tests take."""

    patients: Callable[..., dict[str, list[Any]]] = patients
    csv: Callable[[Mapping[str, list[Any]]], bytes] = as_csv
    manifest: Callable[..., dict[str, Any]] = manifest
    regression: Any = None
    stages: Any = None

    def order(self, **changes: Any) -> Order:
        return from_manifest(self.manifest(**changes))


@pytest.fixture(scope="session")
def made() -> Made:
    return Made(regression=REGRESSION, stages=STAGES)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The sample data sets, as the image build makes them."""
    folder = CACHE / "samples"
    subprocess.run([sys.executable, str(ROOT / "trainer_image" / "samples.py"), str(folder)], check=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def mlflow_starting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path] | None]:
    """A real MLflow server with one worker and a database of its own, if a test wants it; it starts while others run."""
    if not any("mlflow_uri" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    folder = tmp_path_factory.mktemp("mlflow")
    with _mlflow(folder, f"sqlite:///{folder}/mlflow.db") as address:
        yield address, folder / "log"


@contextmanager
def _mlflow(folder: Path, database: str) -> Iterator[str]:
    """A server as manifests/mlflow.yaml starts it, its log in `folder`; the address, which may not answer yet."""
    port = _free_port()
    command = [str(Path(sys.executable).with_name("mlflow")), "server", "--workers", "1", "--serve-artifacts"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port)]
    settings = {
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "log").open("w") as log, _running(command, os.environ | settings, log):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def mlflow_uri(mlflow_starting: tuple[str, Path]) -> str:
    """The address of the MLflow server, once it answers."""
    uri, log = mlflow_starting
    _answering(f"{uri}/health", log)
    return uri


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of an empty database on a PostgreSQL server of its own, which is gone afterwards."""
    programs = _postgres_programs()
    port = _free_port()
    # The server refuses to run as root; and pytest's own directories are closed to everyone else.
    nobody = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="refit-postgres-"))
    try:
        (folder / "password").write_text(POSTGRES_PASSWORD)
        for path in (folder, folder / "password"):
            if nobody:
                shutil.chown(path, **nobody)
        command = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "mlflow", "-A", "scram-sha-256"]
        command += ["--pwfile", str(folder / "password"), "-E", "UTF8", "--locale", "C", "--no-sync"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **nobody)  # type: ignore[call-overload]  # a user and a group, or nothing
        serve = [str(programs / "postgres"), "-D", str(folder / "data"), "-c", "listen_addresses=127.0.0.1"]
        serve += ["-c", f"port={port}", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        with (folder / "log").open("w") as log, _running(serve, os.environ, log, **nobody):
            _listening(port, folder / "log")
            yield f"postgresql://mlflow:{POSTGRES_PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder)


def _postgres_programs() -> Path:
    """Where PostgreSQL's server is; Debian keeps it off PATH, and where it is missing the harness installs Debian's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found and shutil.which("postgres") is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            pytest.skip("no PostgreSQL server here, and none can be installed: that takes root and apt-get")
        print("installing with apt-get: postgresql")  # noqa: T201  # what is done to a machine is said
        debian.install(("postgresql",))
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else Path(str(shutil.which("postgres"))).resolve().parent


@pytest.fixture
def mlflow_on_postgres(postgres: str, tmp_path: Path) -> Iterator[str]:
    """The address of an MLflow server whose runs and versions are in PostgreSQL, named as docs/install.md names it."""
    with _mlflow(tmp_path, postgres) as address:
        _answering(f"{address}/health", tmp_path / "log")
        yield address


@pytest.fixture(scope="session")
def collecting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A real collector."""
    with started(tmp_path_factory.mktemp("collector")) as running:
        yield running


@pytest.fixture
def clinic(made: Made, mlflow_uri: str, collecting: Running, tmp_path: Path, request: pytest.FixtureRequest) -> Clinic:
    """A model of its own for each test; its name, and so which requests are held out, follows from the test's."""
    name = "c" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    return Clinic(made, mlflow_uri, collecting, tmp_path, name)


@dataclass(frozen=True)
class Store:
    """A real S3 server: the Secret that opens it, and the folder whose subfolders are its buckets."""

    secret: dict[str, str]
    folder: Path


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Versity's S3 gateway over a folder; built once from Go modules into the cache outside the checkout."""
    binary = CACHE / "bin" / "versitygw" / "versitygw"
    if not binary.exists():
        go = shutil.which("go")
        if go is None:  # `make cluster-up`, which `make test` runs first, cannot do without; `make test-unit` can
            pytest.skip("no go to build the S3 server with")
        environment = os.environ | {"GOBIN": str(binary.parent), "GOFLAGS": "-modcacherw"}
        subprocess.run([go, "install", VERSITYGW], check=True, env=environment, cwd=tmp_path_factory.mktemp("go"))
    folder = tmp_path_factory.mktemp("s3")
    port = _free_port()
    secret = {
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "made-up-for-tests",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    keys = {"ROOT_ACCESS_KEY": secret["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": secret["AWS_SECRET_ACCESS_KEY"]}
    command = [str(binary), "--port", f"127.0.0.1:{port}", "--health", "/health", "posix", "--nometa", str(folder)]
    with (tmp_path_factory.mktemp("s3log") / "log").open("w") as log, _running(command, os.environ | keys, log):
        _answering(f"http://127.0.0.1:{port}/health", Path(log.name))
        yield Store(secret=secret, folder=folder)


class _running:  # noqa: N801 - reads as a verb
    """A child process for the length of a block."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Any, **who: Any) -> None:
        self._process = subprocess.Popen(
            command, env=dict(environment), stdout=log, stderr=log, start_new_session=True, **who
        )

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, 15)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listening(port: int, log: Path, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)  # a server that is starting
    raise TimeoutError(f"nothing listens on {port}:\n{log.read_text()[-2000:]}")


def _answering(address: str, log: Path, seconds: float = 90.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if httpx.get(address, timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)  # a server that is starting; the only thing here that takes time by itself
    raise TimeoutError(f"{address} does not answer:\n{log.read_text()[-2000:]}")
