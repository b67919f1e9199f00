"""A real Prometheus with our rules and scrape configuration, a real Alertmanager, and the operator's intake behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from real_cluster import RealCluster, eventually

pytestmark = pytest.mark.cluster

PROXY = "/api/v1/namespaces/refit-monitoring/services"
RULES = Path(__file__).parents[2] / "manifests" / "monitoring" / "rules.yaml"


@pytest.fixture(scope="module", autouse=True)
def _installed(cluster: RealCluster) -> None:
    if cluster.get(f"{PROXY}/prometheus") is None:
        pytest.fail("Prometheus is not installed: run `make monitoring`, or `make test`")


def prometheus(cluster: RealCluster, path: str, **query: str) -> Any:
    asked = f"{PROXY}/prometheus:9090/proxy/api/v1/{path}" + (f"?{urlencode(query)}" if query else "")
    return cluster.client.get(asked).accepted()["data"]


def value(cluster: RealCluster, query: str) -> float | None:
    """Of an expression that gives one sample, or none."""
    found = prometheus(cluster, "query", query=query)["result"]
    return float(found[0]["value"][1]) if found else None


def test_prometheus_holds_every_rule_and_none_fails(cluster: RealCluster) -> None:
    shipped = yaml.safe_load(RULES.read_text())["groups"]

    def evaluated() -> list[dict[str, Any]] | None:
        rules = [rule for group in prometheus(cluster, "rules")["groups"] for rule in group["rules"]]
        return None if any(rule["health"] == "unknown" for rule in rules) else rules

    rules = eventually(evaluated, 90, "every rule was evaluated once")
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    assert sorted(rule["name"] for rule in rules) == sorted(
        rule.get("alert", rule.get("record")) for group in shipped for rule in group["rules"]
    )


@pytest.mark.parametrize("job", ["refit-operator", "refit-collector", "refit-cadvisor"])
def test_prometheus_finds_and_scrapes(cluster: RealCluster, job: str) -> None:
    eventually(lambda: value(cluster, f'min(up{{job="{job}"}}) == 1'), 60, f"{job} is up")


def test_an_operator_that_answers_raises_no_alert(cluster: RealCluster) -> None:
    eventually(lambda: value(cluster, 'up{job="refit-operator"} == 1'), 60, "the operator is up")
    firing = 'ALERTS{alertname="RefitOperatorDown", alertstate="firing"}'
    eventually(lambda: value(cluster, firing) is None, 60, "RefitOperatorDown does not fire")


def test_prometheus_knows_its_alertmanager(cluster: RealCluster) -> None:
    found = eventually(lambda: prometheus(cluster, "alertmanagers")["activeAlertmanagers"], 30, "an Alertmanager")
    assert [each["url"] for each in found] == ["http://alertmanager.refit-monitoring.svc:9093/api/v2/alerts"]


def test_alertmanager_hands_an_alert_to_the_intake(cluster: RealCluster) -> None:
    """Counted by the operator itself: stored, hence known to Alertmanager's token."""
    taken = 'sum(refit_intake_requests_total{route="/v1/alertmanager", code="202"}) or vector(0)'
    before = value(cluster, taken) or 0.0
    labels = ["alertname=RefitOperatorDown", "severity=critical", "namespace=nowhere"]
    cluster.run(
        *("exec", "-n", "refit-monitoring", "deploy/alertmanager", "--"),
        *("amtool", "--alertmanager.url=http://127.0.0.1:9093", "alert", "add", *labels),
    )
    eventually(lambda: (value(cluster, taken) or 0.0) > before, 60, "the intake took the alert")
