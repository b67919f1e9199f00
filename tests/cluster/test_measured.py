"""Served models that are watched on the real cluster: requests, collector, monitor Jobs, verdicts, requests to repair."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from heart_rows import Row, drawn, heart_rows, spoiled
from real_cluster import EXAMPLES, Space, eventually
from refit_cluster.places import Places
from specs import heart
from watched import answered, condition, labels, measure, requests, send, until

pytestmark = pytest.mark.cluster

WATCHED: dict[str, Any] = {
    "monitoring": {"intervalSeconds": 86400, "window": {"hours": 24, "minRows": 100}},
    "remediation": {"policy": "seed-visual", "mode": "Observe"},
}
"""Measured only when a test asks for it: the next tick may be a day away."""
LOGGED: dict[str, Any] = {"requestLog": {"mode": "All", "mask": ["fbs"]}}
MODELS = ("steady", "shifted", "zeroed", "labelled")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return heart_rows(Places.from_env(os.environ).root)


@pytest.fixture(scope="module")
def watched(space: Space) -> Space:
    """Four models of one spec, served and watched."""
    columns = yaml.safe_load((EXAMPLES / "heart.yaml").read_text())["spec"]["data"]["columns"]
    quality = {"quality": [{"metric": "f1", "minimum": "0.7"}]}
    for name in MODELS:
        monitoring = WATCHED["monitoring"] | (quality if name == "labelled" else {})
        spec = heart(data={"columns": columns}, serving=LOGGED)
        space.declare(name, spec | WATCHED | {"monitoring": monitoring})
    for name in MODELS:
        space.becomes_ready(name, 400)
    return space


def report(space: Space, address: str) -> bytes:
    """The report as MLflow keeps it."""
    with space.cluster.forwarded("mlflow", 5000) as mlflow:
        answer = httpx.get(f"{mlflow}{urlsplit(address).path}", timeout=60)
    assert answer.status_code == 200, answer.text[:300]
    return answer.content


def alerted(space: Space, model: str) -> set[str] | None:
    """Names of the alerts that reached the model's request by way of metric, rule and webhook."""
    status = answered(space, model) or {}
    return {alert["name"] for alert in status.get("alerts") or []} or None


def test_too_few_rows_are_no_opinion_and_enough_of_the_same_are_no_drift(watched: Space, rows: list[Row]) -> None:
    send(watched, "steady", drawn(rows, 29, seed=1))
    few = until(watched, "steady", lambda found: found["rows"] == 29, "29 rows are seen")
    assert (few["verdict"], condition(watched, "steady", "Drifted")) == ("Inconclusive", ("Unknown", "Inconclusive"))
    for seed in range(2, 6):
        send(watched, "steady", drawn(rows, 100, seed=seed))
    enough = until(watched, "steady", lambda found: found["rows"] == 429, "all rows are seen")
    assert (enough["verdict"], enough["features"], enough["dataQuality"]["valid"]) == ("NoDrift", [], True)
    assert (condition(watched, "steady", "Drifted"), condition(watched, "steady", "DataValid")) == (
        ("False", "NoDrift"),
        ("True", "ChecksPassed"),
    )
    assert (enough["quality"]["verdict"], enough["quality"]["labelled"], enough["quality"]["metrics"]) == (
        "Unknown",
        0,
        {},
    ), "without labels no number is made up"


def test_shifted_traffic_is_drift_and_one_request_names_the_features(watched: Space, rows: list[Row]) -> None:
    shifted = spoiled(drawn(rows, 500, seed=7), thalach=lambda value: value - 45, trestbps=lambda value: value + 40)
    send(watched, "shifted", shifted)
    found = until(watched, "shifted", lambda found: found["rows"] == 500, "all rows are seen")
    assert found["verdict"] == "Drift"
    assert {feature["column"] for feature in found["features"]} == {"thalach", "trestbps"}
    [request] = eventually(lambda: requests(watched, "shifted") or None, 30, "a request was made")
    assert (request["spec"]["action"], set(request["spec"]["trigger"]["features"])) == (
        "Retrain",
        {"thalach", "trestbps"},
    )
    told = eventually(lambda: answered(watched, "shifted"), 30, "the request was answered")
    assert (told["diagnosis"]["class"], told["phase"]) == ("Drift", "Pending")
    page = report(watched, found["report"])
    assert (b"<html" in page[:1000].lower(), 100_000 < len(page) <= 6_000_000) == (True, True)
    fired = eventually(lambda: alerted(watched, "shifted"), 90, "Prometheus saw it, the rule fired, Alertmanager told")
    assert "RefitDataDrift" in fired
    measure(watched, "shifted")
    assert [again["metadata"]["name"] for again in requests(watched, "shifted")] == [request["metadata"]["name"]]
    assert condition(watched, "shifted", "Ready") == ("True", "Serving")


def test_a_column_that_is_suddenly_zero_is_a_fault_of_the_requests(watched: Space, rows: list[Row]) -> None:
    send(watched, "zeroed", spoiled(drawn(rows, 400, seed=8), oldpeak=lambda _: 0.0))
    found = until(watched, "zeroed", lambda found: found["rows"] == 400, "all rows are seen")
    assert (found["dataQuality"]["valid"], "oldpeak" in found["dataQuality"]["message"]) == (False, True)
    assert condition(watched, "zeroed", "DataValid") == ("False", "RequestsInvalid")
    assert [request["spec"]["action"] for request in requests(watched, "zeroed")] in ([], ["Notify"])
    wish: dict[str, Any] = {
        "apiVersion": "refit.dev/v1alpha1",
        "kind": "RemediationRequest",
        "metadata": {"name": "wish"},
        "spec": {
            "targetRef": {"name": "zeroed"},
            "action": "Retrain",
            "trigger": {"type": "Human"},
            "requestedBy": watched.cluster.me,
        },
    }
    watched.cluster.client.create(watched.path("refit.dev/v1alpha1", "remediationrequests"), wish).accepted()
    told = eventually(lambda: answered(watched, "zeroed", "wish"), 30, "the person's request was answered")
    assert (told["phase"], told["conditions"][0]["reason"]) == ("Failed", "RequestsInvalid")


def test_labels_that_sink_a_metric_are_a_performance_fault(watched: Space, rows: list[Row]) -> None:
    asked = drawn(rows, 300, seed=9)
    inference = send(watched, "labelled", asked)
    until(watched, "labelled", lambda found: found["rows"] == 300, "all rows are seen")
    assert condition(watched, "labelled", "QualityOk") == ("Unknown", "QualityUnknown")
    wrong = [
        {"id": inference, "row": place, "label": "0" if row["num"] == "1" else "1"} for place, row in enumerate(asked)
    ]
    stored = labels(watched, "labelled", wrong)
    assert stored["stored"] == len(wrong)
    found = until(watched, "labelled", lambda found: found["quality"]["labelled"] == 300, "the labels are joined")
    assert (found["verdict"], found["quality"]["verdict"], found["quality"]["missed"]) == ("NoDrift", "Low", ["f1"])
    assert condition(watched, "labelled", "QualityOk") == ("False", "QualityLow")
    [request] = eventually(lambda: requests(watched, "labelled") or None, 30, "a request was made")
    told = eventually(lambda: answered(watched, "labelled"), 30, "the request was answered")
    assert (request["spec"]["action"], told["diagnosis"]["class"]) == ("Retrain", "Performance")


def test_a_masked_column_never_reached_the_collector(watched: Space) -> None:
    found = measure(watched, "steady")
    assert found["measured"] == 12, "thirteen inputs, one of them masked"
