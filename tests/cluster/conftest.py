"""The kind cluster that `make cluster-up images deploy` leaves, and a namespace for each module."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from real_cluster import RealCluster, Space, namespace
from refit_cluster import golang
from refit_cluster.client import Client
from refit_cluster.places import Places
from refit_cluster.projectimages import references
from refit_cluster.up import Cluster, tool


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
    """A namespace named after the module.

    It enforces the Pod Security Standard `restricted`, since what Refit runs needs no more; a module whose model needs
    more of KServe says so in POD_SECURITY.
    """
    name = request.module.__name__.rsplit(".", 1)[-1].removeprefix("test_").replace("_", "-")
    with namespace(cluster, f"e2e-{name}", getattr(request.module, "POD_SECURITY", "restricted")) as found:
        yield found
