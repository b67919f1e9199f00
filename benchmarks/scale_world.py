"""The world of the scale benchmark: a live API server, the pieces that run beside it, and what each of them uses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "out" / "operator_scale"
sys.path[:0] = [str(ROOT / "cluster")]

from refit_cluster import golang, kserve  # noqa: E402  # the harness beside this script, which runs without being installed
from refit_cluster.client import Client  # noqa: E402
from refit_cluster.controlplane import ControlPlane, Part, free_ports  # noqa: E402
from refit_cluster.shell import wait_until  # noqa: E402

SYSTEM, OPERATOR, SIMULATOR = "refit-system", "refit-operator", "simulator"
USER = f"system:serviceaccount:{SYSTEM}:{OPERATOR}"
OURS, BARE, REPLAYED = "clinic", "bare", "replayed"
IMAGE = "registry.test/image@sha256:" + "0" * 64
DEPLOYMENTS = "/apis/refit.dev/v1alpha1/namespaces/{}/modeldeployments"
WRITES = ("create", "update", "patch", "delete", "deletecollection")
POLL, QUIET = 0.25, 2.0
"""Seconds between looks, and without a pass until all is said to be done."""
PATIENCE = 900.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Phase:
    """What happened between two moments."""

    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    passes: float = 0.0
    requests: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    others: float = 0.0
    """Processors that processes other than ours kept busy, on average."""

    def each(self, passes: float) -> float:
        """The operator's CPU milliseconds for each of so many."""
        return 1000 * self.cpu["operator"] / passes if passes else 0.0


class Process:
    """An operator as a process, known by what it says of itself."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process, self._port = process, port

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self) -> bool:
        assert self._process.poll() is None, "the operator ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)  # noqa: PLR2004
        except (urllib.error.URLError, OSError):
            return False

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def sums(self, name: str, label: str = "") -> Counter[str]:
        """The series of that name, added up by a label."""
        found: Counter[str] = Counter()
        for (other, labels), value in self.metrics().items():
            if other == name:
                found[dict(labels).get(label, "")] += value  # type: ignore[assignment]  # whole numbers as floats
        return found

    def passes(self) -> float:
        return self.sums("refit_reconcile_total").total()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)
        self._process.wait(timeout=30)


class World:
    """The control plane with all that is needed, and the pieces that run beside it."""

    def __init__(self, plane: ControlPlane, stack: ExitStack) -> None:
        self.plane, self._stack = plane, stack
        self.pids = {"etcd": plane.pid(Part.ETCD), "API server": plane.pid(Part.API_SERVER)}
        self.tracking = ""
        self._simulator: subprocess.Popen[bytes] | None = None

    def admin(self) -> Client:
        """The administrator, on a connection for the moment: the API server closes those that idle."""
        return Client(self.plane.kubeconfig)

    def define(self) -> None:
        """The CRDs of Refit and KServe, what the chart grants, and two namespaces."""
        kubectl = kserve.Kubectl(golang.KUBERNETES.binary(self.plane.places, "kubectl"), self.plane.kubeconfig)
        found = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
        found += kserve.custom_resource_definitions(golang.HELM.binary(self.plane.places, "helm"))
        kubectl.apply(found)
        names = [f"crd/{one['metadata']['name']}" for one in found]
        kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
        granted = list(yaml.safe_load_all((ROOT / "manifests" / "rbac.yaml").read_text()))
        spaces = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            for name in (SYSTEM, OURS, BARE, REPLAYED)
        ]
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": SIMULATOR, "namespace": SYSTEM}}
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": SIMULATOR},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": SIMULATOR, "namespace": SYSTEM}],
        }
        kubectl.apply([*spaces, *granted, account, binding])

    def kubeconfig(self, account: str) -> Path:
        """With a token of that service account: a client's certificate is checked anew with each request."""
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
        with self.admin() as admin:
            path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{account}/token"
            token = admin.create(path, asked).accepted()["status"]["token"]
        config = yaml.safe_load(self.plane.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        found = self.plane.directory / f"{account}.kubeconfig"
        found.write_text(yaml.safe_dump(config))
        return found

    def simulate(self) -> None:
        command = [sys.executable, str(ROOT / "benchmarks" / "simulator.py"), str(self.kubeconfig(SIMULATOR))]
        log = self._stack.enter_context((LOGS / "simulator.log").open("wb"))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        self._stack.callback(_end, process)
        self._simulator = process
        assert process.stdout is not None
        self.tracking = f"http://127.0.0.1:{int(process.stdout.readline())}"
        self.pids["simulator"] = process.pid

    def leave_alone(self) -> None:
        """From now on nobody plays the rest of the cluster."""
        assert self._simulator is not None
        _end(self._simulator)

    def start(self, *command: str, **environment: str) -> Process:
        """An operator, once it is ready."""
        [port] = free_ports(1)
        settings = {
            "REFIT_TRAINER_IMAGE": IMAGE,
            "REFIT_PREDICTOR_IMAGE": IMAGE,
            "REFIT_MONITOR_IMAGE": IMAGE,
            "REFIT_TRACKING_URI": self.tracking or "http://127.0.0.1:9",
            "REFIT_KUBECONFIG": str(self.kubeconfig(OPERATOR)),
            "REFIT_HTTP_PORT": str(port),
            "REFIT_AUDIT_DATABASE": str(self.plane.directory / "audit.db"),
            "REFIT_AUDIT_KEYS": str(_audit_keys(self.plane.directory / "audit-keys")),
            **environment,
        }
        log = self._stack.enter_context((LOGS / f"{Path(command[-1]).stem}.log").open("ab"))
        process = subprocess.Popen([sys.executable, *command], env={**os.environ, **settings}, stdout=log, stderr=log)
        self._stack.callback(_end, process)
        found = Process(process, port)
        wait_until(found.ready, what="an answer of the operator", within=60, pause=0.05)
        self.pids["operator"] = found.pid
        return found

    def declare(self, namespace: str, objects: int) -> None:
        """Creates the ModelDeployments."""
        example = yaml.safe_load((ROOT / "examples" / "heart.yaml").read_text())
        with self.admin() as admin:
            for number in range(objects):
                metadata = {"name": f"heart-{number:04d}", "namespace": namespace}
                admin.create(DEPLOYMENTS.format(namespace), {**example, "metadata": metadata}).accepted()

    def touch(self, namespace: str, objects: int) -> None:
        """A change to each of them that calls for nothing."""
        patch = {"metadata": {"annotations": {"benchmarks/touched": str(time.time())}}}
        with self.admin() as admin:
            for number in range(objects):
                admin.merge(f"{DEPLOYMENTS.format(namespace)}/heart-{number:04d}", patch).accepted()

    def clear(self, namespace: str) -> None:
        with self.admin() as admin:
            admin.delete(DEPLOYMENTS.format(namespace)).accepted()

    def settled(self, operator: Process, passes: float) -> float:
        """Waits until at least so many passes were made and none more comes; the time since which nothing came."""
        last, since = -1.0, time.monotonic()
        for _ in self._patiently():
            now = operator.passes()
            if now != last:
                last, since = now, time.monotonic()
            elif now >= passes and time.monotonic() - since > QUIET:
                return since
        raise TimeoutError(f"{last} of {passes} passes")

    def served(self, operator: Process, objects: int) -> float:
        """Waits until all are Ready; the time."""
        found: Counter[str] = Counter()
        for _ in self._patiently():
            found = operator.sums("refit_models", "reason")
            if found["Serving"] == objects:
                return time.monotonic()
        raise TimeoutError(f"{dict(found)} of {objects}")

    def _patiently(self) -> Iterator[None]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self._simulator is None or self._simulator.poll() is None, "the simulator ended"
            yield
            time.sleep(POLL)

    @contextmanager
    def measured(self, operator: Process, *, since_start: bool = False) -> Iterator[Phase]:
        """Takes the difference of all counters; the time is set by whoever knows when the work was done."""
        phase = Phase()
        audited = self.plane.audit_log.stat().st_size
        began, busy = time.monotonic(), _busy()
        nothing = dict.fromkeys(self.pids, 0.0)
        cpu = nothing if since_start else self.cpu()
        passes, requests = (
            (0.0, Counter[str]())
            if since_start
            else (
                operator.passes(),
                operator.sums("refit_api_requests_total", "verb"),
            )
        )
        yield phase
        after = self.cpu()
        phase.cpu = {name: after[name] - cpu[name] for name in after}
        phase.passes = operator.passes() - passes
        phase.requests = operator.sums("refit_api_requests_total", "verb")
        phase.requests.subtract(requests)
        phase.writes = self._writes(audited)
        ours = sum(phase.cpu.values()) + cpu_of(os.getpid())
        phase.others = max(0.0, (_busy() - busy - ours) / (time.monotonic() - began))

    def cpu(self) -> dict[str, float]:
        return {name: cpu_of(pid) for name, pid in self.pids.items()}

    def _writes(self, offset: int) -> Counter[str]:
        """The operator's writes since then, by the API server's audit log."""
        found: Counter[str] = Counter()
        with self.plane.audit_log.open("rb") as lines:
            lines.seek(offset)
            for line in lines:
                event = json.loads(line)
                if event["user"]["username"] == USER and event["verb"] in WRITES:
                    reference = event["objectRef"]
                    found["/".join(filter(None, (reference["resource"], reference.get("subresource"))))] += 1
        return found


def _audit_keys(folder: Path) -> Path:
    """A key for the operator's audit, without which it does nothing that needs approval."""
    folder.mkdir(exist_ok=True)
    (folder / "k1").write_bytes(os.urandom(48).hex().encode())
    return folder


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _busy() -> float:
    """Seconds of CPU that the machine has used."""
    user, nice, system, _, _, irq, soft = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + soft) / TICKS


def peak(pid: int) -> float:
    """The most memory a process has held, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
