"""The kind cluster that `make cluster-up images deploy` leaves, and a namespace for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from real_cluster import RealCluster, Space, namespace, opened


@pytest.fixture(scope="session")
def cluster() -> Iterator[RealCluster]:
    with opened() as found:
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
