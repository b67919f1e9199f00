"""Entries of the audit: what is kept of a request before anything is done, and after it came to an end."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EntryKind(StrEnum):
    INTENT = "Intent"
    OUTCOME = "Outcome"
    IMPACT = "Impact"
    """What it brought, where that was measured only after the outcome was told."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row: who asked, on what grounds, who agreed to what, and what came of it. Of a request there is
    at most one of each kind. The fields are what rows are looked for by; all of it stands in `content`."""

    kind: EntryKind
    request_uid: str
    digest: str
    trigger: str = ""
    actor: str = ""
    trace: str = ""
    namespace: str = ""
    model: str = ""
    content: dict[str, Any] = field(default_factory=dict)
