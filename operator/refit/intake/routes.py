"""The routes. Each does its work in one order: size, method and type, who it is, when, known already, form, store, 202."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from refit.intake import alertmanager, body, events
from refit.intake.callers import Callers
from refit.intake.credentials import SecretFile
from refit.intake.ledger import SignedEvent, Tally
from refit.intake.metrics import IntakeMetrics
from refit.intake.refused import RefusedError
from refit.intake.signatures import verify, verify_github
from refit.intake.store import AlertStore
from refit.intake.targets import Known, TargetLabels, target
from refit.intake.tls import Tls
from refit.intake.writer import BusyError

ALERTMANAGER, EVENTS, GITHUB = "/v1/alertmanager", "/v1/events", "/v1/github"
RETRY_AFTER = {"Retry-After": "5"}
MOST_AT_ONCE = 256
"""Requests in work; each may hold a body of 1 MiB."""

Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Routes:
    """What the routes stand on. A route whose secrets are None is not there."""

    store: AlertStore
    metrics: IntakeMetrics
    clock: Callable[[], datetime]
    known: Known
    ready: Callable[[], bool]
    """Whether `known` knows: before the models have been listed every alert would be about none."""
    labels: TargetLabels
    callers: Callers | None
    tls: Tls | None
    events_secrets: SecretFile | None
    github_secrets: SecretFile | None

    def application(self) -> web.Application:
        found = web.Application()
        gate = _Gate()
        if self.callers is not None:
            found.router.add_route("*", ALERTMANAGER, self._answering(ALERTMANAGER, self._alertmanager, gate))
        if self.events_secrets is not None:
            found.router.add_route("*", EVENTS, self._answering(EVENTS, self._events, gate))
        if self.github_secrets is not None:
            found.router.add_route("*", GITHUB, self._answering(GITHUB, self._github, gate))
        found.router.add_route("*", "/{path:.*}", self._answering("other", _nothing_here, gate))
        return found

    async def _alertmanager(self, request: web.Request) -> Answer:
        """Alertmanager's deliveries."""
        assert self.callers is not None  # noqa: S101  # or the route is not there
        raw = await body.read(request)
        certificate = request.get_extra_info("peercert")
        if certificate and self.tls is not None:
            self.tls.must_be_current(request.get_extra_info("ssl_object"))
        source = self.callers.source(request.headers.get("Authorization", ""), certificate, self._now())
        document = body.document(raw)
        alerts = document.get("alerts")
        if isinstance(alerts, list) and len(alerts) > alertmanager.MOST_ALERTS:
            raise RefusedError(
                413, f"alerts: {len(alerts)} in one request, at most {alertmanager.MOST_ALERTS}; set max_alerts"
            )
        delivery = alertmanager.Delivery.model_validate(document)
        self._must_be_ready()
        found, others = alertmanager.given(delivery, self.labels, self.known)
        tally = await self.store.put(found, source=source, size=len(raw))
        self._count("ignored", len(others))
        self._count("truncated", delivery.truncated_alerts)
        answer = _answer(tally)
        if others:
            answer["ignored"] = [{"fingerprint": one, "why": "no mapping"} for one in others]
        if delivery.truncated_alerts:
            answer["truncated"] = delivery.truncated_alerts
        return 202, answer

    async def _events(self, request: web.Request) -> Answer:
        """Signed events: ours and MLflow's."""
        assert self.events_secrets is not None  # noqa: S101  # or the route is not there
        raw = await body.read(request)
        signed = verify(request.headers, raw, self.events_secrets.current(), self._now())
        if self.store.replayed(EVENTS, [signed.id]):
            return 200, {"duplicate": True}
        told = events.told(body.document(raw))
        return await self._keep(told, EVENTS, (signed.id,), f"events secret {signed.secret}", len(raw))

    async def _github(self, request: web.Request) -> Answer:
        """GitHub's deliveries. Its id is not signed, so the body is known again too."""
        assert self.github_secrets is not None  # noqa: S101  # or the route is not there
        raw = await body.read(request)
        signed = verify_github(request.headers, raw, self.github_secrets.current())
        kind = body.line(request.headers.get("X-GitHub-Event", ""), 64)
        if kind == "ping":
            return 200, {"pong": True}
        ids = (signed.id, f"sha256:{hashlib.sha256(raw).hexdigest()}")
        if self.store.replayed(GITHUB, ids):
            return 200, {"duplicate": True}
        told = events.told_by_github(kind, body.document(raw))
        return await self._keep(told, GITHUB, ids, f"github secret {signed.secret}", len(raw))

    async def _keep(self, told: events.Told, route: str, ids: tuple[str, ...], source: str, size: int) -> Answer:
        self._must_be_ready()
        found = target(told.namespace, told.model, self.known)
        if found is None and told.must_be_known:
            self._count("ignored", 1)
            return 202, {"ignored": [{"id": ids[0], "why": "no mapping"}]}
        namespace, model = found or ("", "")
        event = events.StoredEvent(
            type=told.type, namespace=namespace, model=model, summary=told.summary, received_at=self.clock()
        )
        entry = SignedEvent(event=event, route=route, ids=ids, source=source, alert=told.alert)
        tally = await self.store.put_event(entry, size=size)
        return (200, {"duplicate": True}) if tally.replayed else (202, {"event": told.type, **_answer(tally)})

    def _must_be_ready(self) -> None:
        if not self.ready():
            raise RefusedError(503, "the operator does not know its models yet", RETRY_AFTER)

    def _now(self) -> float:
        return self.clock().timestamp()

    def _count(self, outcome: str, number: int) -> None:
        if number:
            self.metrics.alerts.labels(outcome).inc(number)

    def _answering(
        self, route: str, work: Callable[[web.Request], Awaitable[Answer]], gate: _Gate
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            headers: dict[str, str] = {}
            try:
                with gate:
                    status, document = await work(request)
            except RefusedError as error:
                status, document, headers = error.status, {"error": error.problem}, error.headers
            except ValidationError as error:
                status, document = 422, {"error": body.problems(error)}
            except BusyError as error:
                status, document, headers = 503, {"error": str(error)}, RETRY_AFTER
            self.metrics.requests.labels(route, str(status)).inc()
            return web.json_response(document, status=status, headers=headers)

        return answer


class _Gate:
    """Lets so many requests in at a time."""

    def __init__(self) -> None:
        self._inside = 0

    def __enter__(self) -> None:
        if self._inside >= MOST_AT_ONCE:
            raise BusyError("too many requests at a time")
        self._inside += 1

    def __exit__(self, *_: object) -> None:
        self._inside -= 1


async def _nothing_here(_: web.Request) -> Answer:
    raise RefusedError(404, f"nothing here; there are {ALERTMANAGER}, {EVENTS} and {GITHUB}, as they are set up")


def _answer(tally: Tally) -> dict[str, Any]:
    """Counts by outcome, without those that are none."""
    found: dict[str, Any] = dict(Counter(map(str, tally.outcomes)))
    return found | ({"held": tally.held} if tally.held else {})
