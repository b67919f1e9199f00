"""etcd and the API server alone: a real API in a few seconds, for tests that need its rules but no pods.

RBAC and admission act as in any cluster, requests are written to an audit log, and each process can be stopped,
frozen or killed to see what a client makes of it. KServe's controller can be added: it makes Deployments and Services
of InferenceServices as in any cluster, though nothing makes pods of those.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from refit_cluster import certificates, golang, kind, kserve
from refit_cluster.certificates import Pair
from refit_cluster.lock import exclusive
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError, found, wait_until

HOST = "127.0.0.1"
ADMIN_GROUP = "system:masters"


class Part(Enum):
    ETCD = "etcd"
    API_SERVER = "kube-apiserver"
    KSERVE = "kserve"


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; held together first, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


class ControlPlane:
    """A context manager; everything it makes is in one temporary directory and gone at the end.

    with ControlPlane() as plane:
        subprocess.run(["kubectl", "--kubeconfig", plane.kubeconfig, "get", "namespaces"])
    """

    def __init__(self, places: Places | None = None, *, extra_arguments: Sequence[str] = ()) -> None:
        self.places = places or Places.from_env(os.environ)
        self._extra = tuple(extra_arguments)
        # Where a killed test run would leave its processes behind, the kernel ends them with it.
        self._until_we_end = ("setpriv", "--pdeathsig", "KILL", "--") if found("setpriv") else ()
        self._commands: dict[Part, list[str]] = {}
        self._environments: dict[Part, Mapping[str, str]] = {}
        self._probes: dict[Part, str] = {}
        self._running: dict[Part, subprocess.Popen[bytes]] = {}
        self._directory: Path | None = None

    def __enter__(self) -> Self:
        self._build(golang.KUBERNETES, golang.ETCD)
        self._directory = Path(tempfile.mkdtemp(prefix="refit-plane-"))
        try:
            self._configure()
            self.start(Part.ETCD)
            self.start(Part.API_SERVER)
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def directory(self) -> Path:
        if self._directory is None:
            raise HarnessError("the control plane is not started: use it as a context manager")
        return self._directory

    @property
    def kubeconfig(self) -> Path:
        """An administrator's, in group system:masters."""
        return self.directory / "admin.kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    def log(self, part: Part) -> Path:
        return self.directory / f"{part.value}.log"

    def kubeconfig_for(self, user: str, *groups: str) -> Path:
        """A kubeconfig with a client certificate for this user in these groups, embedded."""
        name = "user-" + "".join(letter if letter.isalnum() else "-" for letter in "-".join((user, *groups)))
        path = self.directory / f"{name}.kubeconfig"
        pair = certificates.signed(self._ca, self.directory, name, user=user, groups=groups)
        path.write_text(yaml.safe_dump(kubeconfig(self.url, self._ca, pair, user)))
        path.chmod(0o600)
        return path

    def start_kserve(self, within: float = 60) -> None:
        """Installs KServe's CRDs and configuration, and runs its real controller; returns when its webhooks answer."""
        self._build(golang.KSERVE, golang.HELM)
        helm = golang.HELM.binary(self.places, "helm")
        kubectl = kserve.Kubectl(golang.KUBERNETES.binary(self.places, "kubectl"), self.kubeconfig)
        webhook, probe = free_ports(2)
        self._probes[Part.KSERVE] = f"http://{HOST}:{probe}/readyz"
        self._commands[Part.KSERVE] = [
            str(golang.KSERVE.binary(self.places, "manager")),
            *("--webhook-port", str(webhook)),
            *("--health-probe-addr", f"{HOST}:{probe}"),
            *("--metrics-addr", "0"),
        ]
        temporary = self.directory / "kserve"
        self._environments[Part.KSERVE] = {
            "KUBECONFIG": str(self.kubeconfig),
            "POD_NAMESPACE": kserve.NAMESPACE,
            "TMPDIR": str(temporary),
        }
        # The one place where the controller looks for its certificate is below the directory for temporary files.
        serving = temporary / "k8s-webhook-server" / "serving-certs"
        serving.mkdir(parents=True)
        pair = certificates.signed(self._ca, serving, "tls", user="kserve-webhook", hosts=(HOST,))
        assert (pair.certificate.name, pair.key.name) == ("tls.crt", "tls.key")  # noqa: S101
        definitions = kserve.custom_resource_definitions(helm)
        manifests = kserve.resources(helm, kserve.Images.published())
        kubectl.apply([*definitions, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kserve.NAMESPACE}}])
        names = [f"crd/{one['metadata']['name']}" for one in definitions]
        kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
        url = f"https://{HOST}:{webhook}"
        kubectl.apply(kserve.for_a_process(manifests, url, _encoded(self._ca.certificate)))
        self.start(Part.KSERVE)
        self.wait_ready(within)
        wait_until(
            lambda: kubectl.succeeds("create", "--dry-run=server", "-f", "-", feed=kserve.PROBE),
            what="an answer of KServe's webhook",
            within=within,
        )

    def _build(self, *programs: golang.Program) -> None:
        if all(golang.is_built(program, self.places) for program in programs):
            return
        with exclusive(self.places.lock, out=sys.stderr):
            for program in programs:
                golang.build(program, self.places)

    # -- the processes

    def start(self, part: Part) -> None:
        """Starts the process. Call it in a thread that lasts: where the kernel can, it ends the process with that thread."""
        if part in self._running and self._running[part].poll() is None:
            return
        with self.log(part).open("ab") as out:
            self._running[part] = subprocess.Popen(
                [*self._until_we_end, *self._commands[part]],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self._environments.get(part, {})},
                start_new_session=True,
            )

    def pid(self, part: Part) -> int:
        return self._running[part].pid

    def kill(self, part: Part) -> None:
        """Ends the process at once (SIGKILL), as a crash would."""
        self._running[part].kill()
        self._running[part].wait()

    def restart(self, part: Part) -> None:
        """Kills and starts again; returns when all that run answer."""
        self.kill(part)
        self.start(part)
        self.wait_ready()

    def freeze(self, part: Part) -> None:
        """The process keeps its connections and answers nothing (SIGSTOP) until `thaw`."""
        self._running[part].send_signal(signal.SIGSTOP)

    def thaw(self, part: Part) -> None:
        self._running[part].send_signal(signal.SIGCONT)

    def is_ready(self) -> bool:
        return all(self._answers(url) for part, url in self._probes.items() if part in self._running)

    def _answers(self, url: str) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2, context=self._tls) as reply:  # noqa: S310
                return bool(reply.status == HTTPStatus.OK)
        except (urllib.error.URLError, OSError):
            return False

    def wait_ready(self, within: float = 60) -> None:
        def ready() -> bool:
            for part, process in self._running.items():
                if process.poll() is not None:
                    tail = "\n".join(self.log(part).read_text(errors="replace").splitlines()[-10:])
                    raise HarnessError(f"{part.value} ended with {process.returncode}:\n{tail}")
            return self.is_ready()

        wait_until(ready, what="an answer of the control plane", within=within, pause=0.05)

    def close(self) -> None:
        for process in reversed(list(self._running.values())):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self._running.clear()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    # -- the configuration

    def _configure(self) -> None:
        client, peer, api = free_ports(3)
        here = self.directory
        self.url = f"https://{HOST}:{api}"
        self._probes[Part.API_SERVER] = f"{self.url}/readyz"
        self._ca = certificates.authority(here, "ca")
        hosts = (HOST, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1")
        server = certificates.signed(self._ca, here, "server", user="kube-apiserver", hosts=hosts)
        accounts = here / "accounts.key"
        certificates.new_key(accounts)
        self._tls = ssl.create_default_context(cafile=str(self._ca.certificate))
        policy = here / "audit-policy.yaml"
        policy.write_text(json.dumps(kind.AUDIT_POLICY))
        etcd_url = f"http://{HOST}:{client}"
        self._commands[Part.ETCD] = [
            str(golang.ETCD.binary(self.places, "etcd")),
            f"--data-dir={here / 'etcd'}",
            f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}",
            f"--listen-peer-urls=http://{HOST}:{peer}",
            f"--initial-advertise-peer-urls=http://{HOST}:{peer}",
            f"--initial-cluster=default=http://{HOST}:{peer}",
            # A test's data need not survive the machine, only the process.
            "--unsafe-no-fsync",
        ]
        self._commands[Part.API_SERVER] = [
            str(golang.KUBERNETES.binary(self.places, "kube-apiserver")),
            f"--etcd-servers={etcd_url}",
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",
            f"--secure-port={api}",
            f"--tls-cert-file={server.certificate}",
            f"--tls-private-key-file={server.key}",
            f"--client-ca-file={self._ca.certificate}",
            f"--service-account-key-file={accounts}",
            f"--service-account-signing-key-file={accounts}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",
            "--authorization-mode=Node,RBAC",
            # No controller makes the default service account here, without which no pod would be admitted.
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            *self._extra,
        ]
        admin = certificates.signed(self._ca, here, "admin", user="admin", groups=[ADMIN_GROUP])
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig(self.url, self._ca, admin, "admin")))
        self.kubeconfig.chmod(0o600)


def kubeconfig(url: str, ca: Pair, pair: Pair, user: str) -> dict[str, object]:
    """Everything embedded, so that the file can be copied anywhere."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "refit-plane",
        "contexts": [{"name": "refit-plane", "context": {"cluster": "refit-plane", "user": user}}],
        "clusters": [
            {"name": "refit-plane", "cluster": {"server": url, "certificate-authority-data": _encoded(ca.certificate)}}
        ],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": _encoded(pair.certificate), "client-key-data": _encoded(pair.key)},
            }
        ],
    }


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
