"""Two ways to ask the predictor in tests: its desk directly, or the real process over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from refit_predictor.desk import Reply

START_SECONDS = 120.0
MAX_ROWS = 50
MAX_BODY = 64 * 1024


def ask(predict: Callable[[bytes, str | None], Reply], document: Any) -> tuple[int, Any]:
    """Status and document of the answer to a document, or to a text that may be none."""
    body = document if isinstance(document, str) else json.dumps(document)
    reply = predict(body.encode(), "an-id")
    return reply.status, json.loads(reply.body)


class Running(NamedTuple):
    """A started predictor; `url` has no slash at its end."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until_ready(self, name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/v2/models/{name}/ready", timeout=5).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"the predictor did not get ready:\n{self.log.read_text()}")


def environment(folder: Path, sha256: str, **more: str) -> dict[str, str]:
    return {
        "REFIT_MODEL_NAME": "heart",
        "REFIT_MODEL_VERSION": "7",
        "REFIT_MODEL_DIR": str(folder),
        "REFIT_ARTIFACT_SHA256": sha256,
        "REFIT_TERMINATION_LOG": str(folder / "termination-log"),
        **more,
    }


@contextmanager
def started(folder: Path, given: Mapping[str, str]) -> Iterator[Running]:
    """A predictor on a free port; killed at the end if it still runs."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "refit_predictor", f"--http_port={port}"],
            env=os.environ | given,
            stdout=output,
            stderr=output,
        )
    try:
        yield Running(f"http://127.0.0.1:{port}", process, log)
    finally:
        process.kill()
        process.wait()
