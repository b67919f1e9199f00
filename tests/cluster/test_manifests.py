"""The plain manifests, as an API server takes them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from real_cluster import EXAMPLES, RealCluster

pytestmark = pytest.mark.cluster

ROOT: Path = EXAMPLES.parent


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        pytest.param({"customresourcedefinition": 2}, ("-f", str(ROOT / "crds")), id="the CRDs"),
        pytest.param(
            {
                "namespace": 1,
                "serviceaccount": 4,  # operator, collector, page, and the one that an auditor's token is made out for
                "clusterrole": 13,  # operator, collector, viewer, requester, seven approvers, auditor, tracer
                "clusterrolebinding": 2,
                "role": 2,  # what the auditor and the tracer may do beside the operator
                "rolebinding": 1,
                "validatingadmissionpolicy": 2,
                "validatingadmissionpolicybinding": 2,
                "configmap": 6,  # settings, and five dashboards
                "deployment": 4,
                "service": 4,
                "persistentvolumeclaim": 3,
                "networkpolicy": 1,
            },
            ("-k", str(ROOT / "manifests")),
            id="the operator, the guard, roles, the collector, MLflow and the page",
        ),
    ],
)
def test_the_api_server_takes_the_manifests(
    cluster: RealCluster, what: dict[str, int], arguments: tuple[str, ...]
) -> None:
    said = cluster.run("apply", "--server-side", "--force-conflicts", "--dry-run=server", *arguments)
    assert Counter(line.split("/")[0].split(".")[0] for line in said.splitlines()) == what
