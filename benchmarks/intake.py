"""What the alert intake takes: 1,000 alerts a second for a minute, none lost, beside a sync for each request.

    python benchmarks/intake.py [--seconds 60] [--rate 1000]

The server is a process of its own with its store on this machine's disk; the senders are another, with connections
that are kept. Requests leave by the clock, whether or not those before were answered: what waits is counted in the
latency. Every alert has a fingerprint of its own; in the end the store's are compared with those answered 202.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from figures import Figure, table  # noqa: E402  # beside this script, which runs without being installed
from intake_process import TOKEN  # noqa: E402
from wire import Pool, request  # noqa: E402

SECONDS, RATE, GROUP, MODELS, CONNECTIONS = 60.0, 1000, 10, 20, 64
WARM_UP = 1.0
"""Seconds that are sent and not measured: the first requests pay for imports and connections."""
P99_MS = 50.0


@dataclass
class Load:
    """What was sent and what was answered."""

    latencies: list[float] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    lost: int = 0

    def percentile(self, share: float) -> float:
        found = sorted(self.latencies)
        return 1000 * found[min(len(found) - 1, int(share * len(found)))]


def body(fingerprints: list[str], starts: str) -> dict[str, Any]:
    """A delivery as Alertmanager sends it."""
    return {
        "version": "4",
        "groupKey": "{}/{}:{alertname='RefitDataDrift'}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "refit",
        "groupLabels": {"alertname": "RefitDataDrift"},
        "commonLabels": {"alertname": "RefitDataDrift"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": [
            {
                "status": "firing",
                "labels": {
                    "alertname": "RefitDataDrift",
                    "severity": "warning",
                    "namespace": "clinic",
                    "model": f"model-{int(one, 16) % MODELS}",
                    "column": "thalach",
                    "method": "KS",
                    "pod": "refit-collector-5c9d8b7f6-abcde",
                    "job": "refit-collector",
                },
                "annotations": {"summary": "thalach drifted: 0.31 over 0.1", "description": "See the runbook. " * 8},
                "startsAt": starts,
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus:9090/graph?g0.expr=refit_feature_drifted+%3D%3D+1&g0.tab=1",
                "fingerprint": one,
            }
            for one in fingerprints
        ],
    }


@contextmanager
def server(folder: Path, *, each: bool) -> Iterator[str]:
    """The intake's process; the url of its route."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, str(HERE / "intake_process.py"), str(port), str(folder), "--models", str(MODELS)]
    process = subprocess.Popen([*command, *(["--each"] if each else [])], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield f"http://127.0.0.1:{port}/v1/alertmanager"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


async def send(url: str, *, rate: float, group: int, seconds: float) -> Load:
    """`rate` alerts a second, `group` in each request; the requests are made before the clock starts."""
    load = Load()
    starts = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    total, interval = int((WARM_UP + seconds) * rate / group), group / rate
    fingerprints = [[f"{number * group + index:016x}" for index in range(group)] for number in range(total)]
    requests = [request(url, TOKEN, json.dumps(body(some, starts)).encode()) for some in fingerprints]
    pool = Pool(url, CONNECTIONS)

    async def one(number: int, due: float) -> None:
        status = await pool.send(requests[number])
        load.answers[status] += 1
        if status == 202:  # noqa: PLR2004  # Accepted
            load.accepted.update(fingerprints[number])
        if due - begun >= WARM_UP:
            load.latencies.append(time.perf_counter() - due)

    tasks: set[asyncio.Task[None]] = set()
    begun = time.perf_counter()
    for number in range(total):
        due = begun + number * interval
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(number, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    load.seconds = time.perf_counter() - begun
    pool.close()
    return load


def measure(*, each: bool, group: int, rate: float, seconds: float) -> Load:
    """One server, one minute."""
    with tempfile.TemporaryDirectory(prefix="refit-intake-") as name:
        folder = Path(name)
        with server(folder, each=each) as url:
            load = asyncio.run(send(url, rate=rate, group=group, seconds=seconds))
        with sqlite3.connect(folder / "alerts.db") as store:
            stored = {row[0] for row in store.execute("SELECT fingerprint FROM alert")}
        load.lost = len(load.accepted - stored)
    return load


def figures(seconds: float = SECONDS, rate: float = RATE) -> list[Figure]:
    """Both servers, under both loads."""
    found = []
    for group, what in ((1, "one alert a request"), (GROUP, f"{GROUP} alerts a request")):
        other = measure(each=True, group=group, rate=rate, seconds=min(seconds, 20))
        ours = measure(each=False, group=group, rate=rate, seconds=seconds)
        name = f"intake, {rate:g} alerts/s for {seconds:g} s, {what}"
        refused = sum(number for status, number in ours.answers.items() if status != 202)  # noqa: PLR2004  # Accepted
        beside = f"a sync for each request ({other.percentile(0.99):.3g} ms)"
        found += [
            Figure(
                what=f"{name}: p99",
                value=ours.percentile(0.99),
                unit="ms",
                compared_with=beside,
                ratio=ours.percentile(0.99) / other.percentile(0.99),
                at_most=P99_MS,
            ),
            Figure(what=f"{name}: p50", value=ours.percentile(0.5), unit="ms"),
            Figure(what=f"{name}: answered 202 and not stored", value=ours.lost, unit="alerts", at_most=0),
            Figure(what=f"{name}: not answered 202", value=refused, unit="requests", at_most=0),
            Figure(
                what=f"{name}: stored a second",
                value=len(ours.accepted) / ours.seconds,
                unit="1/s",
                at_least=0.99 * rate,
            ),
        ]
    return found


def run() -> list[dict[str, Any]]:
    """The records, for benchmarks/run.py."""
    return [figure.record() for figure in figures()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--rate", type=float, default=RATE)
    given = parser.parse_args()
    print(table(figure.record() for figure in figures(given.seconds, given.rate)))


if __name__ == "__main__":
    main()
