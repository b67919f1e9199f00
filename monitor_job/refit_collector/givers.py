"""The paths that give something."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from refit.api.events import INFERENCE_ID
from refit_collector import measurements, snapshots, times
from refit_collector.desk import Desk, Json
from refit_collector.refusals import Refused, bad, busy, unfit
from refit_collector.shapes import LARGEST_VERSION
from refit_collector.snapshots import Asked

T = TypeVar("T")
BLOCK = 256 * 1024


class Givers:
    """Windows, coverage, predictions, measurements, and how the process does."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def give_window(self, request: Request) -> Response:
        namespace, model = await self._desk.place(request)
        asked, media = _asked(request, namespace, model), _wanted(request)
        file, counts = await self._read(lambda: self._window(asked, media))
        headers = {
            "content-length": str(os.fstat(file.fileno()).st_size),
            "refit-rows": str(counts[0]),
            "refit-events": str(counts[1]),
            "refit-cut": str(bool(counts[2])).lower(),
        }
        return StreamingResponse(_blocks(file), media_type=media, headers=headers)

    async def give_coverage(self, request: Request) -> Response:
        namespace, model = await self._desk.place(request)
        asked = _asked(request, namespace, model)
        return Json(await self._read(lambda: self._ask("report", asked=list(asked))))

    def _window(self, asked: Asked, media: str) -> tuple[IO[bytes], list[int]]:
        """The window as an open file without a name, and what it holds."""
        path = Path(snapshots.SPOOL, secrets.token_hex(16))
        try:
            counts = self._ask("window", asked=list(asked), media=media, path=str(path))
            return (self._desk.store.directory / path).open("rb"), counts
        finally:
            (self._desk.store.directory / path).unlink(missing_ok=True)

    def _ask(self, task: str, **given: Any) -> Any:
        """A task for a helper, which reads the store as it is now; no file of it goes meanwhile."""
        began = self._desk.store.readers.begin()
        try:
            return self._desk.store.helpers.ask(task, **given)
        finally:
            self._desk.store.readers.end(began)

    @staticmethod
    async def _read(work: Callable[[], T]) -> T:
        try:
            return await run_in_threadpool(work)
        except OSError as error:
            raise busy(
                f"there is no room to put the window together ({error.strerror}); ask for less, or with limit",
                reason="disk_full",
                retry_after=5,
            ) from None

    async def give_prediction(self, request: Request) -> Response:
        namespace = await self._desk.namespace(request)
        asked = request.path_params["id"]
        if not re.fullmatch(INFERENCE_ID, asked):
            raise unfit("id", "must be 1 to 128 letters, digits and ._:/+=@-")
        found = await run_in_threadpool(
            snapshots.prediction, self._desk.store.directory, self._desk.store.readers, namespace, asked
        )
        if found is None:
            raise Refused(404, "id", "no prediction of that id is kept", reason="unknown")
        model, version, moment, rows, latency = found
        return Json(
            {
                "id": asked,
                "model": model,
                "version": version,
                "time": times.text(moment),
                "rows": rows,
                "latency": latency,
            }
        )

    async def give_measurements(self, request: Request) -> Response:
        namespace, model = await self._desk.place(request)
        limit = _whole(request, "limit", most=measurements.KEPT) or 100
        found = await run_in_threadpool(
            measurements.newest, self._desk.store.directory, self._desk.store.readers, namespace, model, limit
        )
        return Response(b"[" + b",".join(found) + b"]", media_type="application/json")

    async def give_metrics(self, _: Request) -> Response:
        content = await run_in_threadpool(generate_latest, self._desk.metrics.registry)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    async def healthz(self, _: Request) -> Response:
        """Whether the process does its work; a full disk is not healed by a restart."""
        return Json({"alive": self._desk.store.writer.alive}, 200 if self._desk.store.writer.alive else 500)

    async def readyz(self, _: Request) -> Response:
        """Ready even while nothing can be stored: clients should get the 503 that says so, and windows go on."""
        return Json({"ready": True, "trouble": self._desk.store.writer.trouble})


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(BLOCK):
            yield block


def _asked(request: Request, namespace: str, model: str) -> Asked:
    since, until = (_moment(request, name) for name in ("since", "until"))
    if since >= until:
        raise unfit("until", "must be later than since")
    return Asked(
        namespace,
        model,
        since,
        until,
        _whole(request, "version", most=LARGEST_VERSION),
        _whole(request, "limit", most=2**53),
    )


def _moment(request: Request, name: str) -> int:
    text = request.query_params.get(name)
    if text is None:
        raise bad(name, f"is missing; {times.FORM}")
    try:
        # An unescaped + of a zone arrives as a space.
        return times.micros(re.sub(r" (\d\d:\d\d)$", r"+\1", text))
    except ValueError as error:
        raise unfit(name, str(error)) from None


def _whole(request: Request, name: str, *, most: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 1 <= int(text) <= most):  # noqa: PLR2004  # digits
        raise unfit(name, f"must be a whole number from 1 to {most}")
    return int(text)


def _wanted(request: Request) -> str:
    """The media type of the answer; without a word Arrow's."""
    accepted = [part.partition(";")[0].strip() for part in request.headers.get("accept", "*/*").lower().split(",")]
    for media, names in (
        (snapshots.ARROW, (snapshots.ARROW, "*/*", "application/*", "")),
        (snapshots.PARQUET, (snapshots.PARQUET,)),
    ):
        if any(name in accepted for name in names):
            return media
    raise Refused(406, "accept", f"must be {snapshots.ARROW} or {snapshots.PARQUET}", reason="accept")
