"""Installing Refit's chart with the images as they were pushed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from refit_cluster import golang
from refit_cluster.places import Places
from refit_cluster.projectimages import references
from refit_cluster.shell import HarnessError, run
from refit_cluster.up import Cluster, tool

RELEASE = "refit"
NAMESPACE = "refit-system"


def deploy(checkout: Path, places: Places, more: Sequence[str]) -> str:
    """`helm upgrade --install`; `more` goes to helm as it is. Returns what helm said."""
    cluster = Cluster.read(places)
    known = references(places)
    if cluster is None or not known:
        raise HarnessError("run `python -m refit_cluster up` and `images` first")
    values = places.state / "values.json"
    values.write_text(json.dumps({"images": known}, indent=2) + "\n")
    command: list[str | Path] = [tool(golang.HELM, "helm", places), "upgrade", "--install", RELEASE]
    command += [checkout / "charts" / "refit", "--namespace", NAMESPACE, "--create-namespace", "--values", values]
    command += ["--kube-context", cluster.context]
    if cluster.kubeconfig:
        command += ["--kubeconfig", cluster.kubeconfig]
    return run([*command, "--wait", "--timeout", "5m", *more])
