"""What each path does: from a request to records, windows and measurements, and back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from refit.api.events import INFERENCE_ID, MAX_BODY, MEDIA_TYPE
from refit_collector import events, labels, measurements, records, times, windows
from refit_collector.bodies import Budget, body_of, media_type
from refit_collector.identity import Authenticator, identify
from refit_collector.measurements import Gauges
from refit_collector.metrics import Metrics
from refit_collector.refusals import Refused, bad, busy, unfit
from refit_collector.settings import Settings
from refit_collector.store import Store
from refit_collector.windows import Asked, Spooled

T = TypeVar("T")
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
KEY = re.compile(r"[A-Za-z0-9._-]{1,64}")
LARGE = 64 * 1024
"""Bodies above this are read in a thread of their own, so that small ones need not wait for them."""
BLOCK = 256 * 1024
AT_ONCE = 500
"""Events or labels of one commit; a request with more takes several, and others get in between."""


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class Handlers:
    """The paths, over one store."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        metrics: Metrics,
        gauges: Gauges,
        authenticators: Sequence[Authenticator],
        now: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._gauges = gauges
        self._authenticators = authenticators
        self._now = now
        self._budget = Budget(settings.queue_bytes)
        self._reading = 0
        metrics.queue.set_function(lambda: self._budget.held)

    async def take_events(self, request: Request) -> Response:
        namespace, model = await self._place(request)
        media_type(request, (MEDIA_TYPE,))
        async with body_of(request, self._budget, MAX_BODY) as body:
            bounds = events.Bounds.at(self._now(), self._settings.retention_hours)
            found = await _aside(len(body), lambda: events.read(body, bounds))
            refused = list(found.refused)
            stored = duplicates = 0
            for part in await self._write(
                found.accepted,
                lambda connection, part: records.events(
                    connection, self._store.registry, namespace, model, part, self._now()
                ),
                len(body),
            ):
                stored, duplicates = stored + part.stored, duplicates + part.duplicates
                refused += part.refused
        self._metrics.events.labels(namespace, model).inc(stored)
        self._metrics.duplicates.labels(namespace, model).inc(duplicates)
        return self._told({"stored": stored, "duplicates": duplicates}, refused)

    async def take_labels(self, request: Request) -> Response:
        namespace, model = await self._place(request)
        media = media_type(request, (labels.JSON, labels.NDJSON, labels.CSV))
        async with body_of(request, self._budget, MAX_BODY) as body:
            latest = self._now() + times.AHEAD
            found = await _aside(len(body), lambda: labels.read(body, media, latest))
            refused = list(found.refused)
            stored = duplicates = unknown = 0
            for part in await self._write(
                found.accepted,
                lambda connection, part: records.labels(
                    connection, self._store.registry, namespace, model, part, self._now()
                ),
                len(body),
            ):
                stored, duplicates = stored + part.stored, duplicates + part.duplicates
                unknown += part.unknown
                refused += part.refused
        self._metrics.labels.labels(namespace, model).inc(stored)
        self._metrics.duplicates.labels(namespace, model).inc(duplicates)
        return self._told({"stored": stored, "duplicates": duplicates, "unknown": unknown}, refused)

    async def _write(self, found: Sequence[Any], record: Callable[[Any, Sequence[Any]], T], size: int) -> list[T]:
        """Stores them all, some per commit; done when the last is on disk."""
        parts = [found[at : at + AT_ONCE] for at in range(0, len(found), AT_ONCE)]
        futures = [
            self._store.writer.submit(
                lambda connection, part=part: record(connection, part),  # type: ignore[misc]  # the default fixes the value
                weight=size // len(parts),
            )
            for part in parts
        ]
        return list(await asyncio.gather(*map(asyncio.wrap_future, futures)))

    def _told(self, answer: dict[str, Any], refused: list[events.RefusedLine]) -> Response:
        for each in refused:
            self._metrics.refused.labels(each.reason).inc()
        refused.sort(key=lambda each: each.line)
        answer["refused"] = [each.document() for each in refused]
        # All refused: the request as a whole did nothing, and a client that looks at the status alone should know.
        done = answer["stored"] or answer["duplicates"]
        if done or not refused:
            return Json(answer)
        problem = f"line {refused[0].line}: {refused[0].problem}"
        return Json({"error": problem, "problems": [{"field": "", "message": problem}], **answer}, 422)

    async def give_window(self, request: Request) -> Response:
        namespace, model = await self._place(request)
        asked, media = _asked(request, namespace, model), _wanted(request)
        if self._reading >= self._settings.windows:
            raise busy(f"{self._reading} windows are being read, and no more may; ask again", reason="windows")
        self._reading += 1
        try:
            found = await run_in_threadpool(windows.spool, self._store.directory, self._store.readers, asked, media)
        except OSError as error:
            raise busy(
                f"there is no room to put the window together ({error.strerror}); ask for less, or with limit",
                reason="disk_full",
                retry_after=5,
            ) from None
        finally:
            self._reading -= 1
        headers = {
            "content-length": str(found.size),
            "refit-rows": str(found.counts.rows),
            "refit-events": str(found.counts.events),
            "refit-cut": str(found.counts.cut).lower(),
        }
        return StreamingResponse(_blocks(found), media_type=media, headers=headers)

    async def give_prediction(self, request: Request) -> Response:
        namespace = await self._namespace(request)
        asked = request.path_params["id"]
        if not re.fullmatch(INFERENCE_ID, asked):
            raise unfit("id", "must be 1 to 128 letters, digits and ._:/+=@-")
        found = await run_in_threadpool(
            windows.prediction, self._store.directory, self._store.readers, namespace, asked
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

    async def put_measurement(self, request: Request) -> Response:
        namespace, model = await self._place(request)
        key = request.path_params["key"]
        if not KEY.fullmatch(key):
            raise unfit("key", "must be 1 to 64 letters, digits and ._-")
        media_type(request, (labels.JSON,))
        async with body_of(request, self._budget, measurements.LARGEST) as body:
            measured = measurements.read(body, namespace, model, key)
            future = self._store.writer.submit(
                lambda connection: records.measurement(
                    connection,
                    self._store.registry,
                    namespace,
                    model,
                    records.Measurement(key, measured.time, self._now(), body),
                ),
                weight=len(body),
            )
            new = await asyncio.wrap_future(future)
        self._gauges.tell(namespace, model, measured)
        place = f"/v1/namespaces/{namespace}/models/{model}/measurements/{quote(key)}"
        return Json({"key": key, "new": new}, 201 if new else 200, headers={"location": place} if new else {})

    async def give_measurements(self, request: Request) -> Response:
        namespace, model = await self._place(request)
        limit = _whole(request, "limit", most=measurements.KEPT) or 100
        found = await run_in_threadpool(
            measurements.newest, self._store.directory, self._store.readers, namespace, model, limit
        )
        return Response(b"[" + b",".join(found) + b"]", media_type="application/json")

    async def give_metrics(self, _: Request) -> Response:
        content = await run_in_threadpool(generate_latest, self._metrics.registry)
        return Response(content, media_type=CONTENT_TYPE_LATEST)

    async def healthz(self, _: Request) -> Response:
        """Whether the process does its work; a full disk is not healed by a restart."""
        return Json({"alive": self._store.writer.alive}, 200 if self._store.writer.alive else 500)

    async def readyz(self, _: Request) -> Response:
        """Ready even while nothing can be stored: clients should get the 503 that says so, and windows go on."""
        return Json({"ready": True, "trouble": self._store.writer.trouble})

    async def _namespace(self, request: Request) -> str:
        """The namespace in the path, if who asks may use it."""
        identity = await identify(request.headers.get("authorization", ""), self._authenticators)
        namespace: str = request.path_params["namespace"]
        if not identity.may_use(namespace):
            raise Refused(
                403, "namespace", f"{identity.name} may not use namespace {namespace[:63]!r}", reason="forbidden"
            )
        if not NAME.fullmatch(namespace):
            raise unfit("namespace", "must be the name of a namespace")
        return namespace

    async def _place(self, request: Request) -> tuple[str, str]:
        namespace = await self._namespace(request)
        model: str = request.path_params["model"]
        if not NAME.fullmatch(model):
            raise unfit("model", "must be the name of a model: small letters, digits, - and .")
        return namespace, model


async def _aside(size: int, work: Callable[[], T]) -> T:
    return work() if size <= LARGE else await run_in_threadpool(work)


def _blocks(found: Spooled) -> Iterator[bytes]:
    with found.file:
        while block := found.file.read(BLOCK):
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
        _whole(request, "version", most=events.LARGEST_VERSION),
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
        (windows.ARROW, (windows.ARROW, "*/*", "application/*", "")),
        (windows.PARQUET, (windows.PARQUET,)),
    ):
        if any(name in accepted for name in names):
            return media
    raise Refused(406, "accept", f"must be {windows.ARROW} or {windows.PARQUET}", reason="accept")
