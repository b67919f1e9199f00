"""2xx means on disk: what was acknowledged is there after every kind of death, once."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

import httpx
import pyarrow as pa
import pytest

from collector_process import (
    HEART,
    NDJSON,
    TOKEN,
    Nursery,
    environment,
    event,
    launched,
    lines,
    stamp,
    started,
)
from volumes import fill

KILLS = int(os.environ.get("REFIT_COLLECTOR_KILLS", "10"))
"""Deaths under load. Fifty were asked for, once; every run makes some."""
WRITERS = 3
EVENTS = f"{HEART}/events"
WIDE = {"note": ["two kilobytes " * 145]}
"""Makes an event 2 KB large, and a window of many easily read."""


def ids_stored(url: str) -> Counter[str]:
    """How often each id is in the one window that spans all."""
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=300) as http:
        answer = http.get(f"{HEART}/window", params={"since": stamp(3600), "until": stamp(-60)})
    assert answer.status_code == 200, answer.text
    return Counter(pa.ipc.open_stream(answer.content).read_all().column("id").to_pylist())


class Load:
    """Writers that send batches, and send one again until it is acknowledged."""

    def __init__(self) -> None:
        self.url = ""
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.answers: Counter[int] = Counter()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        with httpx.Client(timeout=10, headers=NDJSON | {"authorization": f"Bearer {TOKEN}"}) as http:
            for count in itertools.count():
                names = [f"{number}-{count}-{at}" for at in range(20)]
                body = lines(*(event(name, inputs=WIDE) for name in names))
                self.sent.update(names)
                while not self._send(http, body):
                    if self._ending.wait(0.01):
                        return
                self.acknowledged.update(names)
                if self._ending.is_set():
                    return

    def _send(self, http: httpx.Client, body: bytes) -> bool:
        try:
            answer = http.post(self.url + EVENTS, content=body)
        except (httpx.HTTPError, httpx.UnsupportedProtocol):
            return False
        self.answers[answer.status_code] += 1
        return answer.status_code == 200 and not answer.json()["refused"]


@pytest.mark.timeout(900)
def test_killed_again_and_again_under_load_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """A writer that waits in vain was told nothing, and sends again; every fifth life lasts until it rolls."""
    moments = random.Random(7)  # noqa: S311  # moments of death, the same in every run
    given = environment(tmp_path, REFIT_COLLECTOR_ROLL_BYTES="65536")
    with Nursery(tmp_path) as nursery:
        with Load() as load:
            for number in range(KILLS):
                running = nursery.start(given)
                running.wait_until_ready()
                load.url = running.url
                before = len(load.acknowledged)
                segments = rolled(running.log)
                wait_until(partial(lives, load, before, running.log, segments if number % 5 == 0 else -1))
                time.sleep(moments.uniform(0, 0.3))
                running.kill()
        running = nursery.start(given)
        running.wait_until_ready()
        found = ids_stored(running.url)
        running.kill()
    assert {
        "lost": len(load.acknowledged - set(found)),
        "doubled": sum(count > 1 for count in found.values()),
        "made up": len(set(found) - load.sent),
    } == {"lost": 0, "doubled": 0, "made up": 0}
    assert len(load.acknowledged) >= KILLS * 20
    assert rolled(running.log) >= KILLS // 5
    assert set(load.answers) == {200}


def lives(load: Load, acknowledged: int, log: Path, segments: int) -> bool:
    """Whether more was acknowledged than that, and more rolled."""
    return len(load.acknowledged) > acknowledged and rolled(log) > segments


def rolled(log: Path) -> int:
    return log.read_text().count("rolled to a segment")


def wait_until(met: Callable[[], bool]) -> None:
    """What another process does, of which only the result is seen; a busy machine takes its time."""
    deadline = time.monotonic() + 60
    while not met() and time.monotonic() < deadline:
        time.sleep(0.005)


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(0, id="when the disk is full to the last byte"),
        pytest.param(1024 * 1024, id="when the reserve is touched"),
    ],
)
def test_a_full_disk_is_answered_503_until_there_is_room(tmp_path: Path, small_volume: Path, left: int) -> None:
    with started(tmp_path, REFIT_COLLECTOR_DATA_DIR=str(small_volume / "data")) as running, running.client() as http:
        assert http.post(EVENTS, content=lines(event("before")), headers=NDJSON).json()["stored"] == 1
        ballast = small_volume / "ballast"
        fill(ballast, left)
        refused = http.post(EVENTS, content=lines(event("during", inputs=WIDE)), headers=NDJSON)
        shown = http.get("/readyz").json()
        counted = http.get("/metrics").text
        window = http.get(f"{HEART}/window", params={"since": stamp(60), "until": stamp(), "limit": "1"})
        ballast.unlink()
        recovered = http.post(EVENTS, content=lines(event("during", inputs=WIDE)), headers=NDJSON)
        again = http.get("/readyz").json()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert "nothing can be stored at the moment" in refused.json()["error"]
        assert (shown["ready"], bool(shown["trouble"])) == (True, True)
        assert "refit_collector_rejected_total 1.0" in counted
        assert window.status_code in {200, 503}
        assert (recovered.json(), again) == (
            {"stored": 1, "duplicates": 0, "refused": []},
            {"ready": True, "trouble": ""},
        )
        assert ids_stored(running.url) == Counter({"before": 1, "during": 1})
    told = running.log.read_text()
    assert [told.count("can not store"), told.count("stores again")] == [1, 1]


def test_a_full_volume_makes_room_by_itself(tmp_path: Path, small_volume: Path) -> None:
    """Events go on coming while the oldest segments go, and what goes is counted."""
    noise = random.Random(1)  # noqa: S311  # what does not compress
    data = str(small_volume / "data")
    with (
        started(tmp_path, REFIT_COLLECTOR_DATA_DIR=data, REFIT_COLLECTOR_ROLL_BYTES="1048576") as running,
        running.client() as http,
    ):
        names = (f"e{number}" for number in itertools.count())
        last = ""
        deadline = time.monotonic() + 60
        while "refit_collector_expired_rows_total 0.0" in (text := http.get("/metrics").text):
            assert time.monotonic() < deadline, text
            batch = [
                event(last := next(names), inputs={f"f{at}": [noise.random()] for at in range(100)}) for _ in range(100)
            ]
            http.post(EVENTS, content=lines(*batch), headers=NDJSON)
        answer = http.post(EVENTS, content=lines(event("newest")), headers=NDJSON)
        found = {
            name: http.get(f"/v1/namespaces/shop/predictions/{name}").status_code for name in ("newest", last, "e0")
        }
    assert (answer.status_code, found) == (200, {"newest": 200, last: 200, "e0": 404})


def test_asked_to_end_it_first_answers_what_it_was_sent(tmp_path: Path) -> None:
    with started(tmp_path) as running:
        with Load() as load:
            load.url = running.url
            deadline = time.monotonic() + 30
            while len(load.acknowledged) < 200 and time.monotonic() < deadline:
                time.sleep(0.01)
            code = running.end()
        assert (code, set(load.answers)) == (0, {200})
    with started(tmp_path) as running:
        assert load.acknowledged <= set(ids_stored(running.url))


def test_one_directory_is_one_process_s(tmp_path: Path) -> None:
    """The second waits; it starts when the first has ended."""
    with started(tmp_path), launched(tmp_path, environment(tmp_path)) as second:
        time.sleep(1)
        assert second.process.poll() is None
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{second.url}/readyz", timeout=0.5)
