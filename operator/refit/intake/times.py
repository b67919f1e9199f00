"""Moments: RFC 3339 as senders write it, to the whole microseconds since 1970 that are stored."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNSET = -62135596800_000_000
"""Alertmanager's zero time, 0001-01-01T00:00:00Z: there is none."""

_SHAPE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


def parse(text: object) -> int:
    """Raises ValueError, which says the form."""
    if not isinstance(text, str) or _SHAPE.fullmatch(text) is None:
        raise ValueError("must be RFC 3339 with a zone, such as 2026-01-31T12:00:00.000Z")
    try:
        return micros(datetime.fromisoformat(text).astimezone(UTC))
    except (ValueError, OverflowError):
        raise ValueError(f"{text} is no moment") from None


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(number: int) -> datetime:
    return EPOCH + timedelta(microseconds=number)
