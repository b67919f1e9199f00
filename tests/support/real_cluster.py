"""The real cluster, for tests: the few verbs they need, and waiting with a deadline instead of sleeping for a time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from refit_cluster import golang
from refit_cluster.client import Client
from refit_cluster.places import Places
from refit_cluster.projectimages import references
from refit_cluster.up import Cluster, tool

T = TypeVar("T")

Manifest = dict[str, Any]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
POLL_SECONDS = 0.5
SYSTEM = "refit-system"
ENFORCED = "pod-security.kubernetes.io/enforce"
OPERATOR = "system:serviceaccount:refit-system:refit-operator"


def eventually(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """The first answer that is neither None nor False; fails after the deadline, saying what it waited for."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class RealCluster:
    """A cluster with Refit in it."""

    client: Client
    kubectl: tuple[str, ...]
    audit_log: Path | None
    images: dict[str, str]

    def run(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        """Kubectl with these arguments; its output."""
        done = subprocess.run([*self.kubectl, *arguments], input=text, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def items(self, path: str) -> list[Manifest]:
        found: list[Manifest] = self.client.get(path).accepted()["items"]
        return found

    def get(self, path: str) -> Manifest | None:
        answer = self.client.get(path)
        return None if answer.code == 404 else answer.accepted()

    @property
    def me(self) -> str:
        """The user name of these tests, by which they may make requests."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = self.client.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review).accepted()
        return str(answer["status"]["userInfo"]["username"])

    @contextmanager
    def forwarded(self, service: str, port: int) -> Iterator[str]:
        """Address on this machine of a Service in refit-system; the API server's own proxy would keep our token."""
        command = [*self.kubectl, "port-forward", "-n", SYSTEM, f"service/{service}", f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as forward:
            try:
                assert forward.stdout is not None
                line = forward.stdout.readline()
                found = re.search(r"127\.0\.0\.1:(\d+)", line)
                assert found is not None, line
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                forward.terminate()

    def token(self, namespace: str, audience: str) -> str:
        """A token of the namespace's default ServiceAccount for that audience."""
        return self.run("create", "token", "default", "-n", namespace, f"--audience={audience}").strip()

    def audited(self, verb: str, resource: str, namespace: str) -> list[Manifest]:
        """The API server's own record of such requests that took effect."""
        assert self.audit_log is not None
        return [
            event
            for event in events(self.audit_log, namespace)
            if event["verb"] == verb
            and (event.get("objectRef") or {}).get("resource") == resource
            and (event.get("objectRef") or {}).get("namespace") == namespace
            and event["stage"] == "ResponseComplete"
            and event["responseStatus"]["code"] < 300
        ]


def events(log: Path, about: str) -> Iterator[Manifest]:
    """The audited requests whose line holds that text, the oldest first; the API server begins a new file now and then."""
    for path in (*sorted(log.parent.glob(f"{log.stem}-*{log.suffix}")), log):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                if about in line and line.endswith("\n"):
                    yield json.loads(line)


@dataclass(frozen=True)
class Space:
    """A namespace of one test module's own."""

    cluster: RealCluster
    name: str

    def path(self, group: str, plural: str, name: str = "") -> str:
        base = f"/apis/{group}" if "/" in group else f"/api/{group}"
        return f"{base}/namespaces/{self.name}/{plural}" + (f"/{name}" if name else "")

    def declare(self, name: str, spec: Manifest) -> None:
        """Kubectl apply."""
        manifest = {
            "apiVersion": "refit.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": self.name},
            "spec": spec,
        }
        self.cluster.run("apply", "-f", "-", text=yaml.safe_dump(manifest))

    def deployment(self, name: str) -> Manifest:
        return self.cluster.client.get(self.path("refit.dev/v1alpha1", "modeldeployments", name)).accepted()

    def condition(self, name: str, kind: str) -> Manifest | None:
        """A condition that was judged for the newest generation."""
        found = self.deployment(name)
        status = found.get("status") or {}
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return None
        return next((item for item in status.get("conditions") or [] if item["type"] == kind), None)

    def becomes_ready(self, name: str, seconds: float = 240) -> Manifest:
        """The deployment once it is Ready; fails at once when it is Stalled."""

        def look() -> Manifest | None:
            stalled = self.condition(name, "Stalled")
            assert stalled is None, stalled
            ready = self.condition(name, "Ready")
            return self.deployment(name) if ready is not None and ready["status"] == "True" else None

        return eventually(look, seconds, f"{self.name}/{name} Ready; {self.explain(name)}")

    def becomes_stalled(self, name: str, seconds: float = 240) -> Manifest:
        """The Stalled condition."""
        return eventually(lambda: self.condition(name, "Stalled"), seconds, f"{self.name}/{name} Stalled")

    def explain(self, name: str) -> str:
        ready = self.condition(name, "Ready")
        return str(ready and ready.get("message"))

    def jobs(self) -> list[Manifest]:
        return self.cluster.items(self.path("batch/v1", "jobs"))

    def pods(self, role: str) -> list[Manifest]:
        found = self.cluster.items(self.path("v1", "pods"))
        return [pod for pod in found if (pod["metadata"].get("labels") or {}).get("refit.dev/role") == role]

    def running_trainer(self, seconds: float = 120) -> str:
        """Name of a trainer's pod that runs."""

        def look() -> str | None:
            running = [pod for pod in self.pods("trainer") if pod["status"]["phase"] == "Running"]
            return running[0]["metadata"]["name"] if running else None

        return eventually(look, seconds, f"a trainer runs in {self.name}")

    def ask(self, name: str, path: str, body: object) -> Manifest:
        """A request to the predictor's Service, through the API server."""
        service = self.path("v1", "services", f"{name}-predictor:80/proxy")
        answer = self.cluster.client.request("POST", f"{service}{path}", body=body)  # type: ignore[arg-type]  # any JSON
        return answer.accepted()

    def jobs_ever_created(self) -> list[str]:
        """Names of training Jobs that the operator created here, by the API server's audit log."""
        born = self.cluster.client.get(f"/api/v1/namespaces/{self.name}").accepted()["metadata"]["creationTimestamp"]
        seconds = len("2026-11-21T12:00:00")
        return [
            event["objectRef"]["name"]
            for event in self.cluster.audited("create", "jobs", self.name)
            if event["user"]["username"] == OPERATOR
            and event["requestReceivedTimestamp"][:seconds] >= born[:seconds]
            and "-train-" in event["objectRef"]["name"]
        ]


@contextmanager
def opened() -> Iterator[RealCluster]:
    """The cluster that `make cluster-up` left; raises LookupError that says what to run where there is none."""
    places = Places.from_env(os.environ)
    known = Cluster.read(places)
    if known is None or known.kubeconfig is None:
        raise LookupError("there is no cluster: run `make cluster-up images deploy`, or `make test`")
    kubectl = (str(tool(golang.KUBERNETES, "kubectl", places)), "--kubeconfig", str(known.kubeconfig))
    with Client(known.kubeconfig) as client:
        yield RealCluster(client, kubectl, known.audit_log, references(places))


@contextmanager
def namespace(cluster: RealCluster, name: str, level: str) -> Iterator[Space]:
    """A namespace that enforces that level; it is gone afterwards, and so is all that was in it."""
    found = Space(cluster, name)
    path = f"/api/v1/namespaces/{found.name}"
    if cluster.get(path) is not None:
        cluster.client.delete(path)
        eventually(lambda: cluster.get(path) is None, 120, f"the namespace {found.name} of an earlier run is gone")
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.name, "labels": {ENFORCED: level}}}
    cluster.client.create("/api/v1/namespaces", manifest).accepted()
    yield found
    cluster.client.delete(path)
