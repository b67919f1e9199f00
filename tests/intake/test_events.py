from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from intake_server import NOW, Running, Setup, signed, started
from refit.intake import StoredEvent

HEART = ("clinic", "heart")
OF_HEART = {"namespace": "clinic", "model": "heart"}
GITHUB_SECRET = b"github-secret-of-32-bytes-length"


@pytest.fixture
async def intake(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as found:
        yield found


def seen(kind: str, summary: str = "", namespace: str = "clinic", model: str = "heart") -> StoredEvent:
    return StoredEvent(type=kind, namespace=namespace, model=model, summary=summary, received_at=NOW)


async def test_an_event_asks_for_a_measurement(intake: Running) -> None:
    assert intake.store.asked(*HEART) is None
    assert await intake.event({"type": "refit.measure", **OF_HEART, "summary": "new labels"}) == (
        202,
        {"event": "refit.measure"},
    )
    assert intake.store.asked(*HEART) == NOW
    assert intake.store.events(*HEART) == (seen("refit.measure", "new labels"),)
    assert intake.woken == [HEART]


async def test_another_monitor_reports_drift_goes_on_reporting_and_ends_it(intake: Running) -> None:
    report = {"type": "refit.drift", **OF_HEART, "summary": "thalach", "severity": "critical"}
    assert await intake.event(report) == (202, {"event": "refit.drift", "stored": 1})
    intake.later(seconds=100)
    assert await intake.event(report, "msg_2") == (202, {"event": "refit.drift", "duplicate": 1})
    (found,) = intake.store.open(*HEART)
    assert (found.name, found.severity, found.summary, found.starts_at) == ("ExternalDrift", "critical", "thalach", NOW)
    assert await intake.event(report | {"status": "resolved"}, "msg_3") == (
        202,
        {"event": "refit.drift", "resolved": 1},
    )
    assert intake.store.open(*HEART) == ()
    assert intake.woken == [HEART, HEART]


async def test_50_a_replayed_id_has_no_second_effect(intake: Running) -> None:
    ask = {"type": "refit.measure", **OF_HEART}
    await intake.event(ask)
    intake.later(seconds=10)
    assert await intake.event(ask) == (200, {"duplicate": True})
    assert await intake.event({"type": "refit.drift", **OF_HEART}) == (200, {"duplicate": True})
    assert intake.store.asked(*HEART) == NOW
    assert intake.woken == [HEART]


async def test_too_many_asks_are_kept_and_do_nothing(tmp_path: Path) -> None:
    async with started(tmp_path, Setup(settings={"REFIT_INTAKE_TARGET_PER_MINUTE": "1"})) as intake:
        ask = {"type": "refit.measure", **OF_HEART}
        await intake.event(ask)
        intake.later(seconds=10)
        assert await intake.event(ask, "msg_2") == (202, {"event": "refit.measure", "held": 1})
        assert (intake.store.asked(*HEART), len(intake.store.events(*HEART))) == (NOW, 2)
        assert intake.woken == [HEART]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(
            {"type": "refit.delete", **OF_HEART},
            (422, "type: 'refit.delete' is not known; known are refit.measure, refit.drift, refit.performance"),
            id="a type that is not known is refused by name",
        ),
        pytest.param(
            {},
            (422, "type: 'NoneType' is not known; known are refit.measure, refit.drift, refit.performance"),
            id="no type",
        ),
        pytest.param(
            {"type": ["refit.measure"]},
            (422, "type: 'list' is not known; known are refit.measure, refit.drift, refit.performance"),
            id="a type that is a list",
        ),
        pytest.param(
            {"type": "refit.measure", **OF_HEART, "image": "evil"},
            (422, "image: Extra inputs are not permitted"),
            id="a field that does nothing is refused",
        ),
        pytest.param({"type": "refit.measure", "namespace": "clinic"}, (422, "model: Field required"), id="no model"),
        pytest.param(
            {"type": "refit.drift", **OF_HEART, "status": "maybe"},
            (422, "status: Input should be 'firing' or 'resolved'"),
            id="a status that is none",
        ),
        pytest.param(
            {"entity": "prompt", "action": "created", "data": {"name": "x"}},
            (
                422,
                "entity: 'prompt' is not known; known are registered_model, model_version, model_version_tag, model_version_alias",
            ),
            id="an entity of MLflow's that is no model",
        ),
    ],
)
async def test_an_event_is_refused(intake: Running, document: Any, expected: tuple[int, str]) -> None:
    assert await intake.event(document) == (expected[0], {"error": expected[1]})
    assert await intake.event({"type": "refit.measure", **OF_HEART}) == (202, {"event": "refit.measure"}), (
        "a refused id is free"
    )


async def test_an_event_of_an_unknown_model_is_ignored_and_may_come_again(intake: Running) -> None:
    ask = {"type": "refit.measure", "namespace": "clinic", "model": "kidney"}
    expected = (202, {"ignored": [{"id": "msg_1", "why": "no mapping"}]})
    assert [await intake.event(ask), await intake.event(ask)] == [expected, expected]


async def test_mlflow_tells_of_a_version_and_it_is_kept_with_its_model(intake: Running) -> None:
    body = {
        "entity": "model_version",
        "action": "created",
        "timestamp": "2026-03-01T12:00:00+00:00",
        "data": {
            "name": "clinic.heart",
            "version": "3",
            "source": "models:/1",
            "run_id": None,
            "tags": {},
            "description": None,
        },
    }
    data = json.dumps(body).encode()
    names = {"webhook-id": "X-MLflow-Delivery-Id", "webhook-timestamp": "X-MLflow-Timestamp"}
    names["webhook-signature"] = "X-MLflow-Signature"
    headers = {names[name]: value for name, value in signed(data).items()}
    assert await intake.post("/v1/events", data, headers) == (202, {"event": "mlflow.model_version.created"})
    assert intake.store.events(*HEART) == (seen("mlflow.model_version.created", "clinic.heart version 3"),)
    assert intake.woken == []


async def test_mlflow_tells_of_a_model_that_is_not_ours(intake: Running) -> None:
    body = {"entity": "registered_model", "action": "created", "data": {"name": "elsewhere"}}
    assert await intake.event(body) == (202, {"event": "mlflow.registered_model.created"})
    assert intake.store.events() == (seen("mlflow.registered_model.created", "elsewhere", "", ""),)


def github(body: bytes, number: str = "d-1", kind: str = "push") -> dict[str, str]:
    signature = hmac.new(GITHUB_SECRET, body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Delivery": number, "X-GitHub-Event": kind}


PUSH = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "clinic/models"}}).encode()
RUN = json.dumps(
    {
        "action": "completed",
        "repository": {"full_name": "clinic/models"},
        "workflow_run": {"name": "train", "head_branch": "main", "status": "completed", "conclusion": None},
    }
).encode()


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        pytest.param("push", PUSH, seen("github.push", "clinic/models refs/heads/main", "", ""), id="a push"),
        pytest.param(
            "workflow_run",
            RUN,
            seen("github.workflow_run", "clinic/models completed train main completed", "", ""),
            id="a workflow's run",
        ),
    ],
)
async def test_github_tells_and_it_is_kept(intake: Running, kind: str, body: bytes, expected: StoredEvent) -> None:
    assert await intake.post("/v1/github", body, github(body, kind=kind)) == (202, {"event": expected.type})
    assert intake.store.events() == (expected,)


async def test_50_github_tells_again_by_id_or_by_body(intake: Running) -> None:
    assert (await intake.post("/v1/github", PUSH, github(PUSH)))[0] == 202
    duplicate = (200, {"duplicate": True})
    assert await intake.post("/v1/github", RUN, github(RUN, kind="workflow_run")) == duplicate, "the id"
    assert await intake.post("/v1/github", PUSH, github(PUSH, "d-2")) == duplicate, "the body: its id is not signed"
    assert len(intake.store.events()) == 1


async def test_github_pings_and_is_answered(intake: Running) -> None:
    assert await intake.post("/v1/github", b"{}", github(b"{}", kind="ping")) == (200, {"pong": True})


async def test_github_tells_of_something_else_and_it_is_refused_by_name(intake: Running) -> None:
    assert await intake.post("/v1/github", PUSH, github(PUSH, kind="fork")) == (
        422,
        {"error": "X-GitHub-Event: 'fork' is not known; known are push, workflow_run, ping"},
    )


async def test_unsigned_requests_are_refused_on_both_routes(intake: Running) -> None:
    for path in ("/v1/events", "/v1/github"):
        assert await intake.post(path, b"not even JSON") == (401, {"error": "unauthorized"})
