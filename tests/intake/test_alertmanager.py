from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from intake_server import BEARER, JSON, NOW, Running, Setup, alert, delivery, started
from refit.intake import StoredAlert

HEART = ("clinic", "heart")
STORED = StoredAlert(
    name="RefitDataDrift",
    fingerprint="c0ffee0000000001",
    severity="warning",
    starts_at=datetime(2026, 3, 1, 11, 0, 0, 123456, tzinfo=UTC),
    received_at=NOW,
    labels={"namespace": "clinic", "model": "heart"},
    summary="thalach drifted",
)


@pytest.fixture
async def intake(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as found:
        yield found


def labelled(**labels: str) -> dict[str, Any]:
    return alert(labels={"alertname": "RefitDataDrift", "namespace": "clinic", "model": "heart"} | labels)


async def test_an_alert_is_stored_and_the_operator_looks_at_its_model(intake: Running) -> None:
    assert await intake.alerts(alert()) == (202, {"stored": 1})
    assert intake.store.open(*HEART) == (STORED,)
    assert intake.woken == [HEART]
    assert intake.store.open("clinic", "lungs") == ()


WHOLE = json.dumps(delivery(alert())).encode()


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        pytest.param(b"drift!", {}, (400, "the body is not JSON (line 1, column 1)"), id="45 what is not JSON"),
        pytest.param(WHOLE[:-9], {}, (400, "the body is not JSON"), id="45 JSON cut short"),
        pytest.param(b"\xff\xfe{}", {}, (400, "the body is not UTF-8"), id="45 what is not UTF-8"),
        pytest.param(b"[]", {}, (400, "the body must be a JSON object"), id="45 a list"),
        pytest.param(b'{"a": NaN}', {}, (400, "the body is not JSON"), id="45 a number that JSON has not"),
        pytest.param(
            b'{"a":' + b"9" * 5000 + b"}", {}, (400, "the body is not JSON"), id="45 a number of 5,000 digits"
        ),
        pytest.param(
            b'{"a":' * 25 + b"1" + b"}" * 25, {}, (400, "the body is nested more than 20 deep"), id="45 JSON 25 deep"
        ),
        pytest.param(
            b'{"a":' + b"[" * 200_000, {}, (400, "the body is nested more than 20 deep"), id="45 JSON 200,000 deep"
        ),
        pytest.param(
            gzip.compress(b" " * 50_000_000),
            {"Content-Encoding": "gzip"},
            (415, "Content-Encoding: send the body as it is, not compressed"),
            id="45 a gzip bomb is not unpacked",
        ),
        pytest.param(b" " * 5_000_000, {}, (413, "the body is larger than 1048576 bytes"), id="45 five megabytes"),
        pytest.param(
            WHOLE, {"Content-Type": "text/plain"}, (415, "Content-Type: must be application/json"), id="46 another type"
        ),
        pytest.param(WHOLE, {"Authorization": ""}, (401, "unauthorized"), id="47 no token"),
        pytest.param(WHOLE, {"Authorization": "Bearer wrong"}, (401, "unauthorized"), id="47 a wrong token"),
        pytest.param(
            WHOLE, {"Authorization": BEARER["Authorization"][:-1]}, (401, "unauthorized"), id="47 part of the token"
        ),
        pytest.param(
            WHOLE,
            {"Authorization": BEARER["Authorization"].replace("Bearer", "Basic")},
            (401, "unauthorized"),
            id="47 the token by another scheme",
        ),
    ],
)
async def test_what_is_no_delivery_is_refused(
    intake: Running, body: bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    status, document = await intake.post("/v1/alertmanager", body, BEARER | headers)
    assert (status, document["error"][: len(expected[1])]) == expected
    assert intake.woken == []
    assert intake.count("refit_intake_requests_total", route="/v1/alertmanager", code=str(status)) == 1


async def test_a_chunked_body_is_cut_at_the_limit(intake: Running) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b" " * 65536

    async with intake.session.post(f"{intake.url}/v1/alertmanager", data=chunks(), headers=JSON | BEARER) as answer:
        assert (answer.status, await answer.json()) == (413, {"error": "the body is larger than 1048576 bytes"})


async def test_46_other_methods_and_places_are_refused(intake: Running) -> None:
    async with intake.session.get(f"{intake.url}/v1/alertmanager", headers=BEARER) as answer:
        assert (answer.status, answer.headers["Allow"], await answer.json()) == (405, "POST", {"error": "use POST"})
    async with intake.session.get(f"{intake.url}/metrics") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(delivery(version="3"), (422, "version: Input should be '4'"), id="51 another version"),
        pytest.param(
            {key: value for key, value in delivery().items() if key != "groupKey"},
            (422, "groupKey: Field required"),
            id="51 no group key",
        ),
        pytest.param(delivery(alerts=None), (422, "alerts: Input should be a valid list"), id="51 alerts null"),
        pytest.param(delivery(alerts={}), (422, "alerts: Input should be a valid list"), id="51 alerts an object"),
        pytest.param(
            delivery(alert(status="pending")),
            (422, "alerts[0].status: Input should be 'firing' or 'resolved'"),
            id="51 a status that is none",
        ),
        pytest.param(
            delivery(alert(), alert(startsAt="yesterday")),
            (422, "alerts[1].startsAt: must be RFC 3339 with a zone, such as 2026-01-31T12:00:00.000Z"),
            id="51 a time that is none",
        ),
        pytest.param(
            delivery(alert(startsAt="9999-12-31T23:59:59-10:00")),
            (422, "alerts[0].startsAt: 9999-12-31T23:59:59-10:00 is no moment"),
            id="51 a time after the last year",
        ),
        pytest.param(
            delivery(alert(startsAt=1767225600)),
            (422, "alerts[0].startsAt: must be RFC 3339 with a zone, such as 2026-01-31T12:00:00.000Z"),
            id="51 a time as a number",
        ),
        pytest.param(
            delivery(alert(fingerprint="../etc")),
            (422, "alerts[0].fingerprint: String should match pattern '^[A-Za-z0-9_-]{1,64}$'"),
            id="51 a fingerprint that is a path",
        ),
        pytest.param(
            delivery(*[alert()] * 501),
            (413, "alerts: 501 in one request, at most 500; set max_alerts"),
            id="52 more than 500 alerts",
        ),
        pytest.param(
            delivery(labelled(model="x" * 1025)),
            (422, "alerts[0].labels.model: String should have at most 1024 characters"),
            id="54 a label of more than 1 KiB",
        ),
        pytest.param(
            delivery(labelled(**{"x" * 129: "y"})),
            (422, f"alerts[0].labels.{'x' * 63}…: String should have at most 128 characters"),
            id="54 a label's name of more than 128 characters",
        ),
        pytest.param(
            delivery(labelled(model="\ud800")),
            (
                422,
                "alerts[0].labels.model: Input should be a valid string, unable to parse raw data as a unicode string",
            ),
            id="54 half of a character",
        ),
        pytest.param(
            delivery(labelled(model=1)),  # type: ignore[arg-type]  # that is what is tested
            (422, "alerts[0].labels.model: Input should be a valid string"),
            id="54 a label that is a number",
        ),
    ],
)
async def test_a_delivery_of_another_form_is_refused_by_field(
    intake: Running, document: Any, expected: tuple[int, str]
) -> None:
    status, found = await intake.post("/v1/alertmanager", document, BEARER)
    assert (status, found) == (expected[0], {"error": expected[1]})
    assert intake.store.open(*HEART) == ()


async def test_51_no_alerts_are_no_work(intake: Running) -> None:
    assert await intake.alerts() == (202, {})
    assert intake.woken == []


async def test_52_alerts_that_the_sender_cut_are_noted(intake: Running) -> None:
    assert await intake.alerts(alert(), truncatedAlerts=3) == (202, {"stored": 1, "truncated": 3})
    assert [found.truncated for found in intake.store.open(*HEART)] == [3]
    assert intake.count("refit_intake_alerts_total", outcome="truncated") == 3


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"model": ""}, id="53 without a model"),
        pytest.param({"model": "kidney"}, id="53 a model that is not there"),
        pytest.param({"namespace": "other"}, id="53 a model of another namespace"),
        pytest.param({"model": "../heart"}, id="54 a path"),
        pytest.param({"model": "heart\n  image: evil"}, id="54 YAML"),
        pytest.param({"model": "heart\n"}, id="54 a line's end"),
        pytest.param({"model": "Heart"}, id="54 capitals"),
        pytest.param({"model": "$(reboot)"}, id="54 a command"),
    ],
)
async def test_an_alert_of_no_model_is_ignored_and_counted(tmp_path: Path, labels: dict[str, str]) -> None:
    asked: list[tuple[str, str]] = []

    def known(*name: str) -> bool:
        asked.append(name)  # type: ignore[arg-type]  # two strings
        return name == HEART

    async with started(tmp_path, Setup(known=known)) as intake:
        answer = await intake.alerts(labelled(**labels))
        assert answer == (202, {"ignored": [{"fingerprint": "c0ffee0000000001", "why": "no mapping"}]})
        assert intake.count("refit_intake_alerts_total", outcome="ignored") == 1
        assert intake.woken == []
        assert all(name.isalnum() for pair in asked for name in pair), "only names that can be one are asked for"


async def test_labels_that_name_the_model_can_be_chosen(tmp_path: Path) -> None:
    setup = Setup(settings={"REFIT_INTAKE_TARGET_LABELS": "namespace=kubernetes_namespace, model=mdep"})
    async with started(tmp_path, setup) as intake:
        labels = {
            "kubernetes_namespace": "clinic",
            "mdep": "heart",
            "namespace": "x",
            "model": "y",
            "column": "thalach",
        }
        assert await intake.alerts(alert(labels=labels)) == (202, {"stored": 1})
        assert [found.labels for found in intake.store.open(*HEART)] == [
            {"kubernetes_namespace": "clinic", "mdep": "heart", "column": "thalach"}
        ]


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({"startsAt": "2099-01-01T00:00:00Z"}, id="55 a start in 2099"),
        pytest.param(
            {"status": "resolved", "endsAt": "2026-03-01T10:00:00Z"}, id="55 an end before the start, and nothing else"
        ),
    ],
)
async def test_an_alert_whose_times_can_not_be_is_kept_and_never_acted_on(
    intake: Running, times: dict[str, str]
) -> None:
    assert await intake.alerts(alert(**times)) == (202, {"suspect": 1})
    assert all(found.clock_suspect for found in intake.store.open(*HEART))
    assert intake.woken == []


async def test_55_a_start_in_2099_is_seen_as_suspect(intake: Running) -> None:
    await intake.alerts(alert(startsAt="2099-01-01T00:00:00Z"))
    assert [(found.clock_suspect, found.starts_at.year) for found in intake.store.open(*HEART)] == [(True, 2099)]


async def test_56_an_alert_resolved_before_it_fires_is_one_record_and_over(intake: Running) -> None:
    over = alert(status="resolved", endsAt="2026-03-01T11:30:00Z")
    assert await intake.alerts(over) == (202, {"resolved": 1})
    assert await intake.alerts(alert()) == (202, {"late": 1})
    assert intake.store.open(*HEART) == ()
    assert intake.woken == []


async def test_an_alert_that_ends_is_no_longer_open(intake: Running) -> None:
    await intake.alerts(alert())
    assert await intake.alerts(alert(status="resolved", endsAt="2026-03-01T11:30:00Z")) == (202, {"resolved": 1})
    assert intake.store.open(*HEART) == ()
    assert intake.woken == [HEART, HEART]


async def test_56_an_alert_that_flaps_1000_times_is_one_record_and_cools_down(intake: Running) -> None:
    flaps = []
    for number in range(1000):
        starts = f"2026-03-01T11:{number // 60:02}:{number % 60:02}Z"
        flaps += [alert(startsAt=starts), alert(startsAt=starts, status="resolved", endsAt=starts)]
    for begin in range(0, 2000, 20):
        assert (await intake.alerts(*flaps[:-1][begin : begin + 20]))[0] == 202
    found = intake.store.open(*HEART)
    assert [(one.flapping, one.starts_at.minute) for one in found] == [(True, 16)]
    assert len(intake.woken) < 40
    rows = intake.store._reader.execute("SELECT count(*) FROM alert").fetchone()
    assert rows[0] <= 4
    intake.later(hours=2)
    assert [one.flapping for one in intake.store.open(*HEART)] == [False]


async def test_10000_duplicates_are_one_record_and_one_look(intake: Running) -> None:
    for _ in range(20):
        assert (await intake.alerts(*[alert()] * 500))[0] == 202
    assert intake.store.open(*HEART) == (STORED,)
    assert intake.woken == [HEART]
    assert intake.count("refit_intake_alerts_total", outcome="duplicate") == 9999


async def test_a_flood_is_stored_held_back_seen_and_passed_on_later(tmp_path: Path) -> None:
    async with started(tmp_path, Setup(settings={"REFIT_INTAKE_TARGET_PER_MINUTE": "5"})) as intake:
        many = [alert(fingerprint=f"{number:016x}") for number in range(12)]
        assert await intake.alerts(*many) == (202, {"stored": 12, "held": 7})
        assert (len(intake.store.open(*HEART)), intake.store.held(*HEART)) == (5, 7)
        other = alert(labels={"alertname": "A", "namespace": "clinic", "model": "lungs"})
        assert await intake.alerts(other) == (202, {"stored": 1}), "another model is not held back"
        intake.later(minutes=1)
        assert await intake.store.tidy() == 2
        assert (len(intake.store.open(*HEART)), intake.store.held(*HEART)) == (10, 2)


async def test_what_is_over_is_forgotten_after_seven_days(intake: Running) -> None:
    await intake.alerts(alert(status="resolved", endsAt="2026-03-01T11:30:00Z"), alert(fingerprint="still"))
    intake.later(days=6)
    await intake.alerts(alert(fingerprint="still"))
    intake.later(days=2)
    await intake.store.tidy()
    assert [found.fingerprint for found in intake.store.open(*HEART)] == ["still"]
    assert intake.store._reader.execute("SELECT count(*) FROM alert").fetchone() == (1,)


async def test_before_the_models_are_listed_senders_are_asked_to_come_again(tmp_path: Path) -> None:
    async with started(tmp_path, Setup(ready=lambda: False)) as intake:
        assert await intake.alerts(alert()) == (503, {"error": "the operator does not know its models yet"})


async def test_texts_of_a_sender_lose_control_and_direction_marks(intake: Running) -> None:
    await intake.alerts(alert(annotations={"summary": "a\x1b[31mb\u202ec\n" + "d" * 300}))
    (found,) = intake.store.open(*HEART)
    assert found.summary == "a [31mb c " + "d" * 245 + "…"
