"""What a request is refused with: an HTTP status, and for each problem the field it is about."""

from __future__ import annotations

import errno
from typing import Any, NamedTuple

from pydantic_core import ErrorDetails

LONGEST_ECHO = 60
DISK_FULL = "disk_full"


class Problem(NamedTuple):
    """One thing wrong with a request; `field` is a path into it, or empty for the whole of it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class Refused(Exception):  # noqa: N818  # the request is refused; nothing here is in error
    """The request is not carried out, and the client can know why. `reason` is what it is counted under."""

    def __init__(self, status: int, field: str, message: str, *, reason: str, retry_after: int | None = None) -> None:
        self.problem = Problem(field, message)
        super().__init__(str(self.problem))
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    def document(self) -> dict[str, Any]:
        return {"error": str(self.problem), "problems": [self.problem._asdict()]}

    def headers(self) -> dict[str, str]:
        found = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        return found | {"www-authenticate": "Bearer"} if self.status == 401 else found  # noqa: PLR2004  # Unauthorized


def bad(field: str, message: str, *, reason: str = "malformed") -> Refused:
    """The request is not of the form that is asked for."""
    return Refused(400, field, message, reason=reason)


def unfit(field: str, message: str, *, reason: str = "invalid") -> Refused:
    """The form is right, and the content can not be taken."""
    return Refused(422, field, message, reason=reason)


def too_large(field: str, message: str) -> Refused:
    return Refused(413, field, message, reason="too_large")


def busy(message: str, *, reason: str = "queue_full", retry_after: int = 1) -> Refused:
    """Nothing is wrong with the request; it can be sent again."""
    return Refused(503, "", message, reason=reason, retry_after=retry_after)


def wants_room(error: Exception) -> bool:
    """Whether it is for want of room that something was not written."""
    match error:
        case Refused():
            return error.reason == DISK_FULL
        case OSError():
            return error.errno in {errno.ENOSPC, errno.EDQUOT}
        case _:
            return False


def cut(text: str) -> str:
    """Text out of a request, short enough for an error message."""
    return text if len(text) <= LONGEST_ECHO else text[:LONGEST_ECHO] + "…"


def told(error: ErrorDetails) -> str:
    """One of Pydantic's findings as `field: text`, without the value, which may be data."""
    place = ".".join(cut(str(step)) for step in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
