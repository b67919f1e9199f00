"""The kinds as kubectl sees them: names, columns, the status subresource, generations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from refit.api import meta
from refit_cluster.client import TABLE, Client

pytestmark = pytest.mark.contract

GROUP = f"/apis/{meta.API_VERSION}"
DEPLOYMENTS = f"{GROUP}/namespaces/default/{meta.DEPLOYMENTS}"
REQUESTS = f"{GROUP}/namespaces/default/{meta.REQUESTS}"
TIME = "2026-11-21T13:00:00Z"
ARTIFACT = {"uri": "http://mlflow/model.onnx", "sha256": "0" * 64}
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Serving",
    "message": "version 3 serves",
    "observedGeneration": 1,
    "lastTransitionTime": TIME,
}

Samples = Mapping[str, Mapping[str, Any]]


@pytest.fixture
def stored(admin: Client, sample: Samples) -> Iterator[dict[str, Any]]:
    """A ModelDeployment named `stored`, gone again at the end."""
    yield admin.create(DEPLOYMENTS, {**sample["minimal"], "metadata": {"name": "stored"}}).accepted()
    admin.delete(f"{DEPLOYMENTS}/stored").accepted()


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        pytest.param(meta.DEPLOYMENTS, ("ModelDeployment", "modeldeployment", ["mdep"], ["refit"]), id="deployments"),
        pytest.param(meta.REQUESTS, ("RemediationRequest", "remediationrequest", ["rreq"], ["refit"]), id="requests"),
    ],
)
def test_names_by_discovery(admin: Client, plural: str, expected: tuple[str, str, list[str], list[str]]) -> None:
    found = {resource["name"]: resource for resource in admin.get(GROUP).accepted()["resources"]}
    one = found[plural]
    assert (one["kind"], one["singularName"], one["shortNames"], one["categories"]) == expected
    assert found[f"{plural}/status"]["verbs"] == ["get", "patch", "update"]


@pytest.mark.parametrize("plural", [meta.DEPLOYMENTS, meta.REQUESTS])
def test_the_api_server_has_nothing_to_object_to_a_definition(admin: Client, plural: str) -> None:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{meta.GROUP}"
    conditions = {one["type"]: one["status"] for one in admin.get(path).accepted()["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


def table(admin: Client, path: str) -> tuple[dict[str, object], dict[str, object]]:
    """The cells of the first row by their columns: those always shown, and those of `-o wide`."""
    whole = admin.get(path, accept=TABLE).accepted()
    cells = dict(zip([one["name"] for one in whole["columnDefinitions"]], whole["rows"][0]["cells"], strict=True))
    assert cells.pop("Age")
    wide = {one["name"] for one in whole["columnDefinitions"] if one["priority"]}
    return {name: cell for name, cell in cells.items() if name not in wide}, {name: cells[name] for name in wide}


@pytest.mark.usefixtures("stored")
def test_columns_of_a_deployment(admin: Client) -> None:
    status = {
        "conditions": [READY],
        "serving": {"version": 3, "artifact": ARTIFACT, "since": TIME},
        "url": "http://stored-predictor.default.svc.cluster.local",
        "metric": "f1 0.81",
        "drift": "Drift: 2 of 14",
        "openRequests": ["stored-rollback-1"],
    }
    admin.merge(f"{DEPLOYMENTS}/stored/status", {"status": status}).accepted()
    assert table(admin, f"{DEPLOYMENTS}/stored") == (
        {
            "Name": "stored",
            "Ready": "True",
            "Reason": "Serving",
            "Version": 3,
            "Metric": "f1 0.81",
            "Drift": "Drift: 2 of 14",
            "Requests": '["stored-rollback-1"]',
        },
        {"URL": "http://stored-predictor.default.svc.cluster.local", "Message": "version 3 serves"},
    )


def test_columns_of_a_request(admin: Client, sample: Samples) -> None:
    admin.create(REQUESTS, {**sample["request-minimal"], "metadata": {"name": "shown"}}).accepted()
    status = {
        "phase": "AwaitingApproval",
        "diagnosis": {"class": "Drift", "severity": "0.7"},
        "proposal": {"digest": "sha256:" + "0" * 64, "text": "Train again on the newest data."},
    }
    try:
        admin.merge(f"{REQUESTS}/shown/status", {"status": status}).accepted()
        assert table(admin, f"{REQUESTS}/shown") == (
            {"Name": "shown", "Target": "heart", "Action": "Retrain", "Phase": "AwaitingApproval", "Severity": "0.7"},
            {"Requested-By": "alice@example.org", "Proposal": "Train again on the newest data."},
        )
    finally:
        admin.delete(f"{REQUESTS}/shown").accepted()


def test_a_status_given_at_creation_is_dropped(admin: Client, sample: Samples) -> None:
    forged = {**sample["minimal"], "status": {"observedGeneration": 7, "conditions": [READY]}}
    found = admin.create(DEPLOYMENTS, forged, dryRun="All").accepted()
    assert found["status"] == {"conditions": [], "history": [], "observedGeneration": -1}


def test_approvals_given_at_creation_are_dropped(admin: Client, sample: Samples) -> None:
    entry = {"decision": "Approved", "proposalDigest": "sha256:" + "0" * 64}
    forged = {**sample["request-minimal"], "status": {"approvals": {"alice": entry}}}
    assert "approvals" not in admin.create(REQUESTS, forged, dryRun="All").accepted()["status"]


def test_status_is_not_written_through_the_object(admin: Client, stored: dict[str, Any]) -> None:
    forged = {**stored, "status": {"observedGeneration": 7}}
    found = admin.replace(f"{DEPLOYMENTS}/stored", forged).accepted()
    assert found["status"] == stored["status"]


def test_spec_is_not_written_through_the_status(admin: Client, stored: dict[str, Any]) -> None:
    patch = {"spec": {"training": {"folds": 9}}, "status": {"observedGeneration": 1}}
    found = admin.merge(f"{DEPLOYMENTS}/stored/status", patch).accepted()
    assert (found["spec"], found["status"]["observedGeneration"]) == (stored["spec"], 1)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("subresource", "patch", "generation"),
    [
        pytest.param("", {"spec": {"training": {"folds": 9}}}, 2, id="another spec is another generation"),
        pytest.param("", {"spec": {"training": {"folds": 5}}}, 1, id="the same spec is not"),
        pytest.param("", {"metadata": {"annotations": {"a": "b"}}}, 1, id="an annotation is not"),
        pytest.param("/status", {"status": {"observedGeneration": 1}}, 1, id="a status is not"),
    ],
)
def test_generations(admin: Client, subresource: str, patch: dict[str, Any], generation: int) -> None:
    found = admin.merge(f"{DEPLOYMENTS}/stored{subresource}", patch).accepted()
    assert found["metadata"]["generation"] == generation


def test_what_a_client_does_not_ask_to_be_refused_is_pruned_with_a_warning(admin: Client, sample: Samples) -> None:
    spec = {**sample["minimal"]["spec"], "thresold": "0.1"}
    answer = admin.create(DEPLOYMENTS, {**sample["minimal"], "spec": spec}, dryRun="All", fieldValidation="Warn")
    assert "thresold" not in answer.accepted()["spec"]
    assert answer.warnings == ('299 - "unknown field \\"spec.thresold\\""',)
