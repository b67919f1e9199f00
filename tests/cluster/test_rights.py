"""What the operator did in all these tests, held against what it may do. Runs after the others of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from real_cluster import EXAMPLES, OPERATOR, SYSTEM, RealCluster, events

pytestmark = pytest.mark.cluster

Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""

UNUSED: dict[Right, str] = {
    ("refit.dev", "modeldeployments/finalizers", "update"): "only OwnerReferencesPermissionEnforcement asks for it",
    (
        "",
        "configmaps",
        "create",
    ): "only the first checkpoint of the audit makes the ConfigMap; the log may begin after that",
    ("", "events", "get"): "only an Event that is repeated is read",
    ("", "events", "patch"): "only an Event that is repeated is patched",
    ("apps", "deployments", "list"): "Kopf lists once, when it starts; the log may begin after that",
    ("apps", "deployments", "watch"): "as above",
}


def granted() -> set[Right]:
    manifests = yaml.safe_load_all((EXAMPLES.parent / "manifests" / "rbac.yaml").read_text())
    [role] = [found for found in manifests if found["kind"] == "ClusterRole"]
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def asked(cluster: RealCluster) -> Iterator[tuple[Right, int]]:
    assert cluster.audit_log is not None
    for event in events(cluster.audit_log, OPERATOR):
        if (event.get("user") or {}).get("username") != OPERATOR or "objectRef" not in event:
            continue
        target = event["objectRef"]
        resource = target["resource"] + (f"/{target['subresource']}" if target.get("subresource") else "")
        code = (event.get("responseStatus") or {}).get("code", 200)
        yield (target.get("apiGroup", ""), resource, event["verb"]), code
        if (event["verb"], code) == ("patch", 201):  # an apply that created it needed both rights
            yield (target.get("apiGroup", ""), resource, "create"), code


def test_no_right_is_a_wildcard() -> None:
    assert [right for right in granted() if "*" in right] == []


def test_every_right_is_used_and_nothing_else_was_asked_for(cluster: RealCluster) -> None:
    used = dict(asked(cluster))
    assert sorted(granted() - set(used) - set(UNUSED)) == []
    assert sorted(set(used) - granted()) == []


def test_health_and_metrics_answer(cluster: RealCluster) -> None:
    proxy = f"/api/v1/namespaces/{SYSTEM}/services/refit-operator:8080/proxy"
    found = {path: cluster.client.get(f"{proxy}/{path}") for path in ("healthz", "readyz", "metrics")}
    assert {path: answer.code for path, answer in found.items()} == {"healthz": 200, "readyz": 200, "metrics": 200}
    metrics = found["metrics"].message
    for name in (
        "refit_reconcile_duration_seconds_bucket",
        "refit_reconcile_total",
        "refit_queue_depth",
        "refit_queue_oldest_seconds",
        "refit_training_jobs",
        "refit_models",
        "refit_api_requests_total",
    ):
        assert name in metrics


def test_the_log_is_one_json_object_a_line_and_holds_no_traceback(cluster: RealCluster) -> None:
    lines = cluster.run("-n", SYSTEM, "logs", "deploy/refit-operator", "--tail=500").splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry for entry in entries if "exc_info" in entry] == []
    assert entries[0].keys() >= {"time", "level", "logger", "message"}
