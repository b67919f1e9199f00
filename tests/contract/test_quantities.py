"""Quantities in the types are in the form that Kubernetes gives its own, so that what is applied equals what is read."""

from __future__ import annotations

import pytest

from refit.api.base import ComputeResources
from refit_cluster.client import Client

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("amount", [0, 1, 512, "2", "0.5", "0.001", "1.50", "1.0", "1000m", "1500m", "250m", "0.10"])
def test_a_processor_is_written_as_kubernetes_writes_it(admin: Client, amount: int | str) -> None:
    assert ComputeResources.model_validate({"cpu": amount}).wire() == {
        "cpu": as_kubernetes_writes(admin, "cpu", amount)
    }


@pytest.mark.parametrize(
    "amount",
    [
        *(16777216, 2147483648, 2000000000, "16777216", "1500", "1000", "1000k", "1500M", "1000M", "16000G", "1T"),
        *("16384Ki", "1000Ki", "1024Mi", "1536Mi", "2048Mi", "1048576Ki", "1Gi", "1024Gi", "16Ti", "100Ti"),
    ],
)
def test_memory_is_written_as_kubernetes_writes_it(admin: Client, amount: int | str) -> None:
    expected = as_kubernetes_writes(admin, "memory", amount)
    assert ComputeResources.model_validate({"memory": amount}).wire() == {"memory": expected}


@pytest.mark.parametrize("text", ["10Gb", "-1", "1e30", "", "0.5m", "007", "one"])
def test_what_is_no_quantity_of_ours_is_left_as_it_is(text: str) -> None:
    assert ComputeResources.model_validate({"cpu": text, "memory": text}).wire() == {"cpu": text, "memory": text}


def as_kubernetes_writes(admin: Client, name: str, amount: int | str) -> str:
    container = {"name": "c", "image": "i", "resources": {"requests": {name: amount}}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}
    stored = admin.create("/api/v1/namespaces/default/pods", pod, dryRun="All").accepted()
    written: str = stored["spec"]["containers"][0]["resources"]["requests"][name]
    return written
