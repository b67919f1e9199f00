"""Data over HTTP: bounded, retried, authenticated from a Secret, and never led into forbidden places."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from refit_trainer.errors import RefusedError, UnreachableError

REDIRECTS = 5
_SERVER_ERRORS = range(500, 600)
_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, *_SERVER_ERRORS}
_FORBIDDEN_NAMES = {"localhost", "metadata", "metadata.google.internal"}


def forbidden(host: str) -> bool:
    """Whether a host is the machine itself or a metadata service, by name or by any address it resolves to."""
    if host.lower() in _FORBIDDEN_NAMES:
        return True
    try:
        addresses = {found[4][0] for found in socket.getaddrinfo(host, None)}
    except OSError:
        return False  # it can not be connected to either; the download says so
    return any(_inward(ipaddress.ip_address(str(address).split("%")[0])) for address in addresses)


@dataclass(frozen=True, kw_only=True)
class Downloads:
    """How to download: which hosts are out of bounds, how often and how patiently to try."""

    forbidden: Callable[[str], bool] = forbidden
    attempts: int = 4
    pause: Callable[[float], None] = time.sleep
    timeout_seconds: float = 30.0


class _AgainError(Exception):
    """A try failed in a way that another one may not."""


def download(uri: str, secret: Mapping[str, str], how: Downloads, size_limit: int) -> bytes:
    """The body at an address; TOKEN, or USERNAME and PASSWORD, of the secret authenticate to its host only."""
    said = "no answer"
    with httpx.Client(timeout=how.timeout_seconds, follow_redirects=False, trust_env=True) as client:
        for attempt in range(how.attempts):
            if attempt:
                how.pause(2.0 ** (attempt - 1))
            try:
                return _body(client, uri, _authorization(secret), how, size_limit)
            except (_AgainError, httpx.TransportError) as error:
                said = str(error) or type(error).__name__
    raise UnreachableError(f"data.source.uri {_shown(uri)}: {said} (tried {how.attempts} times)")


def _body(client: httpx.Client, uri: str, auth: httpx.Auth | None, how: Downloads, size_limit: int) -> bytes:
    origin = urlsplit(uri)[:2]
    for _ in range(REDIRECTS + 1):
        parts = urlsplit(uri)
        if parts.scheme not in {"http", "https"} or not parts.hostname or how.forbidden(parts.hostname):
            raise RefusedError(
                "SourceForbidden",
                f"{_shown(uri)} is out of bounds: data may not come from the machine itself, a metadata service "
                "or by another scheme than http and https",
            )
        with client.stream("GET", uri, auth=auth if parts[:2] == origin else None) as response:
            if response.is_redirect:
                uri = str(response.url.join(response.headers.get("location", "")))
                continue
            _judge(response, uri)
            return _bounded(response, uri, size_limit)
    raise RefusedError("SourceRefused", f"{_shown(uri)}: more than {REDIRECTS} redirects")


def _judge(response: httpx.Response, uri: str) -> None:
    status = response.status_code
    if status in _AGAIN:
        raise _AgainError(f"answered {status}")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise RefusedError(
            "SourceForbidden",
            f"{_shown(uri)} answered {status}; give data.source.secretRef a Secret with TOKEN, or USERNAME and PASSWORD",
        )
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        raise RefusedError("SourceNotFound", f"{_shown(uri)} answered {status}")
    if status != HTTPStatus.OK:
        raise RefusedError("SourceRefused", f"{_shown(uri)} answered {status}")


def _bounded(response: httpx.Response, uri: str, size_limit: int) -> bytes:
    """The body, read in pieces, so that neither a wrong Content-Length nor a compressed bomb passes the limit."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > size_limit:
            raise RefusedError("SourceTooLarge", f"{_shown(uri)} has more than {size_limit} bytes")
    return bytes(body)


def _authorization(secret: Mapping[str, str]) -> httpx.Auth | None:
    if secret.get("TOKEN"):
        return _Bearer(secret["TOKEN"])
    if secret.get("USERNAME"):
        return httpx.BasicAuth(secret["USERNAME"], secret.get("PASSWORD", ""))
    return None


class _Bearer(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request):  # type: ignore[no-untyped-def]  # noqa: ANN202 - httpx's own generator
        request.headers["Authorization"] = f"Bearer {self._token.strip()}"
        yield request


def _inward(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def _shown(uri: str) -> str:
    """The address without its query, which may hold a signature."""
    return uri.split("?", 1)[0]
