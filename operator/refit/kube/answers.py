"""What the API server answers a person, apart from how it is asked: who only reads words needs no client loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refit.kube.cluster import ClusterError

NOT_FOUND, CONFLICT, FORBIDDEN = 404, 409, 403


@dataclass(frozen=True)
class Answer:
    """What the API server answered, be it a refusal."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return self.code < 300  # noqa: PLR2004  # every success of this API is a 2xx

    def json(self) -> Any:
        """The body as plain data; nothing if it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}

    @property
    def is_status(self) -> bool:
        """Whether the API server itself speaks, and not a service behind it."""
        found = self.json()
        return isinstance(found, dict) and (found.get("kind"), found.get("apiVersion")) == ("Status", "v1")

    @property
    def message(self) -> str:
        """Why not, in the server's words."""
        found = self.json()
        said = found.get("message") if isinstance(found, dict) else None
        return str(said or self.body[:200].decode(errors="replace").strip() or f"HTTP {self.code}")


class RefusalError(ClusterError):
    """The API server said no; its message is what a person reads."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.code = answer.code


@dataclass(frozen=True, kw_only=True)
class Me:
    """Who asks, as the API server sees it."""

    name: str
    groups: tuple[str, ...] = field(default_factory=tuple)
