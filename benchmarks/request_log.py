"""What the request log costs a prediction: the predictor with it beside the predictor without, in turn.

    python benchmarks/request_log.py [--rounds 8] [--json out.json]

Both are processes on core 0 and idle while the other is asked; the load and a collector that only
counts are on core 1. Each round asks both for a second, so the ratio of a round is of two neighbours in
time; the figure is the median of these ratios. Beside it is the processor time that the log's threads
take, held against the server's own thread in the same seconds: it hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from figures import Figure, tell
from predictor import LOAD_CORE, Load, Server, Started, generator, predictors, running

ROUNDS = 8
CONNECTIONS = (1, 8)
MOST_COST = 1.05
SETTLE_SECONDS = 0.6
"""After a load, until the log has nothing more to do."""


class Pair(NamedTuple):
    """One round: the load without the log and with it, and the log's threads' processor time through the server's."""

    off: Load
    on: Load
    share: float


def run(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Figures per protocol and number of connections, and what became of the events."""
    with tempfile.TemporaryDirectory() as found, ExitStack() as stack:
        folder = Path(found)
        environment = _environment(folder, stack.enter_context(_collector()))
        servers = {"off": predictors(), "on": predictors(environment)}
        started = {key: stack.enter_context(running(both[0], folder)) for key, both in servers.items()}
        pairs: dict[tuple[str, int], list[Pair]] = {}
        for at in range(rounds + 1):
            for off, on in zip(servers["off"], servers["on"], strict=True):
                for connections in CONNECTIONS:
                    pair = _pair(started, off, on, connections, on_first=bool(at % 2))
                    if at:  # the first round is never like the rest
                        pairs.setdefault((off.name, connections), []).append(pair)
        events = _events(started["on"].port)
    return [figure.record() for key, rounds_of in pairs.items() for figure in _figures(*key, rounds_of)] + [
        figure.record() for figure in events
    ]


def _pair(started: dict[str, Started], off: Server, on: Server, connections: int, *, on_first: bool) -> Pair:
    loads, shares = {}, {}
    for key, server in sorted({"off": off, "on": on}.items(), reverse=not on_first):
        before = _cpu(started[key].pid)
        loads[key] = generator()(started[key].port, server, connections, 1.0)
        time.sleep(SETTLE_SECONDS)
        server_spent, others = (now - then for now, then in zip(_cpu(started[key].pid), before, strict=True))
        shares[key] = others / server_spent
    return Pair(loads["off"], loads["on"], shares["on"] - shares["off"])


def _figures(name: str, connections: int, pairs: list[Pair]) -> Iterator[Figure]:
    what = f"{name} with the request log, one row, {connections} connection{'s' if connections > 1 else ''}"
    p50, p99 = median(pair.on.p50 for pair in pairs), median(pair.on.p99 for pair in pairs)
    yield Figure(
        what=f"{what}: p50 through p50 without",
        value=round(median(pair.on.p50 / pair.off.p50 for pair in pairs), 3),
        unit="x",
        at_most=MOST_COST,
    )
    yield Figure(
        what=f"{what}: p50",
        value=round(p50, 4),
        unit="ms",
        compared_with="the same without the log",
        ratio=round(p50 / median(pair.off.p50 for pair in pairs), 3),
    )
    yield Figure(
        what=f"{what}: p99",
        value=round(p99, 4),
        unit="ms",
        compared_with="the same without the log",
        ratio=round(p99 / median(pair.off.p99 for pair in pairs), 3),
    )
    yield Figure(
        what=f"{what}: processor time of the log through the server's",
        value=round(median(pair.share for pair in pairs), 4),
        unit="x",
    )


def _events(port: int) -> list[Figure]:
    """What the predictor counts once the log has nothing pending."""
    deadline = time.monotonic() + 30
    while True:
        text = _get(port, "/metrics")
        found = {
            name: sum(float(value) for value in re.findall(rf"^refit_{name}\{{[^\n]*\}} (\S+)$", text, re.MULTILINE))
            for name in ("request_log_sent_total", "request_log_dropped_total", "request_log_pending")
        }
        if not found["request_log_pending"] or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return [
        Figure(what="events sent in all", value=found["request_log_sent_total"], unit="events"),
        Figure(what="events lost", value=found["request_log_dropped_total"], unit="events", at_most=0),
    ]


def _environment(folder: Path, port: int) -> dict[str, str]:
    token = folder / "token"
    token.write_text("bench")
    return {
        "REFIT_COLLECTOR_URL": f"http://127.0.0.1:{port}",
        "REFIT_COLLECTOR_TOKEN_FILE": str(token),
        "REFIT_NAMESPACE": "bench",
        "REFIT_REQUEST_LOG": '{"mode":"All"}',
        "REFIT_SPILL_DIR": str(folder / "spill"),
    }


@contextmanager
def _collector() -> Iterator[int]:
    """The collector as a process on the load's core, on the port given."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, __file__, "--collector", str(port)]
    process = subprocess.Popen(command)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


class _Counting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:  # the base class's name
        body = self.rfile.read(int(self.headers["content-length"]))
        content = b'{"stored":%d,"duplicates":0,"refused":[]}' % body.count(b"\n")
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Nothing for each request."""


def _cpu(pid: int) -> tuple[float, float]:
    """Processor nanoseconds so far of the process's first thread, which serves, and of all the others."""
    spent = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        spent[thread.name] = float((thread / "schedstat").read_text().split()[0])
    server = spent.pop(str(pid))
    return server, sum(spent.values())


def _get(port: int, path: str) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().read().decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of a second each per combination")
    parser.add_argument("--json", type=Path, help="file for the records")
    parser.add_argument("--collector", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.collector:
        ThreadingHTTPServer(("127.0.0.1", given.collector), _Counting).serve_forever()
    tell(run(given.rounds), given.json)


if __name__ == "__main__":
    main()
