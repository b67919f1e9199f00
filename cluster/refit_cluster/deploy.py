"""Installing Refit's chart with the images as they were pushed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from refit_cluster import golang
from refit_cluster.kserve import Kubectl
from refit_cluster.places import Places
from refit_cluster.projectimages import references
from refit_cluster.shell import HarnessError, run
from refit_cluster.up import Cluster, Source, tool

RELEASE = "refit"
NAMESPACE = "refit-system"
OPERATOR = "refit-operator"
MONITORING = "refit-monitoring"
"""Where `monitoring` puts Prometheus."""
PROMETHEUS_URL = f"http://prometheus.{MONITORING}.svc:9090"


def deploy(checkout: Path, places: Places, more: Sequence[str]) -> str:
    """`helm upgrade --install`; `more` goes to helm as it is. Returns what helm said."""
    cluster = Cluster.read(places)
    known = references(places)
    if cluster is None or not known:
        raise HarnessError("run `python -m refit_cluster up` and `images` first")
    given: dict[str, object] = {"images": known, "ui": {"enabled": "ui" in known}}
    values = places.state / "values.json"
    if cluster.kubectl(places).succeeds("get", "service", "prometheus", "--namespace", MONITORING):
        given["prometheus"] = {"url": PROMETHEUS_URL}
    values.write_text(json.dumps(given, indent=2) + "\n")
    if cluster.source is not Source.CONTEXT:
        forget_interrupted(cluster.kubectl(places))
    command: list[str | Path] = [tool(golang.HELM, "helm", places), "upgrade", "--install", RELEASE]
    command += [checkout / "charts" / "refit", "--namespace", NAMESPACE, "--create-namespace", "--values", values]
    command += ["--kube-context", cluster.context]
    if cluster.kubeconfig:
        command += ["--kubeconfig", cluster.kubeconfig]
    return run([*command, "--wait", "--timeout", "5m", *more])


def forget_interrupted(kubectl: Kubectl, release: str = RELEASE, namespace: str = NAMESPACE) -> None:
    """Removes the record of an operation that was killed, of which Helm would say for ever that it is in progress.

    What it had already applied stays, and carries the release's name: the next operation takes it over. The caller
    holds the lock, so no Helm of ours is at work; in somebody else's cluster there may be another.
    """
    pending = f"owner=helm,name={release},status in (pending-install,pending-upgrade,pending-rollback)"
    kubectl("delete", "secret", "--namespace", namespace, "--selector", pending, "--ignore-not-found")
