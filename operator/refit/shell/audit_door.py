"""The door to the audit: rows, a checkpoint and a verification over HTTP, for whom the API server says may `get audits`.

A caller brings a token that was made out for the audit alone (its audience), so whoever receives it can do nothing else
with it. It travels in `Refit-Authorization` behind the API server's proxy, else in `Authorization`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from aiohttp import web

from refit.api import meta
from refit.api.audits import AUDIENCE, CHECKPOINT_PATH, LINES_PATH, MOST, RESOURCE, ROWS_PATH, VERIFY_PATH
from refit.api.events import PROXIED_HEADER
from refit.audit.ledger import Ledger, LedgerError
from refit.audit.queries import Asked
from refit.kube.cluster import ClusterError

FILTERS = {
    "kind": "kind",
    "trigger": "trigger_type",
    "actor": "actor",
    "trace": "trace_id",
    "namespace": "namespace",
    "model": "model",
    "request": "request_uid",
    "since": "since",
}
"""Word of the query, and what it is asked for as."""
BEARER = "Bearer "
AT_ONCE = 4
"""Callers that are answered at the same time; the others wait."""


class Reviewer(Protocol):
    """The API server, as far as the door needs it."""

    async def whose(self, token: str, audience: str) -> tuple[str, tuple[str, ...]] | None:
        """User and groups of a token that was made out for that audience; None if it is no such token."""

    async def may(
        self,
        user: str,
        groups: tuple[str, ...],
        verb: str,
        group: str,
        resource: str,
        subresource: str,
        namespace: str,
        name: str,
    ) -> bool:
        """Whether that user, being in these groups, has that right now."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """Answers in the name of an operator in that namespace."""

    ledger: Ledger
    reviewer: Reviewer
    namespace: str

    def routes(self) -> list[web.RouteDef]:
        """The routes, all behind the same check."""
        limit = asyncio.Semaphore(AT_ONCE)
        answers: dict[str, Callable[[Mapping[str, str]], Awaitable[web.Response]]] = {
            ROWS_PATH: self._rows,
            LINES_PATH: self._lines,
            CHECKPOINT_PATH: self._checkpoint,
            VERIFY_PATH: self._verify,
        }

        def guarded(
            answer: Callable[[Mapping[str, str]], Awaitable[web.Response]],
        ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
            async def route(request: web.Request) -> web.StreamResponse:
                async with limit:
                    return await self._refusal(request) or await _said(answer(request.query))

            return route

        return [web.get(path, guarded(answer)) for path, answer in answers.items()]

    async def _refusal(self, request: web.Request) -> web.Response | None:
        """Why the caller is not answered; None if it is."""
        given = request.headers.get(PROXIED_HEADER) or request.headers.get("Authorization") or ""
        if not given.startswith(BEARER):
            return _error(401, f"a token for the audience {AUDIENCE} is needed: docs/audit.md")
        try:
            who = await self.reviewer.whose(given.removeprefix(BEARER).strip(), AUDIENCE)
            if who is None:
                return _error(401, f"this is no token for the audience {AUDIENCE}, or it is no longer good")
            user, groups = who
            if await self.reviewer.may(user, groups, "get", meta.GROUP, RESOURCE, "", self.namespace, ""):
                return None
        except ClusterError:
            return _error(503, "the API server can not say whose token this is; ask again")
        return _error(403, f"{user} may not get {RESOURCE}.{meta.GROUP} in {self.namespace}: docs/audit.md")

    async def _rows(self, query: Mapping[str, str]) -> web.Response:
        unknown = set(query) - set(FILTERS) - {"limit"}
        if unknown:
            return _error(400, f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FILTERS)} and limit")
        wanted = {FILTERS[name]: value for name, value in query.items() if name in FILTERS}
        found = await self.ledger.rows(Asked(limit=_number(query, "limit", 50, MOST), **wanted))  # type: ignore[arg-type]  # FILTERS names texts
        return web.json_response({"rows": [asdict(row) for row in found]})

    async def _lines(self, query: Mapping[str, str]) -> web.Response:
        after, limit = _number(query, "after", 0, 1 << 60), _number(query, "limit", MOST, MOST)
        body = await self.ledger.lines(after, limit)
        return web.Response(body=body, content_type="text/tab-separated-values")

    async def _checkpoint(self, _: Mapping[str, str]) -> web.Response:
        base, now = await self.ledger.base(), await self.ledger.checkpoint()
        return web.json_response({"base": base.wire() if base is not None else None, "checkpoint": now.wire()})

    async def _verify(self, _: Mapping[str, str]) -> web.Response:
        return web.json_response((await self.ledger.verify()).wire())


def _number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    given = query.get(name, str(default))
    if not given.isdecimal() or not given.isascii() or int(given) > most:
        raise ValueError(f"{name} is a number up to {most}")
    return int(given)


async def _said(answer: Awaitable[web.Response]) -> web.Response:
    try:
        return await answer
    except ValueError as error:
        return _error(400, str(error))
    except LedgerError as error:
        return _error(503, str(error))


def _error(status: int, message: str) -> web.Response:
    body: dict[str, Any] = {"error": message}
    return web.json_response(body, status=status)
