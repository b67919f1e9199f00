"""Who sits before the page: a token that the API server judges. The page believes none of it.

The token is the person's own, pasted or from an OIDC sign-in, and is kept in the memory of the session only. Of what
stands in it just the end is read, so that nobody fills in a form which can no longer be sent.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

LONGEST_TOKEN = 16384
SOON = timedelta(minutes=5)


class TokenError(ValueError):
    """What was given is no token; the message says what one looks like."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A person as the API server knows them."""

    token: str = field(repr=False)
    name: str
    groups: tuple[str, ...] = ()
    expires: datetime | None = None
    by_oidc: bool = False

    def is_over(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now

    def ends_soon(self, now: datetime) -> bool:
        return self.expires is not None and not self.is_over(now) and self.expires - now <= SOON


def cleaned(text: str) -> str:
    """The token in what was pasted; raises TokenError. A header takes no line break, and nothing but ASCII."""
    token = text.strip().removeprefix("Bearer ").strip()
    if not token:
        raise TokenError("Paste a token first.")
    if len(token) > LONGEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenError("That is no token: a token is one line of letters, digits, dots, dashes and underscores.")
    return token


def expiry(token: str) -> datetime | None:
    """When a JSON Web Token ends, as it says itself; None for another kind of token."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  # header, claims, signature
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
