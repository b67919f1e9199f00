"""The real predictor and what it tells a collector that fails on command."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from logged_predictor import INFER, PREDICT, ROW, ask, counts, logged, wait_for
from onnx_models import HEART, make
from predictor_process import Running, environment, started
from recording_collector import Posted, RecordingCollector, Told, recording
from refit.api.events import PredictionEvent

CANARY = 7717717


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def ids(name: str, count: int) -> list[str]:
    return [f"{name}-{at}" for at in range(count)]


def once(first: Told) -> Callable[[Posted], Told]:
    """The first request is answered so, the others as usual."""
    answers = iter([first])
    return lambda _: next(answers, Told())


@pytest.fixture(scope="module")
def one() -> Iterator[RecordingCollector]:
    with recording() as found:
        yield found


@pytest.fixture(scope="module")
def one_predictor(one: RecordingCollector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with logged(tmp_path_factory.mktemp("heart"), one.url) as running:
        yield running


@pytest.fixture
def collector(one: RecordingCollector) -> Iterator[RecordingCollector]:
    one.posts.clear()
    one.stored.clear()
    yield one
    one.tell = lambda _: Told()


@pytest.fixture
def predictor(one_predictor: Running) -> Iterator[Running]:
    yield one_predictor
    wait_for(one_predictor, pending=0)


def test_each_answered_request_is_told_and_no_other(collector: RecordingCollector, predictor: Running) -> None:
    rows = [ROW, ROW | {"age": 0.1, "thal": "6"}]
    inputs = [{"name": name, "shape": [1], "datatype": kind, "data": [ROW[name]]} for name, kind in TYPES]
    with httpx.Client(base_url=predictor.url, timeout=30) as http:
        v1 = http.post(PREDICT, json={"instances": rows}, headers={"x-request-id": "one"}).json()
        http.post(PREDICT, json={"instances": [{}]}, headers={"x-request-id": "refused"})
        http.post(INFER, json={"id": "two", "inputs": inputs})
        http.post(PREDICT, json={"instances": [ROW] * 2000}, headers={"x-request-id": "large"})  # by the other thread
    collector.wait(lambda it: len(it.stored) == 3)
    events = [PredictionEvent.model_validate(event) for event in collector.stored]
    first, second, large = events
    assert [(event.id, event.version, event.rows) for event in events] == [
        ("one", 7, 2),
        ("two", 7, 1),
        ("large", 7, 2000),
    ]
    assert first.inputs == {"age": (41, 0.1), "chol": (None, None), "sex": ("f", "f"), "thal": (None, "6")}
    assert first.labels == tuple(each["label"] for each in v1["predictions"])
    assert first.probabilities == tuple(tuple(each["probabilities"].values()) for each in v1["predictions"])
    assert (second.inputs["age"], large.inputs["age"]) == ((41,), (41,) * 2000)
    assert all(0 < event.latency < 60_000 for event in events)


TYPES = [("age", "FP32"), ("sex", "BYTES")]


def test_many_requests_make_few_posts(collector: RecordingCollector, predictor: Running) -> None:
    wanted = ids("many", 200)
    ask(predictor, *wanted)
    collector.wait(lambda it: len(it.stored) == 200)
    assert collector.ids == wanted
    assert len(collector.posts) < 50


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Told(503, None, {"retry-after": "1"}), id="full for a second"),
        pytest.param(Told(500), id="broken"),
        pytest.param(Told(401), id="a token that is not taken"),
        pytest.param(Told(403), id="a token of another namespace"),
        pytest.param(Told(429), id="too often"),
        pytest.param(Told(0), id="gone without a word"),
    ],
)
def test_what_is_not_taken_is_sent_again_in_order(
    collector: RecordingCollector, predictor: Running, first: Told, request: pytest.FixtureRequest
) -> None:
    collector.tell = once(first)
    wanted = ids(f"again-{request.node.callspec.id.replace(' ', '-')}", 20)
    lost = counts(predictor).get("dropped_total", 0)
    ask(predictor, *wanted)
    collector.wait(lambda it: len(it.stored) >= 20)
    assert collector.ids == wanted
    assert counts(predictor).get("dropped_total", 0) == lost


def test_retry_after_is_heeded(collector: RecordingCollector, predictor: Running) -> None:
    collector.tell = once(Told(503, None, {"retry-after": "2"}))
    ask(predictor, "heeded")
    collector.wait(lambda it: len(it.posts) == 1)
    begun = time.monotonic()
    collector.wait(lambda it: len(it.stored) == 1)
    assert time.monotonic() - begun > 1.5


def test_a_renewed_token_is_read(collector: RecordingCollector, predictor: Running) -> None:
    token = predictor.log.parent / "token"
    collector.tell = lambda posted: Told(200 if posted.headers["authorization"] == "Bearer token-2" else 401)
    ask(predictor, "renewed")
    collector.wait(lambda it: len(it.posts) >= 1)
    token.write_text("token-2\n")
    collector.wait(lambda it: len(it.stored) == 1)
    assert collector.ids == ["renewed"]


def test_too_large_a_batch_goes_in_parts(collector: RecordingCollector, predictor: Running) -> None:
    collector.tell = lambda posted: Told(413 if len(posted.events) > 3 else 200)
    wanted = ids("parts", 30)
    ask(predictor, *wanted)
    collector.wait(lambda it: len(it.stored) == 30)
    assert collector.ids == wanted


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        pytest.param(Told(400), "refused", id="a batch refused"),
        pytest.param(
            Told(200, {"stored": 0, "refused": [{"line": 1, "problem": "x"}]}), "refused", id="a line refused"
        ),
        pytest.param(Told(200, {"stored": 0, "duplicates": 1}), "same_id", id="an id that another request had"),
        pytest.param(Told(413), "too_large", id="too large by itself"),
    ],
)
def test_what_will_never_be_taken_is_counted_and_logged_without_data(
    collector: RecordingCollector, predictor: Running, told: Told, reason: str
) -> None:
    collector.tell = once(told)
    name = f"dropped_total{{reason={reason}}}"
    before = counts(predictor).get(name, 0)
    ask(predictor, f"never-{reason}-{before}", row=ROW | {"chol": CANARY})
    wait_for(predictor, **{name: before + 1})
    assert str(CANARY) not in predictor.log.read_text()


@pytest.mark.parametrize("status", [404, 405])
def test_what_is_no_collector_is_not_asked_again_and_the_log_says_where_to_look(
    collector: RecordingCollector, predictor: Running, status: int
) -> None:
    collector.tell = once(Told(status))
    before = counts(predictor).get("dropped_total{reason=refused}", 0)
    ask(predictor, f"lost-{status}")
    wait_for(predictor, **{"dropped_total{reason=refused}": before + 1})
    ask(predictor, f"kept-{status}")
    collector.wait(lambda it: len(it.stored) == 1)
    assert (len(collector.posts), collector.ids) == (2, [f"kept-{status}"])
    told = f"the collector answers {status}, 1 events are lost; no collector of this version is at REFIT_COLLECTOR_URL"
    assert predictor.log.read_text().count(told) == 1


def test_probes_are_no_traffic_but_few_and_counted(collector: RecordingCollector, predictor: Running) -> None:
    with httpx.Client(base_url=predictor.url, timeout=30, headers={"refit-probe": "golden"}) as http:
        for at in range(35):
            http.post(PREDICT, json={"instances": [ROW]}, headers={"x-request-id": f"probe-{at}"})
        http.post(PREDICT, json={"instances": [ROW] * 9}, headers={"x-request-id": "nine-rows"})
    collector.wait(lambda it: len(it.stored) == 6)
    assert collector.ids == [*(f"probe-{at}" for at in range(30, 35)), "nine-rows"]
    assert counts(predictor)["skipped_total"] == 30


def test_events_outlive_the_process_and_come_first(tmp_path: Path) -> None:
    port = free_port()
    left, meanwhile = ids("left", 40), ids("meanwhile", 10)
    with logged(tmp_path, f"http://127.0.0.1:{port}") as running:
        ask(running, *left)
        wait_for(running, pending=40)
        deadline = time.monotonic() + 30
        while not any((tmp_path / "spill").iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)  # the last of them is on disk a tick after the first
        running.process.kill()
        running.process.wait()
    with logged(tmp_path, f"http://127.0.0.1:{port}") as running:
        ask(running, *meanwhile)
        assert wait_for(running, pending=50)["spilled_bytes"] > 0
        with recording(port) as collector:
            collector.wait(lambda it: len(it.stored) == 50, 60)
            assert collector.ids == left + meanwhile
            assert wait_for(running, pending=0) == {"sent_total": 50}
    assert [*(tmp_path / "spill").iterdir()] == []


def test_at_the_end_what_is_pending_is_sent(tmp_path: Path) -> None:
    with recording() as collector, logged(tmp_path, collector.url) as running:
        wanted = ids("pending", 50)
        ask(running, *wanted)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
        assert collector.ids == wanted


def test_the_end_does_not_wait_long_for_a_collector_that_hangs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with logged(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}") as running:
            ask(running, *ids("hanging", 30))
            begun = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(30) == 0
            assert time.monotonic() - begun < 15
        left = b"".join(path.read_bytes() for path in sorted((tmp_path / "spill").iterdir()))
    assert [line.split(b'"')[3].decode() for line in left.splitlines()] == ids("hanging", 30)
    assert "30 events were not delivered, they are left in the spill" in running.log.read_text()


def test_a_full_spill_loses_the_oldest_and_every_request_is_accounted_for(tmp_path: Path) -> None:
    port = free_port()
    with logged(tmp_path, f"http://127.0.0.1:{port}", REFIT_SPILL_BYTES="65536") as running:
        wanted = ids("full", 600)
        ask(running, *wanted)
        deadline = time.monotonic() + 30
        while not (before := counts(running)).get("dropped_total{reason=spill}"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert before["spilled_bytes"] <= 65536
        with recording(port) as collector:
            after = wait_for(running, 60, pending=0)
            dropped = after.pop("dropped_total{reason=spill}")
            assert after == {"sent_total": 600 - dropped}
            assert collector.ids == wanted[dropped:]


def test_what_is_masked_is_on_no_wire_no_disk_and_in_no_log(tmp_path: Path) -> None:
    port = free_port()
    mask = '{"mode":"All","mask":["chol","thal"]}'
    row = ROW | {"chol": CANARY, "thal": "canary-word"}
    with logged(tmp_path, f"http://127.0.0.1:{port}", REFIT_REQUEST_LOG=mask) as running:
        ask(running, *ids("masked", 20), row=row)
        deadline = time.monotonic() + 30
        while not counts(running).get("spilled_bytes"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        spilled = b"".join(path.read_bytes() for path in (tmp_path / "spill").iterdir())
        with recording(port) as collector:
            collector.wait(lambda it: len(it.stored) == 20)
            wire = b"".join(post.body + str(post.headers).encode() for post in collector.posts)
            event = collector.stored[0]
        metrics = httpx.get(f"{running.url}/metrics").content
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(30)
    places = {"wire": wire, "spill": spilled, "log": running.log.read_bytes(), "metrics": metrics}
    assert [place for place, content in places.items() if b"771771" in content or b"canary" in content] == []
    assert b"masked-" in spilled
    assert (event["inputs"], event["masked"]) == ({"age": [41], "sex": ["f"]}, ["chol", "thal"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            {"REFIT_REQUEST_LOG": '{"mode":"All","mask":["chol","cohl"]}'},
            "REFIT_REQUEST_LOG: mask names cohl, and the model's inputs are age, sex, chol, thal; "
            "correct spec.serving.requestLog.mask",
            id="a mask that names no input",
        ),
        pytest.param(
            {"REFIT_SPILL_DIR": "/dev/null/spill"},
            "REFIT_SPILL_DIR: /dev/null/spill cannot be used: Not a directory",
            id="a spill that cannot be",
        ),
    ],
)
def test_a_log_that_cannot_be_kept_ends_the_process(tmp_path: Path, given: dict[str, str], message: str) -> None:
    made = make(HEART)
    (tmp_path / "model.onnx").write_bytes(made.content)
    usual = {
        "REFIT_COLLECTOR_URL": "http://127.0.0.1:1",
        "REFIT_COLLECTOR_TOKEN_FILE": str(tmp_path / "token"),
        "REFIT_NAMESPACE": "clinic",
        "REFIT_SPILL_DIR": str(tmp_path / "spill"),
        "REFIT_REQUEST_LOG": '{"mode":"All"}',
    }
    with started(tmp_path, environment(tmp_path, made.sha256, **usual | given)) as running:
        assert running.process.wait(60) == 2
    assert (tmp_path / "termination-log").read_text() == f"BadSettings: {message}\n"


def test_without_a_log_there_are_no_metrics_of_it(server: Running) -> None:
    assert "refit_request_log" not in httpx.get(f"{server.url}/metrics").text
