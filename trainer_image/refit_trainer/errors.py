"""The two ways a training ends without a model: a person must change something, or the world must come back."""

from __future__ import annotations

from refit.api.outcome import Shadow


class RefusedError(Exception):
    """The data or the spec can not be trained on; trying again without a change would end the same way."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class ShadowFailedError(RefusedError):
    """The challenger has no answer to requests that the champion answered."""

    def __init__(self, reason: str, message: str, *, shadow: Shadow, rows: int) -> None:
        super().__init__(reason, message)
        self.shadow = shadow
        self.rows = rows


class UnreachableError(Exception):
    """A source or MLflow did not answer after retries; another attempt may succeed."""
