"""A real intake on a free port of this machine, with a real store, driven by clocks that stand still."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from refit.intake import AlertStore, IntakeSettings, running
from refit.intake.signatures import sign
from refit.intake.writer import Limits

TOKEN = "alertmanager-token-one"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def alert(**more: Any) -> dict[str, Any]:
    """A firing alert of the model clinic/heart, with what differs."""
    return {
        "status": "firing",
        "labels": {"alertname": "RefitDataDrift", "severity": "warning", "namespace": "clinic", "model": "heart"},
        "annotations": {"summary": "thalach drifted"},
        "startsAt": "2026-03-01T11:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c0ffee0000000001",
    } | more


def delivery(*alerts: Any, **more: Any) -> dict[str, Any]:
    """What Alertmanager sends."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="RefitDataDrift"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "refit",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts),
    } | more


@dataclass
class Running:
    """A started intake and what it did."""

    url: str
    session: aiohttp.ClientSession
    store: AlertStore
    registry: CollectorRegistry
    folder: Path
    woken: list[tuple[str, str]]
    now: datetime = NOW
    seconds: float = 0.0

    async def post(
        self, path: str, body: Any, headers: Mapping[str, str] = {}, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        """Status and document of the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.session.post(f"{self.url}{path}", data=data, headers=JSON | dict(headers), **more) as answer:
            return answer.status, await answer.json()

    async def alerts(self, *alerts: Any, **more: Any) -> tuple[int, dict[str, Any]]:
        """Answer to a delivery of alerts."""
        return await self.post("/v1/alertmanager", delivery(*alerts, **more), BEARER)

    async def event(self, document: Any, number: str = "msg_1", **more: Any) -> tuple[int, dict[str, Any]]:
        """Answer to a signed event."""
        data = json.dumps(document).encode()
        return await self.post("/v1/events", data, signed(data, number=number, **more))

    def count(self, name: str, **labels: str) -> float:
        """A sample of the metrics."""
        return self.registry.get_sample_value(name, labels) or 0.0

    def later(self, **by: float) -> None:
        """Moves both clocks."""
        self.now += timedelta(**by)
        self.seconds += timedelta(**by).total_seconds()


def signed(
    body: bytes, *, number: str = "msg_1", at: float | str = NOW.timestamp(), secret: str = SECRET
) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    timestamp = at if isinstance(at, str) else str(int(at))
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signature = base64.b64encode(sign(key, number, timestamp, body)).decode()
    return {"webhook-id": number, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


MODELS = frozenset({("clinic", "heart"), ("clinic", "lungs")})


@dataclass(kw_only=True)
class Setup:
    """How the intake is set up; the secrets are written unless they are given."""

    settings: Mapping[str, str] = field(default_factory=dict)
    known: Callable[[str, str], bool] = lambda *name: name in MODELS
    ready: Callable[[], bool] = lambda: True
    limits: Limits | None = None
    scheme: str = "http"


@asynccontextmanager
async def started(folder: Path, setup: Setup | None = None) -> AsyncIterator[Running]:
    """An intake with all its routes, by a token and secrets in the folder."""
    setup = setup or Setup()
    files = {
        "TOKEN_FILE": TOKEN,
        "EVENTS_SECRET_FILE": SECRET,
        "GITHUB_SECRET_FILE": "github-secret-of-32-bytes-length",
    }
    given = {"REFIT_INTAKE_PORT": str(free_port()), "REFIT_INTAKE_DATABASE": str(folder / "alerts.db")}
    for name, text in files.items():
        path = folder / name.lower()
        if not path.exists():
            path.write_text(text + "\n")
        given[f"REFIT_INTAKE_{name}"] = str(path)
    settings = IntakeSettings.read(given | dict(setup.settings))
    woken: list[tuple[str, str]] = []
    registry = CollectorRegistry()
    found: Running | None = None

    def clock() -> datetime:
        return found.now if found else NOW

    async with (
        aiohttp.ClientSession() as session,
        running(
            settings,
            known=setup.known,
            ready=setup.ready,
            stored=lambda *target: woken.append(target),
            registry=registry,
            clock=clock,
            monotonic=lambda: found.seconds if found else 0.0,
            host="127.0.0.1",
            limits=setup.limits,
        ) as store,
    ):
        assert store is not None
        found = Running(
            url=f"{setup.scheme}://127.0.0.1:{settings.port}",
            session=session,
            store=store,
            registry=registry,
            folder=folder,
            woken=woken,
        )
        yield found
