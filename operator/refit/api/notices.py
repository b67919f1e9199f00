"""Notices: what people are told beside the cluster, in mail and chat. A notice names things; it holds no secret and no
row of data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from refit.api.base import Choice


class NoticeKind(Choice):
    """What a notice is about; a route may name those it wants."""

    APPROVAL_NEEDED = "ApprovalNeeded"
    EXPIRES_SOON = "ExpiresSoon"
    REQUEST_ENDED = "RequestEnded"
    ESCALATED = "Escalated"
    STALLED = "Stalled"
    UNGUARDED = "Unguarded"
    DRIFTED = "Drifted"
    REPORT = "Report"


class Severity(Choice):
    """The bands of a diagnosis, in rising order."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One thing that somebody should know.

    `key` is the same for the same thing, however often it is noticed; `topic` is the same for things of which one is
    enough for a while. `commands` are what a person would type, `attachments` the URIs of stored reports.
    """

    key: str
    topic: str
    kind: NoticeKind
    severity: Severity
    namespace: str
    model: str
    at: str
    what: str
    why: str = ""
    impact: str = ""
    request: str = ""
    contact: str = ""
    trace: str = ""
    commands: tuple[str, ...] = ()
    attachments: tuple[str, ...] = ()

    def content(self) -> dict[str, Any]:
        """The notice as plain JSON data."""
        return asdict(self)

    @classmethod
    def of(cls, content: dict[str, Any]) -> Notice:
        """The notice that such data holds."""
        return cls(
            **content
            | {
                "kind": NoticeKind(content["kind"]),
                "severity": Severity(content["severity"]),
                "commands": tuple(content["commands"]),
                "attachments": tuple(content["attachments"]),
            }
        )
