"""What was answered 2xx is stored, whatever happens: kill -9, a full disk, a full queue."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as generated
from hypothesis import strategies as st
from intake_process import TOKEN
from wire import Pool, request

from intake_server import BEARER, Running, Setup, alert, delivery, started
from refit.intake.writer import Limits

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "intake_process.py"
HEART = ("clinic", "heart")


async def load(url: str, accepted: set[str], round_: int, process: subprocess.Popen[bytes]) -> None:
    """Alerts from 16 connections until 200 more are taken; then the process is killed in the middle of the others."""
    pool, numbers = Pool(url, 16), iter(range(100_000))
    enough = len(accepted) + 200

    async def one() -> None:
        for number in numbers:
            fingerprint = f"{round_:08x}{number:08x}"
            labels = {"namespace": "clinic", "model": "model-0"}
            body = json.dumps(delivery(alert(fingerprint=fingerprint, labels=labels))).encode()
            status = await pool.send(request(url, TOKEN, body))
            if status != 202:
                return
            accepted.add(fingerprint)
            if len(accepted) == enough:
                os.kill(process.pid, signal.SIGKILL)

    await asyncio.gather(*[one() for _ in range(16)])
    pool.close()


def test_every_alert_answered_202_is_stored_though_the_process_is_killed(tmp_path: Path) -> None:
    accepted: set[str] = set()
    for round_ in range(5):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        process = subprocess.Popen([sys.executable, str(SCRIPT), str(port), str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            asyncio.run(load(f"http://127.0.0.1:{port}/v1/alertmanager", accepted, round_, process))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        with sqlite3.connect(tmp_path / "alerts.db") as store:
            stored = {row[0] for row in store.execute("SELECT fingerprint FROM alert")}
        assert accepted <= stored
        assert len(accepted) >= 200 * (round_ + 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk needs the right to mount: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_is_503_nothing_is_lost_and_it_recovers(small_disk: Path) -> None:
    async with started(small_disk) as intake:
        accepted: set[str] = set()
        for number in range(3000):
            some = [f"{number:08x}{index:08x}" for index in range(20)]
            body = delivery(*[alert(fingerprint=one) for one in some])
            async with intake.session.post(f"{intake.url}/v1/alertmanager", json=body, headers=BEARER) as answer:
                document = await answer.json()
                if answer.status != 202:
                    break
                accepted.update(some)
        full = {"error": "the alert store does not take it: database or disk is full"}
        assert (answer.status, answer.headers["Retry-After"], document) == (503, "5", full)
        larger = await asyncio.create_subprocess_exec("mount", "-o", "remount,size=4m", str(small_disk))
        assert await larger.wait() == 0
        assert (await intake.alerts(alert(fingerprint="after")))[0] == 202
        rows = intake.store._reader.execute("SELECT fingerprint FROM alert").fetchall()
        assert {row[0] for row in rows} == accepted | {"after"}


async def test_a_full_queue_is_503_and_never_429(tmp_path: Path) -> None:
    async with started(tmp_path, Setup(limits=Limits(queue_bytes=2000, gather_seconds=0.2))) as intake:
        answers = await asyncio.gather(*[intake.alerts(alert(fingerprint=str(number))) for number in range(20)])
        refused = (503, {"error": "too much waits to be stored"})
        assert {status for status, _ in answers} == {202, 503}
        assert all(answer == refused for answer in answers if answer[0] == 503)
        found = intake.store.open(*HEART)
        assert len(found) == sum(status == 202 for status, _ in answers)
        assert (await intake.alerts(alert(fingerprint="later")))[0] == 202


@pytest.fixture
async def intake(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as found:
        yield found


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
fields = st.sampled_from(
    ["version", "groupKey", "truncatedAlerts", "alerts", "status", "labels", "annotations", "startsAt", "endsAt"]
)
bodies = st.one_of(
    st.binary(max_size=200),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.tuples(fields, json_values).map(lambda pair: json.dumps(delivery(alert()) | dict([pair])).encode()),
    st.tuples(fields, json_values).map(lambda pair: json.dumps(delivery(alert() | dict([pair]))).encode()),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@generated(body=bodies)
def test_no_body_makes_a_500(fuzzed: _Fuzzed, body: bytes) -> None:
    assert fuzzed.post(body) in {202, 400, 413, 422}


class _Fuzzed:
    """An intake in a loop of this test's own, as hypothesis calls what is not async."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._context = started(folder)
        self._intake = self._loop.run_until_complete(self._context.__aenter__())

    def post(self, body: bytes) -> int:
        return self._loop.run_until_complete(self._intake.post("/v1/alertmanager", body, BEARER))[0]

    def close(self) -> None:
        self._loop.run_until_complete(self._context.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture
def fuzzed(tmp_path: Path) -> Iterator[_Fuzzed]:
    found = _Fuzzed(tmp_path)
    try:
        yield found
    finally:
        found.close()
