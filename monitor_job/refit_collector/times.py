"""Moments as the store holds them: microseconds since 1970, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(microseconds=1)
SECOND = 1_000_000
HOUR = 3600 * SECOND
AHEAD = 300 * SECOND
"""How far ahead of ours a clock may be; beyond it something is wrong with one of them."""
FORM = "must be RFC 3339 with a zone, such as 2026-01-31T12:00:00.000Z"


def micros(text: str) -> int:
    """What the text means; raises ValueError if it is not RFC 3339 with a zone."""
    if not _RFC3339.fullmatch(text):
        raise ValueError(FORM)
    try:
        return (datetime.fromisoformat(text.upper()) - _EPOCH) // _STEP
    except (ValueError, OverflowError):
        raise ValueError(FORM) from None


def text(moment: int) -> str:
    """The moment as RFC 3339."""
    return (_EPOCH + timedelta(microseconds=moment)).isoformat(timespec="microseconds").replace("+00:00", "Z")
