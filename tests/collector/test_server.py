"""The paths of a running collector, beyond what they refuse."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector_process import HEART, NDJSON, SHOP, TOKEN, Running, environment, event, lines, stamp, started

EVENTS = f"{HEART}/events"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"


def until(told: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def rows_of(http: httpx.Client, place: str) -> list[dict[str, Any]]:
    answer = http.get(f"{place}/window", params={"since": stamp(600), "until": stamp(-60)})
    found: list[dict[str, Any]] = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    return found


@pytest.mark.parametrize(
    ("accept", "media", "read"),
    [
        pytest.param({}, ARROW, lambda content: pa.ipc.open_stream(content).read_all(), id="Arrow without a word"),
        pytest.param({"accept": ARROW}, ARROW, lambda content: pa.ipc.open_stream(content).read_all(), id="Arrow"),
        pytest.param(
            {"accept": PARQUET}, PARQUET, lambda content: pq.read_table(pa.BufferReader(content)), id="Parquet"
        ),
    ],
)
def test_a_window_comes_in_the_form_that_is_wanted(
    http: httpx.Client, accept: dict[str, str], media: str, read: Callable[[bytes], pa.Table]
) -> None:
    place = f"{SHOP}/models/forms"
    http.post(f"{place}/events", content=lines(event("form-1"), event("form-2")), headers=NDJSON)
    answer = http.get(f"{place}/window", params={"since": stamp(600), "until": stamp(-60)}, headers=accept)
    told = {name: answer.headers[name] for name in ("content-type", "refit-rows", "refit-events", "refit-cut")}
    assert told == {"content-type": media, "refit-rows": "2", "refit-events": "2", "refit-cut": "false"}
    assert read(answer.content).column("id").to_pylist() == ["form-1", "form-2"]


def test_which_version_answered_a_request(http: httpx.Client) -> None:
    moment = stamp(5)
    http.post(EVENTS, content=lines(event("traced/1", version=7, time=moment)), headers=NDJSON)
    found = http.get(f"{SHOP}/predictions/traced/1").json()
    assert found == {
        "id": "traced/1",
        "model": "heart",
        "version": 7,
        "time": moment.replace("+00:00", "Z"),
        "rows": 1,
        "latency": 1.5,
    }


def measurement(key: str, **more: Any) -> dict[str, Any]:
    return {
        "key": key,
        "time": stamp(60),
        "namespace": "shop",
        "model": "heart",
        "version": 3,
        "intervalSeconds": 300,
        "rows": 1000,
        "verdict": "Drift",
        "columns": [
            {"column": "age", "method": "KS", "effect": 0.4, "pValue": 1e-9, "pAdjusted": 1e-8, "drifted": True},
            {"column": "age", "method": "KS", "effect": 0.1, "pAdjusted": None, "drifted": False},
            {"column": "sex", "method": "TVD", "effect": None, "pAdjusted": None, "drifted": False},
        ],
        "prediction": [
            {"column": "probability.no", "method": "KS", "effect": 0.2, "pAdjusted": 0.5, "drifted": False},
            {"column": "probability.yes", "method": "KS", "effect": 0.3, "pAdjusted": 0.001, "drifted": True},
        ],
        "segments": [
            {
                "column": "site",
                "value": "north",
                "drift": {
                    "verdict": "Drift",
                    "columns": [
                        {"column": "age", "effect": 0.6, "drifted": True},
                        {"column": "sex", "effect": 0.1, "drifted": False},
                    ],
                },
            },
            {"column": "site", "value": "south", "drift": {"verdict": "NoDrift", "columns": []}},
            {
                "column": "site",
                "value": "far",
                "drift": {"verdict": "Inconclusive", "message": "12 rows", "columns": []},
            },
        ],
        "dataQuality": {"valid": True, "score": 97.5},
        "quality": {
            "verdict": "Low",
            "coverage": 0.5,
            "delaySeconds": 60,
            "metrics": {"f1": 0.7},
            "estimated": {"f1": 0.72},
            "bounds": [{"metric": "f1", "minimum": 0.75, "value": 0.7, "missed": True}],
        },
        "queries": [{"name": "cost", "value": 3, "max": 2, "breached": True}],
        "coverage": 0.99,
        **more,
    }


GAUGES = """\
refit_data_quality_score{model="heart",namespace="shop",version="3"} 97.5
refit_data_valid{model="heart",namespace="shop",version="3"} 1.0
refit_feature_drift_effect{column="age",method="KS",model="heart",namespace="shop",version="3"} 0.4
refit_feature_drift_p_value{column="age",method="KS",model="heart",namespace="shop",version="3"} 1e-08
refit_feature_drifted{column="age",model="heart",namespace="shop",version="3"} 1.0
refit_feature_drifted{column="sex",model="heart",namespace="shop",version="3"} 0.0
refit_label_coverage{model="heart",namespace="shop",version="3"} 0.5
refit_label_delay_seconds{model="heart",namespace="shop",version="3"} 60.0
refit_measurement_interval_seconds{model="heart",namespace="shop",version="3"} 300.0
refit_measurement_verdict{model="heart",namespace="shop",verdict="Drift",version="3"} 1.0
refit_measurement_verdict{model="heart",namespace="shop",verdict="Error",version="3"} 0.0
refit_measurement_verdict{model="heart",namespace="shop",verdict="Inconclusive",version="3"} 0.0
refit_measurement_verdict{model="heart",namespace="shop",verdict="NoDrift",version="3"} 0.0
refit_model_quality_low{metric="f1",model="heart",namespace="shop",version="3"} 1.0
refit_model_quality{kind="estimated",metric="f1",model="heart",namespace="shop",version="3"} 0.72
refit_model_quality{kind="measured",metric="f1",model="heart",namespace="shop",version="3"} 0.7
refit_prediction_drift_effect{method="KS",model="heart",namespace="shop",version="3"} 0.3
refit_prediction_drift_p_value{method="KS",model="heart",namespace="shop",version="3"} 0.001
refit_prediction_drifted{model="heart",namespace="shop",version="3"} 1.0
refit_query_breached{model="heart",name="cost",namespace="shop",version="3"} 1.0
refit_query_value{model="heart",name="cost",namespace="shop",version="3"} 3.0
refit_request_coverage{model="heart",namespace="shop",version="3"} 0.99
refit_segment_drift_effect{column="age",model="heart",namespace="shop",segment="site=north",version="3"} 0.6
refit_segment_drifted{model="heart",namespace="shop",segment="site=north",version="3"} 1.0
refit_segment_drifted{model="heart",namespace="shop",segment="site=south",version="3"} 0.0
refit_window_rows{model="heart",namespace="shop",version="3"} 1000.0"""


def gauges(running: Running) -> list[str]:
    """The gauges of the newest measurement, without the one that is a moment."""
    text = httpx.get(f"{running.url}/metrics").text
    return sorted(
        line
        for line in text.splitlines()
        if line.startswith("refit_") and not line.startswith(("refit_collector", "refit_measurement_timestamp"))
    )


def test_gauges_are_of_the_newest_measurement_and_outlive_a_restart(tmp_path: Path) -> None:
    with started(tmp_path) as running, running.client() as http:
        answers = [
            http.put(f"{HEART}/measurements/{each['key']}", json=each)
            for each in (
                measurement("new"),
                measurement("old", time=stamp(3600), verdict="NoDrift"),
                measurement("new"),
            )
        ]
        before = gauges(running)
        assert running.end() == 0
    with started(tmp_path) as running, running.client() as http:
        after = gauges(running)
        kept = [found["key"] for found in http.get(f"{HEART}/measurements").json()]
        one = [found["key"] for found in http.get(f"{HEART}/measurements", params={"limit": 1}).json()]
    assert [answer.status_code for answer in answers] == [201, 201, 200]
    assert before == sorted(GAUGES.splitlines())
    assert after == before
    assert (kept, one) == (["new", "old"], ["new"])


@pytest.fixture(scope="module")
def ingest(server: Running) -> str:
    """Where KServe's loggers of namespace shop post to."""
    given = environment(server.log.parent)
    found = subprocess.run(
        [sys.executable, "-m", "refit_collector", "key", "shop"],
        env=os.environ | given,
        capture_output=True,
        check=True,
    )
    key = found.stdout.decode().strip()
    secret = (server.log.parent / "data" / "ingest.key").read_bytes()
    assert key == hmac.new(secret, b"shop", hashlib.sha256).hexdigest()
    return f"/v1/cloudevents/shop/{key}"


def half(name: str, kind: str, model: str = "iris", **more: str) -> dict[str, str]:
    return {
        "ce-id": name,
        "ce-type": f"org.kubeflow.serving.inference.{kind}",
        "ce-source": "http://localhost:9081/",
        "ce-specversion": "1.0",
        "ce-time": stamp(1 if kind == "response" else 1.25),
        "ce-inferenceservicename": model,
        "ce-namespace": "shop",
        "content-type": "application/json",
    } | more


V1 = ({"instances": [[5.1, 3.5], [6.2, 2.9]]}, {"predictions": [0, 2]})
V2 = (
    {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [5.1, 3.5, 6.2, 2.9]}]},
    {"outputs": [{"name": "y", "shape": [2], "datatype": "FP64", "data": [0.5, 1.5]}]},
)
OURS = (
    {"instances": [{"age": 63, "sex": "f"}]},
    {"predictions": [{"label": "no", "probabilities": {"no": 0.75, "yes": 0.25}}]},
)


@pytest.mark.parametrize("order", [("request", "response"), ("response", "request")], ids=" then ".join)
@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        pytest.param(
            V1, [{"input.x0": 5.1, "input.x1": 3.5, "label": "0"}, {"input.x0": 6.2, "input.x1": 2.9, "label": "2"}],
            id="V1, classes",
        ),
        pytest.param(
            V2, [{"input.x.0": 5.1, "input.x.1": 3.5, "prediction": 0.5}, {"input.x.0": 6.2, "input.x.1": 2.9, "prediction": 1.5}],
            id="V2, numbers",
        ),
        pytest.param(
            OURS, [{"input.age": 63.0, "input.sex": "f", "label": "no", "probability.no": 0.75, "probability.yes": 0.25}],
            id="V1 as Refit's own predictor answers",
        ),
    ],
)  # fmt: skip
def test_two_halves_make_an_event(
    http: httpx.Client,
    ingest: str,
    request: pytest.FixtureRequest,
    order: tuple[str, str],
    bodies: tuple[Any, Any],
    expected: list[dict[str, Any]],
) -> None:
    model = "m" + hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    by_kind = dict(zip(("request", "response"), bodies, strict=True))
    heads = {kind: half(model, kind, model, **{"ce-endpoint": "4"}) for kind in by_kind}  # made at the same moment
    told = [http.post(ingest, json=by_kind[kind], headers=heads[kind]).json() for kind in (*order, order[0])]
    assert [(each["stored"], each["duplicates"], each["refused"]) for each in told] == [
        (0, 0, []),
        (1, 0, []),
        (0, 1, []),
    ]
    found = rows_of(http, f"{SHOP}/models/{model}")
    assert [
        {name: row[name] for name in row if name.startswith(("input.", "label", "prob", "pred"))} for row in found
    ] == expected
    assert {(row["id"], row["version"]) for row in found} == {(model, 4)}
    assert found[0]["latency"] == pytest.approx(250, abs=100)


@pytest.mark.parametrize(
    ("change", "body", "status", "words"),
    [
        pytest.param({"ce-id": ""}, b"{}", 400, "ce-id: is missing", id="without ce-id"),
        pytest.param({"ce-id": "a b"}, b"{}", 400, "ce-id: must be", id="an odd ce-id"),
        pytest.param({"ce-type": "other"}, b"{}", 422, "ce-type: must be", id="another type"),
        pytest.param({"ce-inferenceservicename": ""}, b"{}", 400, "is missing", id="without a model"),
        pytest.param({"ce-namespace": "bank"}, b"{}", 403, "ce-namespace", id="another namespace than the key's"),
        pytest.param({"ce-time": "yesterday"}, b"{}", 400, "ce-time: must be RFC 3339", id="a time that is none"),
        pytest.param({"ce-time": "2099-01-01T00:00:00Z"}, b"{}", 422, "clockSuspect", id="a time in 2099"),
        pytest.param({}, b"<html>", 400, "the body is not JSON", id="a body that is not JSON"),
    ],
)
def test_bad_cloudevents(
    http: httpx.Client, ingest: str, change: dict[str, str], body: bytes, status: int, words: str
) -> None:
    answer = http.post(ingest, content=body, headers=half("bad", "request") | change)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text


def test_a_cloudevent_needs_the_key_of_its_namespace(http: httpx.Client, ingest: str) -> None:
    answers = [
        http.post(path, json={}, headers=half("x", "request"))
        for path in (ingest[:-1] + "x", ingest.replace("shop", "bank"))
    ]
    assert [answer.status_code for answer in answers] == [401, 401]


@pytest.mark.parametrize(
    ("bodies", "words"),
    [
        pytest.param(({"instances": [[1]]}, {"predictions": [1, 2]}), "the request has 1 rows", id="other rows"),
        pytest.param(({"text": "hello"}, {"predictions": [1]}), "neither instances", id="of no protocol"),
        pytest.param(({"instances": [[[1, 2]]]}, {"predictions": [1]}), "only tables", id="an image"),
        pytest.param(({"instances": [[1]]}, {"error": "no"}), "neither predictions", id="an error for an answer"),
    ],
)
def test_pairs_that_are_no_table_are_refused_and_counted(
    http: httpx.Client, ingest: str, request: pytest.FixtureRequest, bodies: tuple[Any, Any], words: str
) -> None:
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    for kind, body in zip(("request", "response"), bodies, strict=True):
        answer = http.post(ingest, json=body, headers=half(name, kind, "odd"))
    assert answer.status_code == 200
    assert words in answer.json()["refused"][0]["problem"]
    assert 'refit_collector_refused_total{reason="unreadable"}' in http.get("/metrics").text


def test_a_half_alone_is_counted_as_an_orphan(http: httpx.Client, ingest: str) -> None:
    http.post(ingest, json=V1[1], headers=half("alone", "response", "lonely"))
    line = 'refit_collector_orphans_total{kind="response",model="lonely",namespace="shop"} 1.0'
    until(lambda: line in http.get("/metrics").text)
    found = http.get(f"{SHOP}/models/lonely/coverage", params={"since": stamp(60), "until": stamp()}).json()
    assert found["orphans"] == {"response": 1}


def test_tokens_are_read_again_when_their_file_changes(tmp_path: Path) -> None:
    with started(tmp_path) as running:
        body = lines(event("token"))
        (tmp_path / "new").write_text("# after a rotation\nnext-token shop\na line of three words\n")
        (tmp_path / "new").rename(tmp_path / "tokens")
        codes = []
        for token in (TOKEN, "next-token"):
            with running.client(token) as http:
                codes.append(http.post(EVENTS, content=body, headers=NDJSON).status_code)
    told = running.log.read_text()
    assert codes == [401, 200]
    assert "a line of the tokens is not a token and a namespace" in told
    assert not any(token in told for token in (TOKEN, "next-token"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"REFIT_COLLECTOR_DATA_DIR": ""}, "REFIT_COLLECTOR_DATA_DIR: Field required", id="no directory"),
        pytest.param({"REFIT_COLLECTOR_DATA_DIR": "/proc/x"}, "REFIT_COLLECTOR_DATA_DIR: [Errno 2]", id="a directory that can not be"),
        pytest.param(
            {"REFIT_COLLECTOR_QUEUE_BYTES": "many"},
            "REFIT_COLLECTOR_QUEUE_BYTES: Input should be a valid integer, unable to parse string as an integer (is 'many')",
            id="a word for a number",
        ),
        pytest.param({"REFIT_COLLECTOR_PORT": "70000"}, "REFIT_COLLECTOR_PORT: Input should be less than", id="a port past all"),
        pytest.param({"REFIT_COLLECTOR_TOKENS_FILE": ""}, "REFIT_COLLECTOR_TOKENS_FILE: name a file", id="no way to log in"),
        pytest.param(
            {"REFIT_COLLECTOR_ADMIN_SERVICEACCOUNTS": "operator"},
            "REFIT_COLLECTOR_ADMIN_SERVICEACCOUNTS: Value error, each must be namespace:name",
            id="a ServiceAccount without namespace",
        ),
    ],
)  # fmt: skip
def test_a_bad_setting_ends_the_process_with_one_line(tmp_path: Path, change: dict[str, str], expected: str) -> None:
    given = {name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES_")}
    found = subprocess.run(
        [sys.executable, "-m", "refit_collector", "serve"],
        env=given | environment(tmp_path) | change,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr.startswith(f"refit_collector: {expected}"), found.stderr.count("\n")) == (
        2,
        True,
        1,
    ), found.stderr


def test_a_port_in_use_is_told(tmp_path: Path, server: Running) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "refit_collector", "serve"],
        env=os.environ | environment(tmp_path, REFIT_COLLECTOR_PORT=server.url.rpartition(":")[2]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, "REFIT_COLLECTOR_PORT" in found.stderr) == (2, True)


def test_the_log_is_json_and_holds_no_row(server: Running, http: httpx.Client) -> None:
    http.post(EVENTS, content=lines(event("secret-row", inputs={"name": ["Ada Lovelace"]})), headers=NDJSON)
    http.post(EVENTS, content=lines(event("bad-row", version=0, inputs={"name": ["Ada Lovelace"]})), headers=NDJSON)
    text = server.log.read_text()
    for line in text.splitlines():
        assert {"time", "level", "logger", "message"} <= set(json.loads(line))
    assert not any(word in text for word in ("Lovelace", TOKEN, "secret-row"))


def test_too_much_at_once_is_answered_503_and_counted(tmp_path: Path) -> None:
    """The budget of one MiB is held by a body that is still coming."""
    with started(tmp_path, REFIT_COLLECTOR_QUEUE_BYTES=str(1024 * 1024)) as running, running.client() as http:
        large = lines(*(event(f"large-{at}", inputs={"text": ["x" * 1000]}) for at in range(1200)))
        refused = http.post(EVENTS, content=large, headers=NDJSON)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert http.post(EVENTS, content=lines(event("small")), headers=NDJSON).status_code == 200
        assert "refit_collector_rejected_total 1.0" in http.get("/metrics").text


def kept(http: httpx.Client, model: str, name: str) -> dict[str, Any]:
    """What any path tells of a model and of one of its events."""
    place = f"{SHOP}/models/{model}"
    within = {"since": stamp(600), "until": stamp(-60)}
    coverage = http.get(f"{place}/coverage", params=within).json()
    return {
        "rows": [row["id"] for row in rows_of(http, place)],
        "labels": coverage["labelled"] + coverage["labelsWithoutPrediction"],
        "measurements": len(http.get(f"{place}/measurements").json()),
        "prediction": http.get(f"{SHOP}/predictions/{name}").status_code,
        "series": f'model="{model}"' in http.get("/metrics").text,
    }


NOTHING = {"rows": [], "labels": 0, "measurements": 0, "prediction": 404, "series": False}


def test_a_model_is_removed_with_all_that_is_kept_of_it(http: httpx.Client) -> None:
    for model in ("gone", "stays"):
        place = f"{SHOP}/models/{model}"
        http.post(f"{place}/events", content=lines(event(f"{model}-1")), headers=NDJSON)
        http.post(f"{place}/labels", json=[{"id": f"{model}-1", "label": "yes"}, {"id": f"{model}-2", "label": "no"}])
        http.put(
            f"{place}/measurements/m1",
            json={"key": "m1", "time": stamp(), "namespace": "shop", "model": model, "verdict": "NoDrift"},
        )
    stays = kept(http, "stays", "stays-1")
    assert kept(http, "gone", "gone-1") == stays | {"rows": ["gone-1"]}
    answers = [http.delete(f"{SHOP}/models/gone") for _ in range(2)]
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (200, {"removed": True}),
        (200, {"removed": False}),
    ]
    assert kept(http, "gone", "gone-1") == NOTHING
    assert kept(http, "stays", "stays-1") == stays | {"rows": ["stays-1"]}

    def taken_anew() -> bool:
        answer = http.post(f"{SHOP}/models/gone/events", content=lines(event("gone-1")), headers=NDJSON)
        return bool(answer.json()["stored"])

    until(taken_anew)
    assert kept(http, "gone", "gone-1")["labels"] == 0


def test_a_model_is_removed_by_who_may_write_there(http: httpx.Client) -> None:
    assert http.delete("/v1/namespaces/clinic/models/heart").status_code == 403
    assert http.delete(f"{SHOP}/models/heart", headers={"authorization": "Bearer no"}).status_code == 401
    assert http.delete(f"{SHOP}/models/No").status_code == 422
