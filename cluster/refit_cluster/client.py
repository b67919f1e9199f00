"""A small client of an API server for tests: plain data in, the server's own answer out, refusals included.

One connection that is kept, so that a request costs a millisecond where kubectl costs a hundred. It knows client
certificates and bearer tokens, which is what the harness hands out; for anything else there is kubectl.
"""

from __future__ import annotations

import base64
import http.client
import json
import select
import socket
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import yaml

from refit_cluster.shell import HarnessError

APPLY = "application/apply-patch+yaml"
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass(frozen=True)
class Answer:
    """What the API server said, and the warnings that came with it."""

    code: int
    body: dict[str, Any]
    warnings: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """Why not, if it is a refusal."""
        return str(self.body.get("message", ""))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that a refusal names, each once. "<nil>" names none: it says that rules were left unchecked."""
        causes = (self.body.get("details") or {}).get("causes") or []
        return tuple(sorted({str(cause.get("field", "")) for cause in causes} - {"", "<nil>"}))

    def accepted(self) -> dict[str, Any]:
        """The object; raises HarnessError with the server's message where it is a refusal."""
        if self.code >= HTTPStatus.MULTIPLE_CHOICES:
            raise HarnessError(f"{self.code} {self.message}")
        return self.body


class Client:
    """Requests as the user of a kubeconfig's current context. Use it as a context manager, or close it."""

    def __init__(self, kubeconfig: Path, *, timeout: float = 30) -> None:
        server, user = _chosen(yaml.safe_load(kubeconfig.read_text()))
        address = urlsplit(server["server"])
        if address.hostname is None:
            raise HarnessError(f"{kubeconfig} names no server")
        self._headers = {"Accept": JSON}
        if "token" in user:
            self._headers["Authorization"] = f"Bearer {user['token']}"
        self._connection = http.client.HTTPSConnection(
            address.hostname, address.port, context=_tls(server, user), timeout=timeout
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str, *, accept: str = JSON, **query: str) -> Answer:
        return self.request("GET", path, accept=accept, query=query)

    def create(self, path: str, body: Mapping[str, Any], **query: str) -> Answer:
        """Under strict validation, as kubectl asks for it: a field that the schema does not know is refused."""
        return self.request("POST", path, body=body, query={"fieldValidation": "Strict", **query})

    def replace(self, path: str, body: Mapping[str, Any], **query: str) -> Answer:
        return self.request("PUT", path, body=body, query={"fieldValidation": "Strict", **query})

    def merge(self, path: str, patch: Mapping[str, Any], **query: str) -> Answer:
        """A merge patch: null removes."""
        return self.request("PATCH", path, body=patch, content=MERGE_PATCH, query=query)

    def apply(self, path: str, body: Mapping[str, Any], manager: str, **query: str) -> Answer:
        """Server-side apply of just the fields in the body, which become the manager's."""
        whole = {"fieldManager": manager, "force": "true", **query}
        return self.request("PATCH", path, body=body, content=APPLY, query=whole)

    def delete(self, path: str) -> Answer:
        return self.request("DELETE", path)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        content: str = JSON,
        accept: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        target = f"{path}?{urlencode(query)}" if query else path
        # Not in ASCII: an apply is read as YAML, whose escapes know no surrogate pairs.
        sent = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {**self._headers, "Accept": accept, **({"Content-Type": content} if sent is not None else {})}
        try:
            answer = self._exchange(method, target, sent, headers)
        except (http.client.HTTPException, OSError):
            # The next request starts on a new connection; this one is not repeated, for it may have had its effect.
            self._connection.close()
            raise
        return answer

    def _exchange(self, method: str, target: str, sent: bytes | None, headers: Mapping[str, str]) -> Answer:
        if _ended(self._connection.sock):
            self._connection.close()  # the request opens another
        self._connection.request(method, target, body=sent, headers=headers)
        response = self._connection.getresponse()
        text = response.read()
        warnings = tuple(response.headers.get_all("Warning") or ())
        try:
            body = json.loads(text)
        except ValueError:
            body = {"message": text.decode(errors="replace")}
        return Answer(response.status, body if isinstance(body, dict) else {"items": body}, warnings)


def _ended(kept: socket.socket | None) -> bool:
    """The server has closed it, as one does that was stopped: between requests there is nothing else to read."""
    if kept is None:
        return False
    waiting = select.poll()
    waiting.register(kept, select.POLLIN)
    return bool(waiting.poll(0))


def _chosen(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cluster and user of the current context."""
    named = {kind: {one["name"]: one[kind[:-1]] for one in config[kind]} for kind in ("contexts", "clusters", "users")}
    context = named["contexts"][config["current-context"]]
    return named["clusters"][context["cluster"]], named["users"][context["user"]]


def _tls(server: Mapping[str, str], user: Mapping[str, str]) -> ssl.SSLContext:
    authority = base64.b64decode(server["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    if "client-certificate-data" in user:
        # The module reads a client's certificate from a file only.
        with tempfile.NamedTemporaryFile() as pair:
            for part in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[part]))
            pair.flush()
            context.load_cert_chain(pair.name)
    return context
