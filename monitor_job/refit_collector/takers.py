"""The paths that take something: it is on disk when they answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from refit.api.events import MAX_BODY, MEDIA_TYPE
from refit_collector import cloudevents, events, labels, measurements, records, removal, times
from refit_collector.bodies import body_of, media_type
from refit_collector.desk import Desk, Json
from refit_collector.identity import key_fits
from refit_collector.refusals import Refused, unfit

T = TypeVar("T")
KEY = re.compile(r"[A-Za-z0-9._-]{1,64}")
LARGE = 256 * 1024
"""Bodies above this are read in a thread of their own, so that small ones need not wait for them."""
AT_ONCE = 500
"""Events or labels of one commit; a request with more takes several, and others get in between."""


class Takers:
    """Events, labels, CloudEvents and measurements; and the word that a model is to be removed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def take_events(self, request: Request) -> Response:
        namespace, model = await self._desk.place(request)
        media_type(request, (MEDIA_TYPE,))
        async with body_of(request, self._desk.budget, MAX_BODY) as body:
            bounds = events.Bounds.at(self._desk.now(), self._desk.settings.retention_hours)
            found = await _aside(len(body), lambda: events.read(body, bounds, self._desk.shapes))
            refused = list(found.refused)
            stored = duplicates = 0
            for part in await self._write(
                found.accepted,
                lambda connection, part: records.events(
                    connection, self._desk.store.registry, namespace, model, part, self._desk.now()
                ),
                len(body),
            ):
                stored, duplicates = stored + part.stored, duplicates + part.duplicates
                refused += part.refused
        self._desk.metrics.events.labels(namespace, model).inc(stored)
        self._desk.metrics.duplicates.labels(namespace, model).inc(duplicates)
        return self._told({"stored": stored, "duplicates": duplicates}, refused)

    async def take_labels(self, request: Request) -> Response:
        namespace, model = await self._desk.place(request)
        media = media_type(request, (labels.JSON, labels.NDJSON, labels.CSV))
        async with body_of(request, self._desk.budget, MAX_BODY) as body:
            latest = self._desk.now() + times.AHEAD
            found = await _aside(len(body), lambda: labels.read(body, media, latest))
            refused = list(found.refused)
            stored = duplicates = unknown = 0
            for part in await self._write(
                found.accepted,
                lambda connection, part: records.labels(
                    connection, self._desk.store.registry, namespace, model, part, self._desk.now()
                ),
                len(body),
            ):
                stored, duplicates = stored + part.stored, duplicates + part.duplicates
                unknown += part.unknown
                refused += part.refused
        self._desk.metrics.labels.labels(namespace, model).inc(stored)
        self._desk.metrics.duplicates.labels(namespace, model).inc(duplicates)
        return self._told({"stored": stored, "duplicates": duplicates, "unknown": unknown}, refused)

    async def _write(self, found: Sequence[Any], record: Callable[[Any, Sequence[Any]], T], size: int) -> list[T]:
        """Stores them all, some per commit; done when the last is on disk."""
        parts = [found[at : at + AT_ONCE] for at in range(0, len(found), AT_ONCE)]
        futures = [
            self._desk.store.writer.submit(
                lambda connection, part=part: record(connection, part),  # type: ignore[misc]  # the default fixes the value
                weight=size // len(parts),
            )
            for part in parts
        ]
        return list(await asyncio.gather(*map(asyncio.wrap_future, futures)))

    def _told(self, answer: dict[str, Any], refused: list[events.RefusedLine]) -> Response:
        for each in refused:
            self._desk.metrics.refused.labels(each.reason).inc()
        refused.sort(key=lambda each: each.line)
        answer["refused"] = [each.document() for each in refused]
        # All refused: the request as a whole did nothing, and a client that looks at the status alone should know.
        done = answer["stored"] or answer["duplicates"]
        if done or not refused:
            return Json(answer)
        problem = f"line {refused[0].line}: {refused[0].problem}"
        return Json({"error": problem, "problems": [{"field": "", "message": problem}], **answer}, 422)

    async def take_cloudevent(self, request: Request) -> Response:
        namespace, key = request.path_params["namespace"], request.path_params["key"]
        if not key_fits(self._desk.store.secret, namespace, key):
            raise Refused(401, "", "the URL must hold the ingest key of its namespace", reason="unauthorized")
        now = self._desk.now()
        async with body_of(request, self._desk.budget, MAX_BODY) as body:
            half = cloudevents.read(request.headers, body, namespace, now)
            bounds = events.Bounds.at(now, self._desk.settings.retention_hours)
            if problem := bounds.problem(half.time, request.headers.get("ce-time", "")):
                raise unfit("ce-time", problem.problem.removeprefix("time: "), reason=problem.reason)
            found = await asyncio.wrap_future(
                self._desk.store.writer.submit(
                    lambda connection: cloudevents.pair(connection, self._desk.store.registry, half, bounds),
                    weight=len(body),
                )
            )
        self._desk.metrics.events.labels(namespace, half.model).inc(found.stored)
        self._desk.metrics.duplicates.labels(namespace, half.model).inc(found.duplicates)
        for each in found.refused:
            self._desk.metrics.refused.labels(each.reason).inc()
        return Json(
            {
                "stored": found.stored,
                "duplicates": found.duplicates,
                "refused": [each.document() for each in found.refused],
            }
        )

    async def put_measurement(self, request: Request) -> Response:
        namespace, model = await self._desk.place(request)
        key = request.path_params["key"]
        if not KEY.fullmatch(key):
            raise unfit("key", "must be 1 to 64 letters, digits and ._-")
        media_type(request, (labels.JSON,))
        async with body_of(request, self._desk.budget, measurements.LARGEST) as body:
            measured = measurements.read(body, namespace, model, key)
            future = self._desk.store.writer.submit(
                lambda connection: records.measurement(
                    connection,
                    self._desk.store.registry,
                    namespace,
                    model,
                    records.Measurement(key, measured.time, self._desk.now(), body),
                ),
                weight=len(body),
            )
            new = await asyncio.wrap_future(future)
        self._desk.gauges.tell(namespace, model, measured)
        place = f"/v1/namespaces/{namespace}/models/{model}/measurements/{quote(key)}"
        return Json({"key": key, "new": new}, 201 if new else 200, headers={"location": place} if new else {})

    async def remove_model(self, request: Request) -> Response:
        namespace, model = await self._desk.place(request)
        store = self._desk.store
        future = store.writer.submit(
            lambda connection: removal.hide(connection, store.registry, namespace, model), grows=False
        )
        removed = await asyncio.wrap_future(future)
        self._desk.gauges.forget(namespace, model)
        self._desk.metrics.forget(namespace, model)
        return Json({"removed": removed})


async def _aside(size: int, work: Callable[[], T]) -> T:
    return work() if size <= LARGE else await run_in_threadpool(work)
