from __future__ import annotations

import pytest

from fake_cluster import FakeCluster
from refit.api import meta
from refit.kube.cluster import REMEDIATION_REQUEST
from refit.shell.requests import RequestAnswerer
from simulated import NAMESPACE, model_deployment
from worlds import NOW, SPEC

KEY = (NAMESPACE, "heart-rollback")


def cluster_with(*, target: bool) -> FakeCluster:
    cluster = FakeCluster()
    if target:
        cluster.put(model_deployment(SPEC))
    cluster.put(
        {
            "apiVersion": meta.API_VERSION,
            "kind": meta.REQUEST_KIND,
            "metadata": {"name": KEY[1], "namespace": KEY[0]},
            "spec": {"targetRef": {"name": "heart"}, "action": "Rollback"},
        }
    )
    return cluster


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        pytest.param(True, "NotImplemented", id="a request that can not be carried out yet is told so"),
        pytest.param(False, "TargetNotFound", id="a request for nothing is told so"),
    ],
)
async def test_no_request_is_met_with_silence(target: bool, reason: str) -> None:
    cluster = cluster_with(target=target)
    answerer = RequestAnswerer(cluster=cluster, clock=lambda: NOW)
    for _ in range(3):
        await answerer(KEY)
    [condition] = cluster.objects[REMEDIATION_REQUEST, *KEY]["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Ready", "False", reason)
    assert [verb for verb, _, _ in cluster.journal] == ["status"]
