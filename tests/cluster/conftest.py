"""The kind cluster that `make cluster-up images deploy` leaves, and a namespace for each module."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from real_cluster import RealCluster, Space, eventually
from refit_cluster import golang
from refit_cluster.client import Client
from refit_cluster.places import Places
from refit_cluster.projectimages import references
from refit_cluster.up import Cluster, tool

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture(scope="session")
def cluster() -> Iterator[RealCluster]:
    places = Places.from_env(os.environ)
    known = Cluster.read(places)
    if known is None or known.kubeconfig is None:
        pytest.fail("there is no cluster: run `make cluster-up images deploy`, or `make test`")
    kubectl = (str(tool(golang.KUBERNETES, "kubectl", places)), "--kubeconfig", str(known.kubeconfig))
    with Client(known.kubeconfig) as client:
        found = RealCluster(client, kubectl, known.audit_log, references(places))
        deployed = found.get("/apis/apps/v1/namespaces/refit-system/deployments/refit-operator")
        if deployed is None:
            pytest.fail("Refit is not installed: run `make deploy`, or `make test`")
        yield found


@pytest.fixture(scope="module")
def space(cluster: RealCluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    """A namespace named after the module; it is gone afterwards, and so is all that was in it.

    It enforces the Pod Security Standard `restricted`: what Refit runs needs no more.
    """
    name = request.module.__name__.rsplit(".", 1)[-1].removeprefix("test_").replace("_", "-")
    found = Space(cluster, f"e2e-{name}")
    path = f"/api/v1/namespaces/{found.name}"
    if cluster.get(path) is not None:
        cluster.client.delete(path)
        eventually(lambda: cluster.get(path) is None, 120, f"the namespace {found.name} of an earlier run is gone")
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": found.name, "labels": RESTRICTED}}
    cluster.client.create("/api/v1/namespaces", manifest).accepted()
    yield found
    cluster.client.delete(path)
