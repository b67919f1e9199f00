"""A request that gets an answer other than 2xx."""

from __future__ import annotations

from collections.abc import Mapping


class RefusedError(Exception):
    """Its status and one line that says what to do; 401 says nothing that helps to guess."""

    def __init__(self, status: int, problem: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem)
        self.status, self.problem, self.headers = status, problem, dict(headers or {})


def unauthorized() -> RefusedError:
    """The same for every cause."""
    return RefusedError(401, "unauthorized")
