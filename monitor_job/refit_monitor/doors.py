"""The doors to other parts: the collector and MLflow's artifacts. Plain HTTP, tried again with patience.

The standard library's client is enough for a handful of calls, and loads in a tenth of the time of others.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from refit.api.events import MEASUREMENTS_PATH, WINDOW_PATH
from refit_monitor.errors import UnreachableError

_AGAIN = {HTTPStatus.TOO_MANY_REQUESTS}
"""Beside all that is the server's fault."""
ARROW = "application/vnd.apache.arrow.stream"
MOST_ROWS = 2_000_000
"""Of one window: more rows say nothing more, and cost memory."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request; `query` goes into the address."""

    method: str
    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None

    @property
    def whole(self) -> str:
        return f"{self.address}?{urlencode(self.query)}" if self.query else self.address


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back; `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    def json(self) -> Any:
        return json.loads(self.content)


Send = Callable[[Call, float], Answer]
"""Makes one call, with a limit in seconds; raises OSError or HTTPException if there is no answer."""


def send(call: Call, seconds: float) -> Answer:
    """Over the network."""
    if urlsplit(call.address).scheme not in {"http", "https"}:
        raise UnreachableError(f"{call.address[:200]!r} is no address: it must start with http:// or https://")
    request = Request(call.whole, data=call.content, headers=dict(call.headers), method=call.method)  # noqa: S310 - checked above
    try:
        with urlopen(request, timeout=seconds) as answer:  # noqa: S310 - checked above
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(status=answer.status, headers=headers, content=answer.read())
    except HTTPError as error:
        with error:
            return Answer(status=error.code, content=error.read())


@dataclass(frozen=True, kw_only=True)
class Door:
    """One way to ask others; every call here may be made twice without harm."""

    send: Send = send
    attempts: int = 4
    pause: Callable[[float], None] = time.sleep
    timeout_seconds: float = 60.0

    def ask(self, who: str, call: Call) -> Answer:
        """The answer, if it is a good one; raises UnreachableError. `who` is what the other is called in a message."""
        said = ""
        for attempt in range(self.attempts):
            if attempt:
                self.pause(2.0 ** (attempt - 1))
            try:
                answer = self.send(call, self.timeout_seconds)
            except (OSError, HTTPException, ValueError) as error:
                said = str(getattr(error, "reason", None) or error) or type(error).__name__
                continue
            if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                return answer
            said = f"answered {answer.status} {answer.content.decode(errors='replace').strip()[:200]}".strip()
            if answer.status not in _AGAIN and answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                break
        raise UnreachableError(f"{who} at {call.address}: {said}")


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
        answer = self._door.ask("the collector", Call(method="GET", address=address, query=query, headers=headers))
        return answer.content, answer.headers.get("refit-cut") == "true"

    def measurements(self, limit: int) -> list[Mapping[str, Any]]:
        """The newest measurements, the newest first."""
        address = self._base + MEASUREMENTS_PATH.format(**self._place)
        query = {"limit": str(limit)}
        call = Call(method="GET", address=address, query=query, headers=self._authorization())
        try:
            found = self._door.ask("the collector", call).json()
        except ValueError as error:
            raise UnreachableError(f"the collector at {address}: its answer is not JSON") from error
        found = found.get("measurements", []) if isinstance(found, dict) else found
        return [kept for kept in found if isinstance(kept, dict)]

    def keep(self, key: str, measurement: Mapping[str, Any]) -> None:
        address = f"{self._base}{MEASUREMENTS_PATH.format(**self._place)}/{key}"
        headers = {"Content-Type": "application/json"} | self._authorization()
        content = json.dumps(measurement, separators=(",", ":")).encode()
        self._door.ask("the collector", Call(method="PUT", address=address, headers=headers, content=content))

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
        call = Call(method="GET", address=address, headers=self._credentials(address))
        return self._door.ask("MLflow", call).content

    def upload(self, address: str, content: bytes) -> None:
        headers = {"Content-Type": "application/octet-stream"} | self._credentials(address)
        self._door.ask("MLflow", Call(method="PUT", address=address, headers=headers, content=content))

    def _credentials(self, address: str) -> dict[str, str]:
        """By the variables of MLflow's own client."""
        if not self._tracking_uri or not address.startswith(self._tracking_uri + "/"):
            return {}
        token, user, password = (
            self._environment.get(f"MLFLOW_TRACKING_{name}", "") for name in ("TOKEN", "USERNAME", "PASSWORD")
        )
        if token:
            return {"Authorization": f"Bearer {token}"}
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {basic}"} if user else {}
