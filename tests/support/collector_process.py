"""The collector as a process on a directory, and events to send it."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
import orjson

START_SECONDS = 60.0
TOKEN = "shop-token"
ADMIN_TOKEN = "admin-token"
SHOP = "/v1/namespaces/shop"
HEART = f"{SHOP}/models/heart"
NDJSON = {"content-type": "application/x-ndjson"}


class Running(NamedTuple):
    """A started collector; `url` has no slash at its end."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                time.sleep(0.01)
        raise AssertionError(f"the collector did not get ready:\n{self.log.read_text()}")

    def client(self, token: str = TOKEN) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {token}"}, timeout=30)

    def end(self) -> int:
        """Asks it to end, and waits; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def environment(folder: Path, **more: str) -> dict[str, str]:
    tokens = folder / "tokens"
    if not tokens.exists():
        tokens.write_text(f"{TOKEN} shop\n{ADMIN_TOKEN} *\n")
    return {
        "REFIT_COLLECTOR_DATA_DIR": str(folder / "data"),
        "REFIT_COLLECTOR_TOKENS_FILE": str(tokens),
        "REFIT_COLLECTOR_HOST": "127.0.0.1",
        **more,
    }


@contextmanager
def started(folder: Path, port: int | None = None, **more: str) -> Iterator[Running]:
    """A collector on a free port, ready; killed at the end if it still runs."""
    with launched(folder, environment(folder, **more), port) as running:
        running.wait_until_ready()
        yield running


@contextmanager
def launched(folder: Path, given: Mapping[str, str], port: int | None = None) -> Iterator[Running]:
    """A collector that may not be ready yet."""
    port = port or free_port()
    log = folder / "log"
    without = {name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES_")}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "refit_collector", "serve"],
            env={**without, **given, "REFIT_COLLECTOR_PORT": str(port)},
            stdout=output,
            stderr=output,
        )
    try:
        yield Running(f"http://127.0.0.1:{port}", process, log)
    finally:
        process.kill()
        process.wait()


class Nursery:
    """Starts many collectors, one after the other, at the cost of a fork each: what is slow to load is loaded once.

    Each is a process of its own, which runs what `python -m refit_collector serve` runs.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self._log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def start(self, given: Mapping[str, str]) -> Born:
        port = free_port()
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(orjson.dumps({**given, "REFIT_COLLECTOR_PORT": str(port)}) + b"\n")
        self._process.stdin.flush()
        return Born(f"http://127.0.0.1:{port}", int(self._process.stdout.readline()), self._log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class Born(NamedTuple):
    """A collector out of a nursery."""

    url: str
    pid: int
    log: Path

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=5, verify=False).status_code == httpx.codes.OK:  # noqa: S501  # no TLS here, and loading certificates takes time
                    return
            time.sleep(0.005)
        raise AssertionError(f"the collector did not get ready:\n{self.log.read_text()}")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def _nurse(log: Path) -> None:
    """A line with an environment becomes a process, whose number is answered."""
    importlib.import_module("refit_collector.server")
    serve = importlib.import_module("refit_collector.__main__").main
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks for their exit codes
    while line := sys.stdin.buffer.readline():
        number = os.fork()
        if number == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            with log.open("ab") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            os.environ |= orjson.loads(line)
            sys.argv = ["refit_collector", "serve"]
            os._exit(serve())
        print(number, flush=True)  # noqa: T201  # the answer


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def stamp(ago: float = 0.0) -> str:
    """The moment so many seconds ago."""
    return (datetime.now(UTC) - timedelta(seconds=ago)).isoformat(timespec="microseconds")


def event(name: str, **more: Any) -> dict[str, Any]:
    """One row for a classifier of hearts, answered a second ago; a difference per argument."""
    return {
        "id": name,
        "version": 1,
        "time": stamp(1),
        "rows": 1,
        "inputs": {"age": [63.0], "sex": ["f"]},
        "classes": ["no", "yes"],
        "labels": ["no"],
        "probabilities": [[0.75, 0.25]],
        "latency": 1.5,
        **more,
    }


def lines(*events: Mapping[str, Any]) -> bytes:
    return b"\n".join(map(orjson.dumps, events))


if __name__ == "__main__":
    _nurse(Path(sys.argv[1]))
