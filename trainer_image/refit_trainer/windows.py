"""A window of logged requests: what was asked, what was answered, and what turned out to be true.

The collector serves it as an Arrow stream. It is read a batch at a time, and of each batch only what is needed is kept:
the rows whose label has come, and the latest rows for a challenger to answer in the shadow.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO

import httpx
import pyarrow as pa
import pyarrow.compute as pc

from refit.api import jobs
from refit.api.events import WINDOW_PATH
from refit.api.proposal import EvidenceWindow
from refit_trainer.errors import RefusedError, UnreachableError

ARROW = "application/vnd.apache.arrow.stream"
INPUT, PROBABILITY = "input.", "probability."
LABEL, PREDICTION, TRUTH = "label", "prediction", "truth"
ROW_LIMIT = 2_000_000
"""Rows of one window, labelled or not."""
LABELLED_LIMIT = 500_000
BYTE_LIMIT = 1024 * 1024 * 1024
SHADOW_ROWS = 5_000
_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
"""Beside all that is the server's fault."""


@dataclass(frozen=True, kw_only=True)
class Requests:
    """The window's rows by the collector's column names, in the order of time: `labelled` have a truth, `recent` are the
    latest ones of all. `cut` says that the window held more than was read."""

    labelled: pa.Table
    recent: pa.Table
    cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often and how patiently the collector is asked."""

    attempts: int = 5
    pause: Callable[[float], None] = time.sleep
    timeout_seconds: float = 60.0


@dataclass(frozen=True, kw_only=True)
class Collector:
    """The collector's page of one model. The token is read for each call: the kubelet renews it."""

    url: str
    token_file: Path | None
    namespace: str
    model: str
    patience: Patience = Patience()

    def requests(self, window: EvidenceWindow, *, row_limit: int = ROW_LIMIT, recent: int = SHADOW_ROWS) -> Requests:
        """The requests of a window, of all versions; raises UnreachableError where the collector gives none."""
        address = self.url.rstrip("/") + WINDOW_PATH.format(namespace=self.namespace, model=self.model)
        query = {"since": window.since, "until": window.until, "limit": str(row_limit)}
        said = "no answer"
        with httpx.Client(timeout=self.patience.timeout_seconds, trust_env=False) as client:
            for attempt in range(self.patience.attempts):
                if attempt:
                    self.patience.pause(2.0 ** (attempt - 1))
                headers = {"Accept": ARROW} | self._authorization()
                try:
                    with client.stream("GET", address, params=query, headers=headers) as answer:
                        if answer.is_success:
                            return _kept(answer, recent)
                        said = f"answered {answer.status_code} {_beginning(answer)}".strip()
                        if answer.status_code not in _AGAIN and not answer.is_server_error:
                            break
                except (httpx.TransportError, pa.ArrowException, OSError) as error:
                    said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UnreachableError(f"the collector at {self.url}: {said}")

    def _authorization(self) -> dict[str, str]:
        if self.token_file is None:
            return {}
        try:
            return {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}
        except OSError as error:
            raise UnreachableError(f"the collector's token: {self.token_file}: {error.strerror}") from error


def collector(environment: Mapping[str, str], namespace: str, model: str) -> Collector:
    """The collector that the environment of a Job names."""
    url = environment.get(jobs.COLLECTOR_URL, "")
    if not url:
        raise RefusedError(
            "NoCollector", f"environment variable {jobs.COLLECTOR_URL} is not set: there are no logged requests to read"
        )
    token = environment.get(jobs.COLLECTOR_TOKEN_FILE, "")
    return Collector(url=url, token_file=Path(token) if token else None, namespace=namespace, model=model)


def _beginning(answer: httpx.Response) -> str:
    return answer.read().decode(errors="replace").strip()[:200]


def _kept(answer: httpx.Response, recent: int) -> Requests:
    """What is needed of the stream, which goes to a file first: a damaged one must not end in the middle of a training."""
    with tempfile.TemporaryFile() as file:
        size = 0
        for piece in answer.iter_bytes():
            size += len(piece)
            if size > BYTE_LIMIT:
                raise RefusedError("WindowTooLarge", f"the window has more than {BYTE_LIMIT} bytes; take a shorter one")
            file.write(piece)
        file.seek(0)
        return _read(file, recent, cut=answer.headers.get("refit-cut") == "true")


def _read(file: IO[bytes], recent: int, *, cut: bool) -> Requests:
    labelled: list[pa.RecordBatch] = []
    latest: deque[pa.RecordBatch] = deque()
    rows = of_latest = 0
    with pa.ipc.open_stream(file) as stream:
        schema = stream.schema
        for batch in stream:
            known = batch.filter(pc.is_valid(batch.column(TRUTH)))
            rows += known.num_rows
            labelled.append(known)
            latest.append(batch)
            of_latest += batch.num_rows
            while latest and of_latest - latest[0].num_rows >= recent:
                of_latest -= latest.popleft().num_rows
            if rows > LABELLED_LIMIT:
                cut = True
                break
    return Requests(
        labelled=_ordered(pa.Table.from_batches(labelled, schema)).slice(0, LABELLED_LIMIT),
        recent=_ordered(pa.Table.from_batches(latest, schema)).slice(max(0, of_latest - recent)),
        cut=cut,
    )


def _ordered(table: pa.Table) -> pa.Table:
    """By time, then by id: the collector's own order changes when its chunks become segments."""
    return table.sort_by([("time", "ascending"), ("id", "ascending"), ("row", "ascending")])
