"""The door to MLflow: its documented REST API, version 2.0, over one connection.

MLflow's own client would be two seconds of import, twice what all the calls of a training take.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from refit_trainer.errors import UnreachableError

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
ABSENT = "RESOURCE_DOES_NOT_EXIST"
THERE = "RESOURCE_ALREADY_EXISTS"
_AGAIN = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class MlflowError(Exception):
    """MLflow answered, and the answer was no; `code` is its own word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a call is tried, and what passes the time between."""

    attempts: int = 5
    pause: Callable[[float], None] = time.sleep
    timeout_seconds: float = 30.0


class Mlflow:
    """One MLflow server. Raises UnreachableError when it does not answer, MlflowError when it says no."""

    def __init__(self, uri: str, environment: Mapping[str, str], patience: Patience | None = None) -> None:
        self.uri = uri.rstrip("/")
        self._patience = patience or Patience()
        self._client = httpx.Client(timeout=self._patience.timeout_seconds, headers=_authorization(environment))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self._json("GET", f"/api/2.0/mlflow/{path}", params=query)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        return self._json("POST", f"/api/2.0/mlflow/{path}", json=body)

    def upload(self, artifact_uri: str, content: bytes) -> None:
        self._answer("PUT", self.address(artifact_uri), content=content)

    def download(self, artifact_uri: str) -> bytes | None:
        """The bytes of an artifact; None if it is not there."""
        return self.read(self.address(artifact_uri))

    def read(self, address: str) -> bytes | None:
        """The bytes at the plain HTTP address of an artifact of this server; None if there are none."""
        if not address.startswith(self.uri + "/"):
            raise UnreachableError(f"{address.split('?', 1)[0][:200]} is not an artifact of the MLflow at {self.uri}")
        try:
            return self._answer("GET", address).content
        except MlflowError as error:
            if error.code in {ABSENT, str(HTTPStatus.NOT_FOUND.value)}:
                return None
            raise

    def address(self, artifact_uri: str) -> str:
        """The plain HTTP address of an artifact behind MLflow's proxy."""
        parts = urlsplit(artifact_uri)
        if parts.scheme != "mlflow-artifacts":
            raise UnreachableError(
                f"MLflow at {self.uri} keeps artifacts at {parts.scheme or 'a local path'}, where others can not read "
                "them; start it with --serve-artifacts"
            )
        return f"{self.uri}{ARTIFACTS}/{quote(parts.path.lstrip('/'))}"

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = self._answer(method, self.uri + path, **request)
        try:
            found = answer.json()
        except ValueError as error:
            raise UnreachableError(f"{self.uri} does not answer like MLflow; check its address") from error
        return found if isinstance(found, dict) else {}

    def _answer(self, method: str, address: str, **request: Any) -> httpx.Response:
        said = ""
        for attempt in range(self._patience.attempts):
            if attempt:
                self._patience.pause(2.0 ** (attempt - 1))
            try:
                answer = self._client.request(method, address, **request)
            except httpx.TransportError as error:
                said = str(error) or type(error).__name__
                # What is created by POST may have been created although the answer was lost.
                if method == "POST" and not isinstance(error, _NEVER_ARRIVED):
                    break
                continue
            if answer.status_code in _AGAIN or (answer.is_server_error and method != "POST"):
                said = f"answered {answer.status_code}"
                continue
            if answer.is_success:
                return answer
            raise _refusal(answer)
        raise UnreachableError(f"MLflow at {self.uri}: {said}")


def _refusal(answer: httpx.Response) -> MlflowError:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict) or "error_code" not in body:
        return MlflowError(str(answer.status_code), answer.text.strip()[:200])
    return MlflowError(str(body["error_code"]), str(body.get("message", ""))[:200])


def _authorization(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables are those of MLflow's own client."""
    if environment.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {environment['MLFLOW_TRACKING_TOKEN']}"}
    if environment.get("MLFLOW_TRACKING_USERNAME"):
        basic = httpx.BasicAuth(
            environment["MLFLOW_TRACKING_USERNAME"], environment.get("MLFLOW_TRACKING_PASSWORD", "")
        )
        request = next(basic.auth_flow(httpx.Request("GET", "http://mlflow")))
        return {"Authorization": request.headers["Authorization"]}
    return {}
