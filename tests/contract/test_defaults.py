"""What is left out means the same to the API server and to the types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from refit.api import meta
from refit.api.deploymentstatus import ModelDeploymentStatus
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.remediationrequest import RemediationRequestSpec, RemediationRequestStatus
from refit_cluster.client import Client

pytestmark = pytest.mark.contract

PLACE = f"/apis/{meta.API_VERSION}/namespaces/default"
SOURCE = {"uri": "https://data.example/heart.csv"}
TARGET = {"column": "num"}
CANDIDATES = [{"algorithm": "XGBoost"}]
DATA = {"source": SOURCE, "target": TARGET}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"data": DATA, "training": {"candidates": CANDIDATES}}, id="of nothing but what is required"),
        pytest.param(
            {
                "data": {**DATA, "columns": [{"name": "num"}, {"name": "age"}], "cleaning": {}, "split": {}},
                "training": {"candidates": [{"algorithm": "XGBoost", "grid": {}}], "selection": {}, "resources": {}},
                "serving": {"requestLog": {}},
                "monitoring": {},
                "remediation": {},
            },
            id="of every part, empty",
        ),
        pytest.param(
            {
                "data": {**DATA, "cleaning": {"missing": {}}, "expectations": [{"type": "expect_x"}]},
                "training": {"candidates": CANDIDATES, "resources": {"limits": {"cpu": "1"}}},
                "serving": {"resources": {"requests": {}}},
                "monitoring": {"window": {}, "drift": {"features": [{"column": "age"}]}},
                "remediation": {"approval": {}, "limits": {}},
            },
            id="of every part of a part, empty",
        ),
    ],
)
def test_defaults_of_a_deployment(admin: Client, spec: dict[str, Any]) -> None:
    metadata = {"name": "defaults", "namespace": "default"}
    manifest = {"apiVersion": meta.API_VERSION, "kind": meta.DEPLOYMENT_KIND, "metadata": metadata, "spec": spec}
    stored = admin.create(f"{PLACE}/{meta.DEPLOYMENTS}", manifest, dryRun="All").accepted()
    assert stored["spec"] == ModelDeploymentSpec.model_validate(spec).wire()


def test_defaults_of_a_request(admin: Client, sample: Mapping[str, dict[str, Any]]) -> None:
    manifest = sample["request-minimal"]
    stored = admin.create(f"{PLACE}/{meta.REQUESTS}", manifest, dryRun="All").accepted()
    assert stored["spec"] == RemediationRequestSpec.model_validate(manifest["spec"]).wire()


@pytest.mark.parametrize(
    ("name", "plural", "status"),
    [
        pytest.param("minimal", meta.DEPLOYMENTS, ModelDeploymentStatus(), id="a deployment's"),
        pytest.param("request-minimal", meta.REQUESTS, RemediationRequestStatus(), id="a request's"),
    ],
)
def test_a_new_status_says_that_nobody_has_looked_yet(
    admin: Client,
    sample: Mapping[str, dict[str, Any]],
    name: str,
    plural: str,
    status: ModelDeploymentStatus | RemediationRequestStatus,
) -> None:
    stored = admin.create(f"{PLACE}/{plural}", sample[name], dryRun="All").accepted()
    assert (stored["status"], stored["status"]["observedGeneration"]) == (status.wire(), -1)
