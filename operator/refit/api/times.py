"""Moments on the wire, RFC 3339 in UTC with whole seconds, and how far off they are in a word."""

from __future__ import annotations

from datetime import UTC, datetime

UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def stamp(moment: datetime) -> str:
    """The moment as the API holds it, such as 2026-11-21T13:00:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """The moment that a time string of the API means; raises ValueError if it is none."""
    return datetime.fromisoformat(text)


def age(since: str | None, now: datetime) -> str:
    """How long ago, in its largest unit: 45s, 12m, 3h, 8d."""
    return span(int((now - moment(since)).total_seconds())) if since else ""


def until(then: str | None, now: datetime) -> str:
    """How long from now, or that it is over."""
    if not then:
        return ""
    seconds = int((moment(then) - now).total_seconds())
    return f"in {span(seconds)}" if seconds > 0 else "over"


def span(seconds: int) -> str:
    seconds = max(0, seconds)
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= 2 * size), UNITS[-1])
    return f"{seconds // size}{unit}"
