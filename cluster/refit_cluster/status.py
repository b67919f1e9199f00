"""What runs, and where its files are."""

from __future__ import annotations

import json
from pathlib import Path

from refit_cluster import engine, kserve, registry
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError
from refit_cluster.up import Cluster


def text(places: Places) -> str:
    cluster = Cluster.read(places)
    if cluster is None:
        return f"no cluster; `up` makes one (cache: {places.root})\n"
    kubectl = cluster.kubectl(places)
    node = kubectl.succeeds("get", "--raw", "/readyz")
    serving = node and kubectl.succeeds(
        "wait",
        "--for=condition=Available",
        "--timeout=1s",
        f"deployment/{kserve.DEPLOYMENT}",
        "--namespace",
        kserve.NAMESPACE,
    )
    ours = " (started by us)" if engine.is_ours(places) else ""
    lines = {
        "context": f"{cluster.context}, {cluster.source.value}",
        "kubeconfig": str(cluster.kubeconfig or "your own"),
        "engine": ("answers" if engine.answers() else "does not answer") + ours,
        "API server": "ready" if node else "does not answer",
        "KServe": "available" if serving else "not available",
        "registry": f"{cluster.registry}{'' if registry.answers() else ' (does not answer)'}",
        "audit log": str(cluster.audit_log or "not ours to read"),
        "images": str(places.images),
    }
    out = [f"{name + ':':<12}{value}" for name, value in lines.items()]
    if places.images.exists():
        out += [f"  {name}: {reference}" for name, reference in sorted(json.loads(places.images.read_text()).items())]
    return "\n".join(out) + "\n"


def kubeconfig(places: Places) -> Path:
    cluster = Cluster.read(places)
    if cluster is None:
        raise HarnessError("no cluster; run `python -m refit_cluster up` first")
    return cluster.kubeconfig or Path.home() / ".kube" / "config"
