"""What 500 ModelDeployments cost: the real operator process on a live API server, the rest of the cluster simulated.

    python benchmarks/operator_scale.py [--objects 500] [--json out.json]

etcd and kube-apiserver run alone on this machine; simulator.py plays the Job controller, KServe, the endpoints and
MLflow, each as quick as it can. Measured are the way from the first `create` to the last Ready, a second look at
all of them (nothing may be written, by the API server's own audit log), and a restart. The named alternative runs on
the same API server: bare_operator.py, one server-side status apply per object and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "out" / "operator_scale"
sys.path[:0] = [str(ROOT / "cluster"), str(ROOT / "benchmarks")]

from figures import Figure, table  # noqa: E402  # beside this script, which runs without being installed

from refit_cluster import golang, kserve  # noqa: E402
from refit_cluster.client import Client  # noqa: E402
from refit_cluster.controlplane import ControlPlane, Part, free_ports  # noqa: E402
from refit_cluster.shell import wait_until  # noqa: E402

SYSTEM, OPERATOR, SIMULATOR = "refit-system", "refit-operator", "simulator"
USER = f"system:serviceaccount:{SYSTEM}:{OPERATOR}"
OURS, BARE = "clinic", "bare"
IMAGE = "registry.test/image@sha256:" + "0" * 64
DEPLOYMENTS = "/apis/refit.dev/v1alpha1/namespaces/{}/modeldeployments"
WRITES = ("create", "update", "patch", "delete", "deletecollection")
POLL, QUIET = 0.25, 2.0
"""Seconds between looks, and without a pass until all is said to be done."""
PATIENCE = 900.0
TICKS = os.sysconf("SC_CLK_TCK")

SECONDS_TO_READY, MEBIBYTES = 30.0, 250.0


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
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (SYSTEM, OURS, BARE)
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

    def start(self, *command: str, **environment: str) -> Process:
        """An operator, once it is ready."""
        [port] = free_ports(1)
        settings = {
            "REFIT_TRAINER_IMAGE": IMAGE,
            "REFIT_PREDICTOR_IMAGE": IMAGE,
            "REFIT_TRACKING_URI": self.tracking or "http://127.0.0.1:9",
            "REFIT_KUBECONFIG": str(self.kubeconfig(OPERATOR)),
            "REFIT_HTTP_PORT": str(port),
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
        cpu = nothing if since_start else self._cpu()
        passes, requests = (
            (0.0, Counter[str]())
            if since_start
            else (
                operator.passes(),
                operator.sums("refit_api_requests_total", "verb"),
            )
        )
        yield phase
        after = self._cpu()
        phase.cpu = {name: after[name] - cpu[name] for name in after}
        phase.passes = operator.passes() - passes
        phase.requests = operator.sums("refit_api_requests_total", "verb")
        phase.requests.subtract(requests)
        phase.writes = self._writes(audited)
        ours = sum(phase.cpu.values()) + _cpu(os.getpid())
        phase.others = max(0.0, (_busy() - busy - ours) / (time.monotonic() - began))

    def _cpu(self) -> dict[str, float]:
        return {name: _cpu(pid) for name, pid in self.pids.items()}

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


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _busy() -> float:
    """Seconds of CPU that the machine has used."""
    user, nice, system, _, _, irq, soft = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + soft) / TICKS


def _peak(pid: int) -> float:
    """The most memory a process has held, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(objects: int) -> dict[str, Any]:
    """Every phase by name, and the peaks of memory."""
    LOGS.mkdir(parents=True, exist_ok=True)
    for log in LOGS.glob("*.log"):
        log.unlink()
    with ControlPlane() as plane, ExitStack() as stack:
        world = World(plane, stack)
        world.define()
        bare = world.start(str(ROOT / "benchmarks" / "bare_operator.py"))
        with world.measured(bare) as alone:
            began = time.monotonic()
            world.declare(BARE, objects)
            alone.seconds = world.settled(bare, objects) - began
        bare_peak = _peak(bare.pid)
        bare.stop(signal.SIGKILL)
        world.clear(BARE)

        world.simulate()
        operator = world.start("-m", "refit")
        with world.measured(operator) as life:
            began = time.monotonic()
            world.declare(OURS, objects)
            life.seconds = world.served(operator, objects) - began
            world.settled(operator, objects)
        with world.measured(operator) as second:
            began = time.monotonic()
            world.touch(OURS, objects)
            second.seconds = world.settled(operator, second.passes + objects) - began
        peak = _peak(operator.pid)
        operator.stop()
        began = time.monotonic()
        operator = world.start("-m", "refit")
        with world.measured(operator, since_start=True) as restart:
            restart.seconds = world.settled(operator, objects) - began
        peak = max(peak, _peak(operator.pid))
        with world.admin() as admin:
            stored = admin.get(DEPLOYMENTS.format(OURS)).accepted()["items"]
        assert len(stored) == objects
        assert all(_is_ready(one) for one in stored)
    return {"bare": alone, "life": life, "second": second, "restart": restart, "peak": peak, "bare peak": bare_peak}


def _is_ready(manifest: Mapping[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in manifest["status"]["conditions"])


def figures(found: Mapping[str, Any], objects: int) -> list[Figure]:
    """The measurements as figures."""
    bare, life, second, restart = (found[name] for name in ("bare", "life", "second", "restart"))
    against = "bare operator: one status apply per object"
    bare_pass, life_pass, second_pass = (phase.each(phase.passes) for phase in (bare, life, second))
    return [
        Figure(
            what=f"{objects} ModelDeployments, first create to last Ready",
            value=life.seconds,
            unit="s",
            compared_with=against,
            ratio=life.seconds / bare.seconds,
            at_most=SECONDS_TO_READY if objects == 500 else None,  # noqa: PLR2004
        ),
        Figure(
            what="models made Ready",
            value=objects / life.seconds,
            unit="1/s",
            compared_with=against,
            ratio=bare.seconds / life.seconds,
        ),
        Figure(
            what="operator CPU per ModelDeployment",
            value=life.each(objects),
            unit="ms",
            compared_with=against,
            ratio=life.each(objects) / bare.each(objects),
        ),
        Figure(
            what="operator CPU per pass, on the way to Ready",
            value=life_pass,
            unit="ms",
            compared_with=against,
            ratio=life_pass / bare_pass,
        ),
        Figure(
            what="operator CPU per API request, on the way to Ready",
            value=life.each(life.requests.total()),
            unit="ms",
            compared_with=against,
            ratio=life.each(life.requests.total()) / bare.each(bare.requests.total()),
        ),
        Figure(what="passes per ModelDeployment", value=life.passes / objects, unit=""),
        *(
            Figure(what=f"API requests per ModelDeployment: {verb}", value=count / objects, unit="")
            for verb, count in sorted(life.requests.items())
        ),
        Figure(
            what="CPU of all parts per ModelDeployment",
            value=1000 * sum(life.cpu.values()) / objects,
            unit="ms",
            compared_with=against,
            ratio=sum(life.cpu.values()) / sum(bare.cpu.values()),
        ),
        *(
            Figure(what=f"{name} CPU per ModelDeployment", value=1000 * seconds / objects, unit="ms")
            for name, seconds in life.cpu.items()
            if name != "operator"
        ),
        Figure(what="processors busy with other work meanwhile", value=life.others, unit="of 2"),
        Figure(
            what="operator's peak memory",
            value=found["peak"],
            unit="MiB",
            compared_with=against,
            ratio=found["peak"] / found["bare peak"],
            at_most=MEBIBYTES,
        ),
        Figure(
            what="second look at all: writes by the operator (audit log)",
            value=second.writes.total(),
            unit="",
            at_most=0,
        ),
        Figure(what="second look at all: time", value=second.seconds, unit="s"),
        Figure(
            what="second look at all: operator CPU per pass",
            value=second_pass,
            unit="ms",
            compared_with=against,
            ratio=second_pass / bare_pass,
        ),
        Figure(what="second look at all: passes per ModelDeployment", value=second.passes / objects, unit=""),
        Figure(
            what="second look at all: API requests per pass",
            value=second.requests.total() / second.passes,
            unit="",
        ),
        Figure(what="restart: writes by the operator (audit log)", value=restart.writes.total(), unit="", at_most=0),
        Figure(what="restart: time until all were looked at", value=restart.seconds, unit="s"),
        Figure(what="restart: operator CPU, start included", value=restart.cpu["operator"], unit="s"),
        Figure(what="bare operator: CPU per pass", value=bare_pass, unit="ms"),
        Figure(what="bare operator: first create to last status", value=bare.seconds, unit="s"),
        Figure(what="bare operator: peak memory", value=found["bare peak"], unit="MiB"),
    ]


def run(objects: int = 500) -> list[dict[str, Any]]:
    """One record per figure."""
    return [figure.record() for figure in figures(measure(objects), objects)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=500)
    parser.add_argument("--json", type=Path, help="file for the records")
    given = parser.parse_args()
    records = run(given.objects)
    print(table(records))
    if given.json:
        given.json.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
