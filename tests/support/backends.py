"""A real collector and a real MLflow as Services of a control plane without pods: what is behind the API server's proxy.

No kubelet runs there, so the processes run beside it, and Endpoints written by hand name an address of this machine:
the API server sends nothing to the loopback one.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from collector_process import ADMIN_TOKEN, event, free_port, lines, started
from guarded import SYSTEM, TEAM, Guarded, shipped
from plugin import MODELS, ago
from refit_cluster.shell import wait_until

INFERENCE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARAMETERS = {"run1": {"C": "1.0"}, "run3": {"max_depth": "3", "n_estimators": "200"}}
"""Of the runs of the model's versions; MLflow itself gives runs their ids."""


@dataclass
class Backends:
    """`runs` is by the name that a run has in the world of the tests; `collector` and `mlflow` are direct addresses."""

    collector: str
    mlflow: str
    runs: dict[str, str] = field(default_factory=dict)

    @property
    def renamed(self) -> dict[str, str]:
        """The ids that MLflow made up, and what the documentation has in their place."""
        return {real: name[-1] * len(real) for name, real in self.runs.items()}


def own_address() -> str | None:
    """An address of this machine that is not loopback; None if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: this only chooses where one would send from
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return None if found.startswith("127.") else found


@contextmanager
def backends(plane: Guarded, folder: Path, address: str) -> Iterator[Backends]:
    """Both running, known to the API server and to the operator's settings; one inference of heart's version 3 is kept."""
    with ExitStack() as stack:
        collector = stack.enter_context(_collector(plane, folder / "collector"))
        mlflow = stack.enter_context(_mlflow(folder / "mlflow"))
        found = Backends(f"http://127.0.0.1:{collector}", f"http://127.0.0.1:{mlflow}")
        _service(plane, "refit-collector", 8080, address, collector)
        _service(plane, "mlflow", 5000, address, mlflow)
        settings = {
            "REFIT_COLLECTOR_URL": "http://refit-collector.refit-system.svc:8080",
            "REFIT_TRACKING_URI": "http://mlflow.refit-system.svc:5000",
        }
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "refit-settings"}, "data": settings}
        plane.admin.create(f"/api/v1/namespaces/{SYSTEM}/configmaps", manifest).accepted()
        found.runs = {name: _run(found.mlflow, parameters) for name, parameters in PARAMETERS.items()}
        _infer(found.collector)
        yield found


def name_runs(plane: Guarded, found: Backends) -> None:
    """The runs of heart's versions as MLflow knows them."""
    history = plane.admin.get(f"{MODELS}/heart").accepted()["status"]["history"]
    for record in history:
        record["runId"] = found.runs.get(record["runId"], record["runId"])
    plane.admin.merge(f"{MODELS}/heart/status", {"status": {"history": history}}).accepted()


@contextmanager
def _collector(plane: Guarded, folder: Path) -> Iterator[int]:
    """Its port. It asks the API server whose a token is, with a token of its own."""
    folder.mkdir()
    plane.put(*(one for one in shipped("manifests/collector.yaml") if one["kind"] in {"ServiceAccount", "ClusterRole"}))
    binding = next(one for one in shipped("manifests/collector.yaml") if one["kind"] == "ClusterRoleBinding")
    plane.put(
        binding, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": TEAM}}
    )
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = plane.admin.create(f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/refit-collector/token", body).accepted()
    (folder / "token").write_text(token["status"]["token"])
    port = free_port()
    given = {
        "REFIT_COLLECTOR_HOST": "0.0.0.0",  # noqa: S104  # the API server comes by another address than loopback
        "REFIT_COLLECTOR_API_SERVER": plane.plane.url,
        "REFIT_COLLECTOR_API_CA_FILE": str(plane.plane.directory / "ca.crt"),
        "REFIT_COLLECTOR_API_TOKEN_FILE": str(folder / "token"),
    }
    with started(folder, port, **given):
        yield port


@contextmanager
def _mlflow(folder: Path) -> Iterator[int]:
    """Its port. It answers to the names that manifests/mlflow.yaml allows, and to no other."""
    folder.mkdir()
    (deployment,) = [one for one in shipped("manifests/mlflow.yaml") if one["kind"] == "Deployment"]
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    allowed = next(one for one in arguments if one.startswith("--allowed-hosts="))
    port = free_port()
    command = [str(Path(sys.executable).with_name("mlflow")), "server", "--workers", "1", "--serve-artifacts"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--host", "0.0.0.0", "--port", str(port), allowed]  # noqa: S104  # as above
    settings = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log)
    try:
        wait_until(lambda: _healthy(f"http://127.0.0.1:{port}"), what="an answer of MLflow", within=300, pause=0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).is_success
    except httpx.TransportError:
        return False


def _run(url: str, parameters: dict[str, str]) -> str:
    """A finished run with these parameters; its id."""

    def post(path: str, **body: Any) -> dict[str, Any]:
        answer = httpx.post(f"{url}/api/2.0/mlflow/{path}", json=body, timeout=30).raise_for_status()
        return dict(answer.json())

    found = str(post("runs/create", experiment_id="0")["run"]["info"]["run_id"])
    for name, value in parameters.items():
        post("runs/log-parameter", run_id=found, key=name, value=value)
    post("runs/update", run_id=found, status="FINISHED")
    return found


def _infer(url: str) -> None:
    answer = httpx.post(
        f"{url}/v1/namespaces/{TEAM}/models/heart/events",
        content=lines(event(INFERENCE, version=3, time=ago(0.5))),
        headers={"authorization": f"Bearer {ADMIN_TOKEN}", "content-type": "application/x-ndjson"},
        timeout=30,
    )
    answer.raise_for_status()


def _service(plane: Guarded, name: str, port: int, address: str, target: int) -> None:
    """A Service without pods, and by hand where it leads."""
    metadata = {"name": name, "namespace": SYSTEM}
    place = f"/api/v1/namespaces/{SYSTEM}"
    ports = [{"name": "http", "port": port, "targetPort": target}]
    plane.admin.create(
        f"{place}/services", {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}}
    ).accepted()
    # The API server leads on only to what a pod of that name has as its address.
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    plane.admin.create(f"{place}/pods", pod).accepted()
    there = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    plane.admin.merge(f"{place}/pods/{name}/status", {"status": there}).accepted()
    target_ref = {"kind": "Pod", "name": name, "namespace": SYSTEM}
    subset = {
        "addresses": [{"ip": address, "targetRef": target_ref}],
        "ports": [{"name": "http", "port": target}],
    }
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset]}
    plane.admin.create(f"{place}/endpoints", endpoints).accepted()
