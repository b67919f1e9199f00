"""Moments on the wire: RFC 3339 in UTC with whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(moment: datetime) -> str:
    """The moment as the API holds it, such as 2026-11-21T13:00:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """The moment that a time string of the API means; raises ValueError if it is none."""
    return datetime.fromisoformat(text)
