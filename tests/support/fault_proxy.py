"""A proxy between the operator and the API server that counts the operator's writes, and has a fault at one of them.

It speaks plain HTTP to the operator, and to the API server as whoever its session is: what passes is what was sent.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

WRITING = ("POST", "PUT", "PATCH", "DELETE")
BETWEEN_TWO = {hdrs.HOST, hdrs.CONNECTION, hdrs.TRANSFER_ENCODING, hdrs.AUTHORIZATION}
"""Headers that are about one connection, and not about what is asked on it."""


class Fault(Enum):
    """The operator dies before the write reached the API server, or after it; or it lives and is never told."""

    DIES_BEFORE = auto()
    DIES_AFTER = auto()
    ANSWER_LOST = auto()


class FaultProxy:
    """Counts in one namespace at a time. `kill` ends the operator at once."""

    def __init__(self, upstream: aiohttp.ClientSession, kill: Callable[[], None]) -> None:
        self._upstream, self._kill = upstream, kill
        self._namespace, self._fault, self._number = "", Fault.ANSWER_LOST, 0
        self.writes: list[str] = []
        self.reads: list[str] = []

    def arm(self, namespace: str, fault: Fault = Fault.ANSWER_LOST, number: int = 0) -> None:
        """From now on that namespace's requests are counted; the fault comes at the write of that number, from 1 on."""
        self.writes, self.reads = [], []
        self._namespace, self._fault, self._number = namespace, fault, number

    @property
    def struck(self) -> bool:
        """Whether the fault has come."""
        return 0 < self._number <= len(self.writes)

    def application(self) -> web.Application:
        """All paths, all methods."""
        found = web.Application(client_max_size=1 << 24)
        found.router.add_route("*", "/{path:.*}", self._pass)
        return found

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        fault = self._meet(request)
        if fault is Fault.DIES_BEFORE:
            self._kill()
            return _cut(request)
        headers = CIMultiDict((name, value) for name, value in request.headers.items() if name not in BETWEEN_TWO)
        body = await request.read()
        async with self._upstream.request(
            request.method,
            URL(request.raw_path, encoded=True),
            headers=headers,
            data=body or None,
            skip_auto_headers=(hdrs.CONTENT_TYPE,),
        ) as answer:
            if fault is not None:
                await answer.read()
                if fault is Fault.DIES_AFTER:
                    self._kill()
                return _cut(request)
            response = web.StreamResponse(status=answer.status)
            response.headers.extend((name, value) for name, value in answer.headers.items() if name not in BETWEEN_TWO)
            await response.prepare(request)
            async for part in answer.content.iter_any():
                await response.write(part)
            await response.write_eof()
            return response

    def _meet(self, request: web.Request) -> Fault | None:
        """Counts the request, if it is one that counts; the fault, if it is its turn."""
        if f"/namespaces/{self._namespace}/" not in request.path or "watch" in request.query:
            return None
        told = f"{request.method} {request.path.rsplit('/namespaces/', 1)[1]}"
        if request.method not in WRITING or "dryRun" in request.query:
            self.reads.append(told)
            return None
        self.writes.append(told)
        return self._fault if len(self.writes) == self._number else None


def _cut(request: web.Request) -> web.Response:
    """No answer: the connection ends."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
