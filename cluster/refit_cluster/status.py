"""What runs, and where its files are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from refit_cluster import engine, kserve, registry
from refit_cluster.deploy import NAMESPACE, OPERATOR
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError
from refit_cluster.up import Cluster, Source

GIB = 2**30


def text(places: Places) -> str:
    cluster = Cluster.read(places)
    if cluster is None:
        return f"no cluster; `up` makes one (cache: {places.root})\n"
    kubectl = cluster.kubectl(places)
    answers = kubectl.succeeds("get", "--raw", "/readyz")
    lines = {
        "context": f"{cluster.context}, {cluster.source.value}",
        "kubeconfig": str(cluster.kubeconfig or "your own"),
        "engine": _engine(places) if cluster.source is not Source.CONTEXT else "not needed",
        "API server": f"ready, {_version(kubectl)}" if answers else "does not answer",
        "KServe": _deployment(kubectl, kserve.DEPLOYMENT, kserve.NAMESPACE) if answers else "not known",
        "Refit": _deployment(kubectl, OPERATOR, NAMESPACE) if answers else "not known",
        "registry": f"{cluster.registry}{'' if registry.answers(cluster.registry) else ' (does not answer)'}",
        "audit log": str(cluster.audit_log or "not ours to read"),
        "cache": f"{places.root} ({shutil.disk_usage(places.root).free // GIB} GiB free)",
        "images": str(places.images) if places.images.exists() else "none yet; `images` builds them",
    }
    out = [f"{name + ':':<12}{value}" for name, value in lines.items()]
    if places.images.exists():
        out += [f"  {name}: {reference}" for name, reference in sorted(json.loads(places.images.read_text()).items())]
    return "\n".join(out) + "\n"


def _engine(places: Places) -> str:
    ours = " (started by us)" if engine.is_ours(places) else ""
    return ("answers" if engine.answers() else "does not answer") + ours


def _version(kubectl: kserve.Kubectl) -> str:
    version: str = json.loads(kubectl("get", "--raw", "/version"))["gitVersion"]
    return version


def _deployment(kubectl: kserve.Kubectl, name: str, namespace: str) -> str:
    """What a Deployment says of itself, in one look."""
    found = kubectl("get", "deployment", name, "--namespace", namespace, "--ignore-not-found", "--output", "json")
    if not found:
        return "not installed"
    conditions = json.loads(found).get("status", {}).get("conditions", [])
    ready = any(one["type"] == "Available" and one["status"] == "True" for one in conditions)
    return f"{'available' if ready else 'not available'} in namespace {namespace}"


def kubeconfig(places: Places) -> Path:
    cluster = Cluster.read(places)
    if cluster is None:
        raise HarnessError("no cluster; run `python -m refit_cluster up` first")
    return cluster.kubeconfig or Path.home() / ".kube" / "config"
