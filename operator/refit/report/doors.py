"""The doors to others: one measurement from the collector, and the report's files into MLflow. Nothing else is called."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from refit.api import jobs
from refit.api.events import MEASUREMENTS_PATH

NEWEST = 100
"""So many measurements are looked through for the one that is shown."""
_AGAIN = {408, 425, 429}
"""Beside all that is the server's fault."""


class UnreachableError(Exception):
    """Another part does not answer, or says no; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """One way to ask others; every call here may be made twice without harm."""

    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30.0))
    attempts: int = 4
    pause: Callable[[float], None] = time.sleep

    def ask(self, who: str, method: str, address: str, **how: Any) -> httpx.Response:
        """The answer, if it is a good one; raises UnreachableError."""
        said = ""
        for attempt in range(self.attempts):
            if attempt:
                self.pause(2.0 ** (attempt - 1))
            try:
                answer = self.client.request(method, address, **how)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                said = str(error) or type(error).__name__
                continue
            if answer.is_success:
                return answer
            said = f"answered {answer.status_code} {answer.text.strip()[:200]}".strip()
            if not answer.is_server_error and answer.status_code not in _AGAIN:
                break
        raise UnreachableError(f"{who} at {address}: {said}")


def measurements(door: Door, environment: Mapping[str, str], namespace: str, model: str) -> list[Mapping[str, Any]]:
    """The newest measurements of the model; raises UnreachableError."""
    base = environment.get(jobs.COLLECTOR_URL, "")
    if not base:
        raise UnreachableError("this installation has no collector")
    address = base.rstrip("/") + MEASUREMENTS_PATH.format(namespace=namespace, model=model)
    answer = door.ask(
        "the collector", "GET", address, params={"limit": str(NEWEST)}, headers=_collector_token(environment)
    )
    try:
        found = answer.json()
    except ValueError as error:
        raise UnreachableError(f"the collector at {address}: its answer is not JSON") from error
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def store(door: Door, environment: Mapping[str, str], address: str, content: bytes, kind: str) -> None:
    """Puts a file into MLflow; raises UnreachableError."""
    tracking = environment.get(jobs.TRACKING_URI, "").rstrip("/")
    token = environment.get("MLFLOW_TRACKING_TOKEN", "")
    user, password = (environment.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD"))
    # Credentials go to the tracking server only.
    known = bool(tracking) and address.startswith(f"{tracking}/")
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if known and token else {})
    basic = (user, password) if known and user and not token else None
    door.ask("MLflow", "PUT", address, content=content, headers=headers, auth=basic)


def _collector_token(environment: Mapping[str, str]) -> dict[str, str]:
    """Read for each call: the kubelet renews it."""
    file = environment.get(jobs.COLLECTOR_TOKEN_FILE)
    if not file:
        return {}
    try:
        return {"Authorization": f"Bearer {Path(file).read_text(encoding='ascii').strip()}"}
    except (OSError, UnicodeDecodeError) as error:
        raise UnreachableError(f"the collector's token {file} cannot be read") from error
