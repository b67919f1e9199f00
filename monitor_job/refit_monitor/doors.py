"""The doors to other parts: the collector, MLflow's artifacts, Prometheus. Plain HTTP, tried again with patience."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from refit.api.events import MEASUREMENTS_PATH, WINDOW_PATH
from refit_monitor.errors import UnreachableError

_AGAIN = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
ARROW = "application/vnd.apache.arrow.stream"
MOST_ROWS = 2_000_000
"""Of one window: more rows say nothing more, and cost memory."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a call is tried, and what passes the time between."""

    attempts: int = 4
    pause: Callable[[float], None] = time.sleep
    timeout_seconds: float = 60.0


class Door:
    """One way to ask others over HTTP; every call here may be made twice without harm. Raises UnreachableError."""

    def __init__(self, patience: Patience | None = None, transport: httpx.BaseTransport | None = None) -> None:
        self._patience = patience or Patience()
        self._client = httpx.Client(timeout=self._patience.timeout_seconds, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, who: str, method: str, address: str, **request: Any) -> httpx.Response:
        """The answer, if it is a good one; `who` is what the other is called in a message."""
        said = ""
        for attempt in range(self._patience.attempts):
            if attempt:
                self._patience.pause(2.0 ** (attempt - 1))
            try:
                answer = self._client.request(method, address, **request)
            except httpx.InvalidURL as error:
                raise UnreachableError(f"{who}: {address[:200]!r} is no address: {error}") from error
            except httpx.TransportError as error:
                said = str(error) or type(error).__name__
                continue
            if answer.is_success:
                return answer
            said = f"answered {answer.status_code}: {answer.text.strip()[:200]}"
            if answer.status_code not in _AGAIN and not answer.is_server_error:
                break
        raise UnreachableError(f"{who} at {httpx.URL(address).copy_with(query=None)}: {said}")


class Collector:
    """The collector's pages of one model. The token is read for each call: the kubelet renews it."""

    def __init__(self, door: Door, base: str, token_file: Path | None, namespace: str, model: str) -> None:
        self._door = door
        self._base = base.rstrip("/")
        self._token_file = token_file
        self._place = {"namespace": namespace, "model": model}

    def window(self, since: str, until: str, version: int) -> tuple[bytes, bool]:
        """The window as an Arrow stream; and whether it is cut."""
        address = self._base + WINDOW_PATH.format(**self._place)
        query = {"since": since, "until": until, "version": str(version), "limit": str(MOST_ROWS)}
        headers = {"Accept": ARROW} | self._authorization()
        answer = self._door.ask("the collector", "GET", address, params=query, headers=headers)
        return answer.content, answer.headers.get("refit-cut") == "true"

    def measurements(self, limit: int) -> list[Mapping[str, Any]]:
        """The newest measurements, the newest first."""
        address = self._base + MEASUREMENTS_PATH.format(**self._place)
        answer = self._door.ask(
            "the collector", "GET", address, params={"limit": str(limit)}, headers=self._authorization()
        )
        found = answer.json()
        found = found.get("measurements", []) if isinstance(found, dict) else found
        return [kept for kept in found if isinstance(kept, dict)]

    def keep(self, key: str, measurement: Mapping[str, Any]) -> None:
        address = f"{self._base}{MEASUREMENTS_PATH.format(**self._place)}/{key}"
        self._door.ask("the collector", "PUT", address, json=measurement, headers=self._authorization())

    def _authorization(self) -> dict[str, str]:
        if self._token_file is None:
            return {}
        try:
            return {"Authorization": f"Bearer {self._token_file.read_text().strip()}"}
        except OSError as error:
            raise UnreachableError(f"the collector's token: {self._token_file}: {error.strerror}") from error


class Artifacts:
    """Files in MLflow by their plain addresses. Credentials go to the tracking server only."""

    def __init__(self, door: Door, tracking_uri: str, environment: Mapping[str, str]) -> None:
        self._door = door
        self._tracking_uri = tracking_uri.rstrip("/")
        self._environment = environment

    def download(self, address: str) -> bytes:
        return self._door.ask("MLflow", "GET", address, **self._credentials(address)).content

    def upload(self, address: str, content: bytes) -> None:
        self._door.ask("MLflow", "PUT", address, content=content, **self._credentials(address))

    def _credentials(self, address: str) -> dict[str, Any]:
        """By the variables of MLflow's own client."""
        if not self._tracking_uri or not address.startswith(self._tracking_uri + "/"):
            return {}
        token, user = (self._environment.get(f"MLFLOW_TRACKING_{name}") for name in ("TOKEN", "USERNAME"))
        if token:
            return {"headers": {"Authorization": f"Bearer {token}"}}
        return {"auth": (user, self._environment.get("MLFLOW_TRACKING_PASSWORD", ""))} if user else {}
