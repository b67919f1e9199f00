"""The collector's answers over real HTTP, sorted by what happens next."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recording_collector import Posted, RecordingCollector, Told, recording
from refit_predictor.collector_door import Door, Later, Stored, TooLarge, Unwanted

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
BODY = b'{"id":"a"}\n'


@pytest.fixture
def collector() -> Iterator[RecordingCollector]:
    with recording() as found:
        yield found


def door(url: str, folder: Path) -> Door:
    (folder / "token").write_text("token-1\n")
    return Door(url, "clinic", "heart", folder / "token", lambda: NOW)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(Told(), Stored(), id="stored"),
        pytest.param(Told(202, {"stored": 0, "duplicates": 1}), Stored(duplicates=1), id="known already"),
        pytest.param(Told(200, {"refused": [{"line": 1, "problem": "x"}]}), Stored(refused=1), id="a line refused"),
        pytest.param(Told(200, ["odd"]), Stored(), id="stored, but the answer is no document of ours"),
        pytest.param(Told(204, ""), Stored(), id="stored without a word"),
        pytest.param(Told(400), Unwanted(400), id="not wanted"),
        pytest.param(Told(422), Unwanted(422), id="not understood"),
        pytest.param(Told(404), Unwanted(404), id="no such path"),
        pytest.param(Told(405), Unwanted(405), id="no such method of the path"),
        pytest.param(Told(413), TooLarge(), id="too large"),
        pytest.param(Told(401), Later("it answers 401"), id="the token has expired"),
        pytest.param(Told(403), Later("it answers 403"), id="the token is another's"),
        pytest.param(Told(408), Later("it answers 408"), id="too slow"),
        pytest.param(Told(429, None, {"retry-after": "7"}), Later("it answers 429", 7), id="too often"),
        pytest.param(Told(503, None, {"retry-after": "2"}), Later("it answers 503", 2), id="full, with a time"),
        pytest.param(
            Told(503, None, {"retry-after": "Sat, 31 Jan 2026 12:01:30 GMT"}),
            Later("it answers 503", 90),
            id="full, with a date",
        ),
        pytest.param(Told(503, None, {"retry-after": "soon"}), Later("it answers 503"), id="full, with nonsense"),
        pytest.param(Told(500), Later("it answers 500"), id="broken"),
        pytest.param(Told(302, None, {"location": "/"}), Later("it answers 302"), id="somewhere else"),
        pytest.param(Told(0), Later("RemoteDisconnected"), id="gone without a word"),
    ],
)
def test_answers(collector: RecordingCollector, tmp_path: Path, told: Told, expected: Any) -> None:
    collector.tell = lambda _: told
    assert door(collector.url, tmp_path).post(BODY) == expected


def test_a_request(collector: RecordingCollector, tmp_path: Path) -> None:
    door(f"{collector.url}/under/", tmp_path).post(BODY)
    (posted,) = collector.posts
    headers = {name: posted.headers[name] for name in ("content-type", "authorization", "content-length")}
    assert (posted.path, headers, posted.body) == (
        "/under/v1/namespaces/clinic/models/heart/events",
        {"content-type": "application/x-ndjson", "authorization": "Bearer token-1", "content-length": "11"},
        BODY,
    )


def test_a_token_that_was_renewed_is_used_after_a_refusal(collector: RecordingCollector, tmp_path: Path) -> None:
    def tell(posted: Posted) -> Told:
        return Told(200 if posted.headers["authorization"] == "Bearer token-2" else 401)

    collector.tell = tell
    found = door(collector.url, tmp_path)
    before = found.post(BODY)
    (tmp_path / "token").write_text("token-2\n")
    assert (before, found.post(BODY)) == (Later("it answers 401"), Stored())


def test_a_connection_that_the_other_end_closed_is_no_failure(collector: RecordingCollector, tmp_path: Path) -> None:
    found = door(collector.url, tmp_path)
    assert found.post(BODY) == Stored()
    answers = iter([Told(0), Told(200, {"stored": 0, "duplicates": 1})])
    collector.tell = lambda _: next(answers)
    assert found.post(BODY) == Stored()  # it may have had the batch before: then a duplicate is the same event


def test_without_a_token_nothing_is_sent(collector: RecordingCollector, tmp_path: Path) -> None:
    found = door(collector.url, tmp_path)
    (tmp_path / "token").unlink()
    assert found.post(BODY) == Later(f"{tmp_path / 'token'}: No such file or directory")
    (tmp_path / "token").write_text("a\nb")
    assert found.post(BODY) == Later("the token cannot be sent: it is no single line of ASCII")
    assert collector.posts == []


def test_nobody_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert door(f"http://127.0.0.1:{port}", tmp_path).post(BODY) == Later("Connection refused")


def test_somebody_who_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = door(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
        found.timeout = 0.05
        assert found.post(BODY) == Later("TimeoutError")
