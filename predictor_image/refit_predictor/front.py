"""The HTTP front: KServe's FastAPI application, with prediction requests answered before its layers.

KServe's own path to a model costs a middleware that times, routing by regular expression, Pydantic
models and CloudEvents: more than the model itself. So the few paths of this one model are looked up in
a table; all else (health, readiness, /metrics) is KServe's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from refit.api.events import PROBE_HEADER
from refit_predictor.desk import WELL_FORMED_ID, Desk, Reply, new_id, refusal
from refit_predictor.metrics import Metrics
from refit_predictor.refusals import Problem, Refused, too_large
from refit_predictor.request_log import RequestLog

INFERENCE_ID = b"refit-inference-id"
MODEL_VERSION = b"refit-model-version"
PROBE = PROBE_HEADER.lower().encode()
LARGE_BODY = 32 * 1024
"""Bodies from this size on are answered on a thread, so that single rows need not wait for them."""
BODY_TIMEOUT = 30.0
JSON_TYPES = frozenset({b"application/json", b"application/x-www-form-urlencoded", b""})
"""The second is what curl says of a body when it is told nothing; what is no JSON is refused when it is read."""
UTF8 = frozenset({b"utf-8", b"utf8", b"us-ascii"})

Predict = Callable[[bytes, "str | None"], Reply]


class Gone(Exception):  # noqa: N818
    """The client left before its request was complete."""


class Front(FastAPI):
    """KServe's application with a table of paths in front."""

    def open(self, desk: Desk, metrics: Metrics, request_log: RequestLog | None = None) -> None:
        """Starts to answer for a model."""
        name, version = desk.settings.name, desk.settings.version
        self._metrics = metrics
        self._log = request_log
        self._max_body = desk.settings.max_body_bytes
        self._version = version.encode("latin-1", "replace")
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large")
        self._unversioned, self._versioned = f"/v2/models/{name}", f"/v2/models/{name}/versions/{version}"
        self._predictions: dict[str, tuple[str, Predict]] = {
            f"/v1/models/{name}:predict": ("v1", desk.v1),
            f"{self._unversioned}/infer": ("v2", desk.v2),
            f"{self._versioned}/infer": ("v2", desk.v2),
        }
        metadata = orjson.dumps(desk.metadata())
        self._documents = {
            self._unversioned: metadata,
            self._versioned: metadata,
            "/refit/v1/model": orjson.dumps(desk.description()),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        found = self._predictions.get(scope["path"])
        if found is not None and scope["method"] == "POST":
            await self._predict(*found, scope, receive, send)
        else:
            await self._other(scope, receive, send)

    async def _predict(self, protocol: str, predict: Predict, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        inference_id: str | None = None
        close = False
        try:
            headers = dict(scope["headers"])
            inference_id = _inference_id(headers)
            _check(headers, self._max_body)
            message = await receive()
            body = message.get("body", b"")
            if message.get("more_body") or message["type"] == "http.disconnect":
                body = await self._rest(message, receive)
            if len(body) > self._max_body:
                raise _too_long(self._max_body)
            if len(body) < LARGE_BODY:
                reply = predict(body, inference_id)
            else:
                loop = asyncio.get_running_loop()
                reply = await loop.run_in_executor(self._worker, predict, body, inference_id)
        except Refused as refused:
            reply = refusal(refused, inference_id or new_id())
            close = True  # the rest of the body may be unread
        except Gone:
            return
        if reply.rows is not None and reply.answers is not None:
            seconds = perf_counter() - started
            self._metrics.answered(protocol, seconds, reply.rows, reply.answers)
            if self._log is not None and not (PROBE in headers and self._log.skips(reply.rows)):
                size = len(body) + len(reply.body)
                self._log.take(reply.inference_id, seconds, reply.rows, reply.answers, size)
        else:
            self._metrics.refused(protocol, perf_counter() - started, reply.status)
        await self._send(reply, send, close=close)

    async def _send(self, reply: Reply, send: Send, *, close: bool = False) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(reply.body)),
            (INFERENCE_ID, reply.inference_id.encode()),
            (MODEL_VERSION, self._version),
        ]
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _rest(self, message: Message, receive: Receive) -> bytes:
        """A body that comes in parts, read to its end or to the limit."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                while True:
                    if message["type"] == "http.disconnect":
                        raise Gone
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self._max_body:
                        raise _too_long(self._max_body)
                    if not message.get("more_body"):
                        return b"".join(parts)
                    message = await receive()
        except TimeoutError as error:
            raise Refused(408, Problem("", f"the body did not arrive within {BODY_TIMEOUT:g} s")) from error

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        inference_id = _inference_id(dict(scope["headers"])) or new_id()
        path, method = scope["path"], scope["method"]
        if path == f"{self._versioned}/ready":
            path = f"{self._unversioned}/ready"
            scope = {**scope, "path": path}
        if path in self._documents and method == "GET":
            await self._send(Reply(200, self._documents[path], inference_id), send)
        elif path in self._predictions:
            await self._refuse(405, "ask for predictions by POST", inference_id, send)
        elif method not in ("GET", "HEAD") or "/versions/" in path:
            # KServe's own routes of this kind could only unload the model, or fail in ways of their own.
            await self._refuse(404, "there is no such model, version or endpoint", inference_id, send)
        else:
            await super().__call__(scope, receive, self._marked(send, inference_id))

    async def _refuse(self, status: int, message: str, inference_id: str, send: Send) -> None:
        await self._send(refusal(Refused(status, Problem("", message)), inference_id), send, close=True)

    def _marked(self, send: Send, inference_id: str) -> Send:
        marks = [(INFERENCE_ID, inference_id.encode()), (MODEL_VERSION, self._version)]

        async def send_marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *marks]}
            await send(message)

        return send_marked


def _inference_id(headers: dict[bytes, bytes]) -> str | None:
    """The id that the client or a proxy gave the request, if it is well formed."""
    for key in (b"ce-id", b"x-request-id"):
        given = headers.get(key, b"").decode("latin-1")
        if WELL_FORMED_ID.fullmatch(given):
            return given
    return None


def _check(headers: dict[bytes, bytes], max_body: int) -> None:
    """Raises Refused for a body that is too long or no JSON by its own account."""
    content_type = headers.get(b"content-type", b"")
    if content_type != b"application/json":
        kind, _, parameters = content_type.lower().partition(b";")
        charset = re.search(rb'charset="?([^"\s;]+)', parameters)
        if kind.strip() not in JSON_TYPES or (charset and charset[1] not in UTF8):
            raise Refused(415, Problem("content-type", "must be application/json in UTF-8"))
    if headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
        raise Refused(415, Problem("content-encoding", "must be absent; send the body uncompressed"))
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > max_body:
        raise _too_long(max_body)


def _too_long(max_body: int) -> Refused:
    return too_large(f"the body is longer than {max_body} bytes")
