"""The kind cluster: its configuration, and a rule for when the one that is there can be kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from refit_cluster import engine, versions
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError, run, succeeds, wait_until

NAME = "refit"
NODE = f"{NAME}-control-plane"
AUDIT_DIRECTORY = "/var/log/kubernetes/audit"
AUDIT_POLICY_FILE = "/etc/kubernetes/audit-policy.yaml"

# From this minor version of Kubernetes on kind writes kubeadm's v1beta4, whose extraArgs are a list of pairs.
FIRST_WITH_V1BETA4 = 36

ADMIN = ("--kubeconfig", "/etc/kubernetes/admin.conf")

# Every request that changes something, and every read but the ones that tick all day.
AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/version", "/openapi/*"]},
        {
            "level": "None",
            "userGroups": ["system:nodes", "system:serviceaccounts:kube-system", "system:authenticated"],
            "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
        },
        {"level": "Metadata"},
    ],
}
AUDIT_ARGUMENTS = {
    "audit-policy-file": AUDIT_POLICY_FILE,
    "audit-log-path": f"{AUDIT_DIRECTORY}/audit.log",
    "audit-log-maxsize": "200",
    "audit-log-maxbackup": "5",
}


def config(*, image: str, kubernetes_minor: int, state: Path) -> dict[str, Any]:
    """What kind is given. The audit log ends up in `state/audit` on the host."""
    arguments: Any = dict(AUDIT_ARGUMENTS)
    if kubernetes_minor >= FIRST_WITH_V1BETA4:
        arguments = [{"name": name, "value": value} for name, value in AUDIT_ARGUMENTS.items()]
    audit = {
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": arguments,
            "extraVolumes": [
                _volume("audit-policy", AUDIT_POLICY_FILE, "File", read_only=True),
                _volume("audit-log", AUDIT_DIRECTORY, "DirectoryOrCreate", read_only=False),
            ],
        },
    }
    return {
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "kind": "Cluster",
        "name": NAME,
        "networking": {"apiServerAddress": "127.0.0.1", "podSubnet": "10.244.0.0/16"},
        "containerdConfigPatches": [
            '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n'
        ],
        "nodes": [
            {
                "role": "control-plane",
                "image": image,
                "kubeadmConfigPatches": [yaml.safe_dump(audit, sort_keys=False)],
                "extraMounts": [
                    {"hostPath": str(state / "audit"), "containerPath": AUDIT_DIRECTORY},
                    {
                        "hostPath": str(state / "audit-policy.yaml"),
                        "containerPath": AUDIT_POLICY_FILE,
                        "readOnly": True,
                    },
                ],
            }
        ],
    }


def _volume(name: str, path: str, path_type: str, *, read_only: bool) -> dict[str, Any]:
    return {"name": name, "hostPath": path, "mountPath": path, "pathType": path_type, "readOnly": read_only}


def is_up(places: Places, image: str, *, within: float = 90) -> bool:
    """The cluster is kept if its node runs this very image and its API server answers, now or after a restart.

    A node that is down, as after a crash of the engine, is started again: what is stored in it is worth the wait.
    """
    if not places.kubeconfig.exists():
        return False
    try:
        running, seen = engine.docker("inspect", "--format", "{{.State.Running}} {{.Config.Image}}", NODE).split()
        if seen != image:
            return False
        if running != "true":
            engine.docker("start", NODE)
        wait_until(_answers, what="an answer of the API server", within=within)
    except HarnessError:
        return False
    return True


def _answers() -> bool:
    return succeeds(
        ["docker", "exec", NODE, "kubectl", *ADMIN, "get", "--raw", "/readyz", "--request-timeout=5s"], timeout=15
    )


def create(places: Places, kind: Path, image: str, kubernetes_minor: int) -> None:
    delete(places, kind)
    (places.state / "audit").mkdir(parents=True)
    (places.state / "audit-policy.yaml").write_text(yaml.safe_dump(AUDIT_POLICY, sort_keys=False))
    text = yaml.safe_dump(config(image=image, kubernetes_minor=kubernetes_minor, state=places.state), sort_keys=False)
    (places.state / "kind.yaml").write_text(text)
    kubeconfig = ("--kubeconfig", places.kubeconfig)
    run([kind, "create", "cluster", "--config", places.state / "kind.yaml", *kubeconfig, "--wait", "180s"], timeout=600)


def delete(places: Places, kind: Path) -> None:
    run([kind, "delete", "cluster", "--name", NAME, "--kubeconfig", places.kubeconfig], timeout=120)
    places.kubeconfig.unlink(missing_ok=True)
    shutil.rmtree(places.state / "audit", ignore_errors=True)


def forget_images(repository: str, keep: frozenset[str]) -> None:
    """Drops a repository's images from the node, but for the digests to keep."""
    ctr = ("exec", NODE, "ctr", "--namespace", "k8s.io", "images")
    dropped = references_to_others(engine.docker(*ctr, "ls"), repository, keep)
    if dropped:
        engine.docker(*ctr, "rm", *dropped)


def references_to_others(listed: str, repository: str, keep: frozenset[str]) -> tuple[str, ...]:
    """Every name that containerd has for such images; one also goes by the digest of its configuration."""
    rows = [(words[0], words[2]) for words in map(str.split, listed.splitlines()[1:]) if len(words) > 2]  # noqa: PLR2004
    others = {digest for name, digest in rows if name.startswith(f"{repository}@")} - keep
    return tuple(name for name, digest in rows if digest in others)


def minor_of(image: str) -> int:
    """35 for an image tagged v1.35.4 or v1.35.4-0123456789ab."""
    return versions.minor(image.partition("@")[0].rpartition(":")[2])
