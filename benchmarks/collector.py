"""What the collector sustains: 2,000 events of 2 KB a second, each on disk before its request is answered.

    python benchmarks/collector.py [--seconds 60] [--rate 2000]

Batches of 50 events are sent at fixed moments, whether the one before was answered or not, and a batch's
time counts from its moment: a server that stalls does not get fewer requests for it. Beside it, in turn,
the same load goes to the same HTTP server doing the least that keeps the promise: it appends the body to a
file with one fsync per request, and checks, indexes and rolls nothing. In the end the collector is asked for
all it was sent, and the ids are counted.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Any

import httpx
from figures import Figure, table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

BATCH = 50
CONNECTIONS = 16
FEATURES = 66
"""Make an event 2 KB large."""
SETTLING = 0.25
"""The share of the time after which memory should stay as it is."""
PATH = "/v1/namespaces/shop/models/heart/events"


@dataclass(frozen=True, kw_only=True)
class Load:
    """One run: milliseconds of each batch, the events acknowledged per second, and bytes of memory over time."""

    milliseconds: list[float]
    throughput: float
    memory: list[int]
    refused: int

    def percentile(self, share: float) -> float:
        return sorted(self.milliseconds)[min(len(self.milliseconds) - 1, int(len(self.milliseconds) * share))]


def run(seconds: float = 60.0, rate: int = 2000) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as found:
        folder = Path(found)
        with _append(folder) as (url, process):
            plain = asyncio.run(_load(url, process, min(seconds, 60.0), rate))
        with _collector(folder) as (url, process):
            ours = asyncio.run(_load(url, process, seconds, rate))
            kept, read = _kept(url, len(ours.milliseconds) * BATCH)
    return [figure.record() for figure in _figures(ours, plain, rate, kept, read)]


def _figures(ours: Load, plain: Load, rate: int, kept: int, read: float) -> list[Figure]:
    other = "one fsync per request, nothing else"
    what = f"collector, {rate:,} events/s of 2 KB"
    steady = ours.memory[int(len(ours.memory) * SETTLING) :]
    half = len(steady) // 2
    growth = (mean(steady[half:]) / mean(steady[:half]) - 1) * 100
    acknowledged = (len(ours.milliseconds) - ours.refused) * BATCH
    return [
        Figure(
            what=f"{what}: on disk",
            value=round(ours.throughput, 1),
            unit="1/s",
            compared_with=other,
            ratio=ours.throughput / plain.throughput,
            at_least=rate * 0.99,
        ),
        *(
            Figure(
                what=f"{what}: p{share * 100:g} of a batch of {BATCH}",
                value=ours.percentile(share),
                unit="ms",
                compared_with=other,
                ratio=ours.percentile(share) / plain.percentile(share),
                at_most=20 if share == 0.99 else None,  # noqa: PLR2004  # the goal is about this one
            )
            for share in (0.5, 0.99)
        ),
        Figure(what=f"{what}: batches not taken", value=ours.refused, unit="", at_most=0),
        Figure(what=f"{what}: acknowledged and not found", value=acknowledged - kept, unit="events", at_most=0),
        Figure(what=f"{what}: growth of memory, later half", value=round(growth, 2), unit="%", at_most=10),
        Figure(what=f"{what}: most memory", value=max(ours.memory) / 2**20, unit="MiB"),
        Figure(what="collector, all of it as one window: rows", value=round(kept / read), unit="1/s"),
    ]


async def _load(url: str, process: subprocess.Popen[bytes], seconds: float, rate: int) -> Load:
    """Sends at the given rate; connections take turns, and there are enough of them that none is waited for."""
    host, port = url.removeprefix("http://").split(":")
    count = int(seconds * rate / BATCH)
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(host, int(port)))
    found: list[tuple[float, bool]] = []
    memory = []
    bodies = _bodies()

    async def send(due: float, body: bytes) -> None:
        reader, writer = await free.get()
        head = f"POST {PATH} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer shop-token\r\n"
        head += f"content-type: application/x-ndjson\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
        assert length, answer
        told = json.loads(await reader.readexactly(int(length[1])))
        good = answer.startswith(b"HTTP/1.1 200") and told["stored"] == BATCH
        found.append(((time.perf_counter() - due) * 1000, good))
        free.put_nowait((reader, writer))

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for at in range(count):
            body = bodies(at)
            due = started + at * BATCH / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(send(due, body))
            if at % max(1, rate // BATCH) == 0:
                memory.append(_memory(process.pid))
    passed = time.perf_counter() - started
    while not free.empty():
        free.get_nowait()[1].close()
    taken = sum(good for _, good in found)
    return Load(
        milliseconds=[took for took, _ in found],
        throughput=taken * BATCH / max(passed, seconds),
        memory=memory,
        refused=count - taken,
    )


def _bodies() -> Callable[[int], bytes]:
    """The events of batch n: 2 KB each, the values of each row its own."""
    inputs = {f"feature_{at:02}": [0.0] for at in range(FEATURES)}
    event = {"id": "#ID", "version": 1, "time": "#TIME", "rows": 1, "inputs": inputs, "classes": ["no", "yes"]}
    text = json.dumps(event | {"labels": ["no"], "probabilities": [[0.75, 0.25]], "latency": 1.5})

    def made(number: int) -> bytes:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        varied = re.sub(r"\[0\.0\]", lambda _: f"[{number % 997}.{number % 89:04}]", text).replace("#TIME", now)
        return "\n".join(varied.replace("#ID", f"{number}-{at}-{'x' * 20}") for at in range(BATCH)).encode()

    return made


def _memory(pid: int) -> int:
    """Resident bytes, of which the page cache is no part."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def _kept(url: str, sent: int) -> tuple[int, float]:
    """How many different ids one window holds, and in how many seconds it was read."""
    import pyarrow as pa  # noqa: PLC0415  # the load generator does without

    started = time.perf_counter()
    with httpx.stream(
        "GET",
        url + PATH.replace("/events", "/window"),
        params={"since": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z"},
        headers={"authorization": "Bearer shop-token"},
        timeout=600,
    ) as answer:
        assert answer.status_code == httpx.codes.OK, answer.read()
        ids: set[str] = set()
        with tempfile.TemporaryFile() as file:
            for part in answer.iter_bytes():
                file.write(part)
            read = time.perf_counter() - started
            file.seek(0)
            for batch in pa.ipc.open_stream(file):
                ids.update(batch.column("id").to_pylist())
    assert len(ids) <= sent
    return len(ids), read


@contextmanager
def _collector(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with importlib.import_module("collector_process").started(folder) as running:
        yield running.url, running.process


@contextmanager
def _append(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = importlib.import_module("collector_process").free_port()
    process = subprocess.Popen([sys.executable, __file__, "--append", str(folder / "file"), str(port)])
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def _serve_append(path: Path, port: int) -> None:
    """The alternative: what one would write in ten lines."""
    import uvicorn  # noqa: PLC0415
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.concurrency import run_in_threadpool  # noqa: PLC0415
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import JSONResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append(body: bytes) -> None:
        os.write(file, body)
        os.fsync(file)

    async def take(request: Request) -> JSONResponse:
        await run_in_threadpool(append, await request.body())
        return JSONResponse({"stored": BATCH})

    uvicorn.run(Starlette(routes=[Route(PATH, take, methods=["POST"])]), port=port, access_log=False, log_level="error")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load on the collector; 600 for the long run")
    parser.add_argument("--rate", type=int, default=2000, help="events a second")
    parser.add_argument("--append", nargs=2, metavar=("FILE", "PORT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.append:
        _serve_append(Path(given.append[0]), int(given.append[1]))
        return
    print(table(run(given.seconds, given.rate)))


if __name__ == "__main__":
    main()
