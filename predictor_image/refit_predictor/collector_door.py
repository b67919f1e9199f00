"""The collector, asked over plain HTTP to store a batch of events; what it answers is sorted by what happens next."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import orjson

from refit.api.events import EVENTS_PATH, MEDIA_TYPE

LONGEST_ANSWER = 4 * 1024 * 1024
NOT_NOW = frozenset({401, 403, 408, 429})
TOO_LARGE = 413


class Stored(NamedTuple):
    """The collector has them on disk, but for those that it refused or knew already."""

    refused: int = 0
    duplicates: int = 0


class Unwanted(NamedTuple):
    """It will never take this batch; the status says why."""

    status: int


class TooLarge(NamedTuple):
    """It may take the batch in parts."""


class Later(NamedTuple):
    """It may take the batch another time, after `seconds` if it said so."""

    why: str
    seconds: float | None = None


Answer = Stored | Unwanted | TooLarge | Later


class Door:
    """One connection, kept open. The token is read for each connection, and there is a new one after 401 and 403."""

    def __init__(
        self, url: str, namespace: str, model: str, token_file: Path, now: Callable[[], datetime] | None = None
    ) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        events = EVENTS_PATH.format(namespace=quote(namespace, safe=""), model=quote(model, safe=""))
        self._path = parts.path.rstrip("/") + events
        self._token_file = token_file
        self._token = ""
        self._now = now or (lambda: datetime.now(UTC))
        self._connection: http.client.HTTPConnection | None = None
        self.timeout = 10.0

    def post(self, body: bytes) -> Answer:
        kept = self._connection is not None
        try:
            try:
                return self._asked(body)
            except (ConnectionError, http.client.RemoteDisconnected):
                self.close()
                if not kept:
                    raise
            # The other end may close a connection that is idle; or it had the batch and did not live to say so.
            answer = self._asked(body)
            return answer._replace(duplicates=0) if isinstance(answer, Stored) else answer
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return Later(_named(error))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _asked(self, body: bytes) -> Answer:
        if self._connection is None:
            self._token = self._token_file.read_text().strip()
            self._connection = self._connected()
        headers = {"content-type": MEDIA_TYPE, "authorization": f"Bearer {self._token}"}
        self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        content = response.read(LONGEST_ANSWER)
        if not response.isclosed() or response.status in NOT_NOW:
            self.close()
        return _sorted(response.status, content, self._seconds(response.headers.get("retry-after")))

    def _connected(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=self.timeout, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self.timeout)

    def _seconds(self, retry_after: str | None) -> float | None:
        """Retry-After, as seconds or as a date."""
        text = (retry_after or "").strip()
        if text.isascii() and text.isdigit():
            return float(text)
        try:
            return max(0.0, (parsedate_to_datetime(text) - self._now()).total_seconds())
        except (TypeError, ValueError):
            return None


def _sorted(status: int, content: bytes, seconds: float | None) -> Answer:
    if 200 <= status < 300:  # noqa: PLR2004  # what every 2xx has in common
        return _stored(content)
    if status == TOO_LARGE:
        return TooLarge()
    if 400 <= status < 500 and status not in NOT_NOW:  # noqa: PLR2004  # the same of 4xx
        return Unwanted(status)
    return Later(f"it answers {status}", seconds)


def _stored(content: bytes) -> Stored:
    """What the answer tells of single events; one that cannot be read tells nothing."""
    try:
        told = orjson.loads(content)
        refused, duplicates = told.get("refused", ()), told.get("duplicates", 0)
        return Stored(len(refused), int(duplicates))
    except (AttributeError, TypeError, ValueError):
        return Stored()


def _named(error: Exception) -> str:
    """The error without what may come from a file's content."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, UnicodeError | ValueError) and not isinstance(error, OSError | http.client.HTTPException):
        return "the token cannot be sent: it is no single line of ASCII"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
