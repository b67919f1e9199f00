"""The plain manifests, as an API server takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from real_cluster import EXAMPLES, RealCluster

pytestmark = pytest.mark.cluster

ROOT: Path = EXAMPLES.parent


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        pytest.param(["customresourcedefinition"] * 2, ("-f", str(ROOT / "crds")), id="the CRDs"),
        pytest.param(
            [
                "namespace",
                *["serviceaccount"]
                * 4,  # operator, collector, page, and the one that an auditor's token is made out for
                *["clusterrole", "clusterrolebinding"] * 2,
                *["clusterrole"] * 10,
                *["role", "rolebinding"],
                *["validatingadmissionpolicy", "validatingadmissionpolicybinding"] * 2,
                *["configmap"] * 6,  # settings, and five dashboards
                *["service", "persistentvolumeclaim", "deployment"] * 3,
                *["service", "deployment", "networkpolicy"],
            ],
            ("-k", str(ROOT / "manifests")),
            id="the operator, the guard, roles, the collector, MLflow and the page",
        ),
    ],
)
def test_the_api_server_takes_the_manifests(cluster: RealCluster, what: list[str], arguments: tuple[str, ...]) -> None:
    said = cluster.run("apply", "--server-side", "--force-conflicts", "--dry-run=server", *arguments)
    kinds = [line.split("/")[0].split(".")[0] for line in said.splitlines()]
    assert sorted(kinds) == sorted(what)
