"""Echoes: the watch tells of our own status writes too, and those are no news.

A status is written only onto the very version that the pass had read, so the version it makes is what that pass
knew and what it decided, nothing else. Whatever another look would have to find comes with an event of its own,
or at the date that the pass set. Forgetting an echo costs a pass; a listing is always looked at.
"""

from __future__ import annotations

from refit.shell.requests import Key


class Echoes:
    """The version of each ModelDeployment that the newest status write made."""

    def __init__(self) -> None:
        self._written: dict[Key, str] = {}

    def expect(self, key: Key, version: str) -> None:
        """A status write made this version."""
        self._written[key] = version

    def is_echo(self, key: Key, version: str | None) -> bool:
        """True for the version that the newest status write made."""
        return version is not None and self._written.get(key) == version

    def forget(self, key: Key) -> None:
        """A ModelDeployment that is no more."""
        self._written.pop(key, None)
