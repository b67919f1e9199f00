"""What a watched model does when its surroundings fail, and when nothing is wrong for a long time."""

from __future__ import annotations

import base64
import os

import httpx
import pytest

from heart_rows import Row, drawn, heart_rows
from real_cluster import SYSTEM, Manifest, RealCluster, Space, eventually
from refit_cluster.places import Places
from specs import heart
from watched import condition, measure, requests, send, until

pytestmark = pytest.mark.cluster

STEADY = int(os.environ.get("REFIT_STEADY_MEASUREMENTS", "8"))
"""Measurements of unshifted traffic; 50 take five minutes."""
DELIVERIES, ALERTS = 20, 500
COLLECTOR = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/refit-collector"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return heart_rows(Places.from_env(os.environ).root)


@pytest.fixture(scope="module")
def watched(space: Space) -> Space:
    spec = heart(serving={"requestLog": {"mode": "All"}})
    monitoring = {
        "intervalSeconds": 86400,
        "window": {"minRows": 100},
        "queries": [{"name": "refunds", "promql": "vector(2)", "max": "3"}],
    }
    space.declare("heart", spec | {"monitoring": monitoring, "remediation": {"mode": "Observe"}})
    space.becomes_ready("heart", 300)
    return space


def numbers(rows: list[Row]) -> list[Row]:
    """Without declared columns every input of this sample is a number."""
    return [{name: float(value) if value is not None else None for name, value in row.items()} for row in rows]


def test_unshifted_traffic_raises_nothing_however_often_it_is_measured(watched: Space, rows: list[Row]) -> None:
    send(watched, "heart", numbers(drawn(rows, 100, seed=0)))
    first = until(watched, "heart", lambda found: found["rows"] >= 100, "the first rows are seen")
    [query] = first["queries"]
    assert (query["name"], float(query["value"]), query["breached"]) == ("refunds", 2.0, False)
    verdicts = []
    for seed in range(1, STEADY + 1):
        send(watched, "heart", numbers(drawn(rows, 40, seed=seed)))
        verdicts.append(measure(watched, "heart")["verdict"])
    assert (set(verdicts), condition(watched, "heart", "DataValid")[0], requests(watched, "heart")) == (
        {"NoDrift"},
        "True",
        [],
    )


def test_without_the_collector_nothing_is_lost_and_an_error_is_no_drift(watched: Space, rows: list[Row]) -> None:
    before = measure(watched, "heart")["rows"]
    scale(watched.cluster, 0)
    try:
        for seed in range(5):
            send(watched, "heart", numbers(drawn(rows, 20, seed=100 + seed)))
        failed = measure(watched, "heart")
        assert (
            failed["verdict"],
            condition(watched, "heart", "Drifted"),
            condition(watched, "heart", "Monitored"),
        ) == (
            "Error",
            ("Unknown", "MeasurementFailed"),
            ("False", "MeasurementFailed"),
        )
        assert condition(watched, "heart", "Ready") == ("True", "Serving")
    finally:
        scale(watched.cluster, 1)
    found = until(watched, "heart", lambda found: found["rows"] == before + 100, "what was answered meanwhile came in")
    assert found["verdict"] == "NoDrift"
    # RefitCollectorLoss may have fired meanwhile; then a person is told, and nothing is to be repaired.
    assert {request["spec"]["action"] for request in requests(watched, "heart")} <= {"Notify"}


def scale(cluster: RealCluster, replicas: int) -> None:
    cluster.run("scale", "deployment/refit-collector", "-n", SYSTEM, f"--replicas={replicas}")

    def there() -> bool:
        status = cluster.client.get(COLLECTOR).accepted()["status"]
        pods = cluster.items(f"/api/v1/namespaces/{SYSTEM}/pods")
        named = [pod for pod in pods if pod["metadata"]["labels"].get("app.kubernetes.io/name") == "refit-collector"]
        return len(named) == replicas == int(status.get("readyReplicas", 0))

    eventually(there, 120, f"the collector has {replicas} pods")


def test_ten_thousand_alerts_make_one_request(watched: Space) -> None:
    secret = watched.cluster.client.get(f"/api/v1/namespaces/{SYSTEM}/secrets/refit-intake").accepted()
    token = base64.b64decode(secret["data"]["tokens"]).decode().split()[0]
    started = watched.deployment("heart")["metadata"]["creationTimestamp"].replace("Z", ".5Z")
    with watched.cluster.forwarded("refit-operator", 8090) as intake, httpx.Client() as client:
        for number in range(DELIVERIES):
            answer = client.post(
                f"{intake}/v1/alertmanager",
                json=delivery(watched, number, started),
                headers={"Authorization": f"Bearer {token}"},
                timeout=30,
            )
            assert answer.status_code == 202, answer.text
    eventually(lambda: restarts(watched) or None, 60, "a request was made")
    measure(watched, "heart")
    [request] = restarts(watched)
    assert request["spec"]["trigger"]["type"] == "Alert"


def restarts(space: Space) -> list[Manifest]:
    return [request for request in requests(space, "heart") if request["spec"]["action"] == "Restart"]


def delivery(space: Space, number: int, started: str) -> Manifest:
    """Five hundred alerts as Alertmanager tells them: half of them the same in every delivery."""

    def alert(place: int) -> Manifest:
        name = f"{place}" if place % 2 else f"{number}-{place}"
        return {
            "status": "firing",
            "labels": {
                "alertname": "RefitErrorRateHigh",
                "severity": "critical",
                "namespace": space.name,
                "model": "heart",
                "version": name,
            },
            "annotations": {"summary": "half of the requests fail"},
            "startsAt": started,
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "",
            "fingerprint": f"{name:0>16}",
        }

    return {
        "version": "4",
        "groupKey": '{}:{alertname="RefitErrorRateHigh"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "refit",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "",
        "alerts": [alert(place) for place in range(ALERTS)],
    }
