"""Signatures over the raw body: Standard Webhooks (also MLflow's, under names of its own) and GitHub's."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from refit.intake.refused import RefusedError, unauthorized

TOLERANCE_SECONDS = 300
MOST_SIGNATURES = 16

STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
MLFLOW = ("X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature")
_ID = re.compile(r"[A-Za-z0-9_:-]{1,128}")
"""No dot: with one in it the same bytes could be read as another id and time."""
_SECONDS = re.compile(r"[0-9]{1,15}")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Signed:
    """A verified request: its id, and which of the secrets it was signed with, counted from 1."""

    id: str
    secret: int


def signatures(header: str) -> tuple[bytes, ...]:
    """The `v1` signatures of a header of several, separated by spaces; what is none is left out."""
    found = []
    for part in header.split(" ")[:MOST_SIGNATURES]:
        version, _, text = part.partition(",")
        if version != "v1":
            continue
        try:
            found.append(base64.b64decode(text.encode("ascii"), validate=True))
        except (UnicodeEncodeError, binascii.Error):
            continue
    return tuple(found)


def sign(secret: bytes, number: str, timestamp: str, body: bytes) -> bytes:
    """HMAC-SHA256 over id.timestamp.body."""
    return hmac.digest(secret, b".".join((_bytes(number), _bytes(timestamp), body)), hashlib.sha256)


def verify(headers: Mapping[str, str], body: bytes, secrets: tuple[bytes, ...], now: float) -> Signed:
    """Raises RefusedError: the signature first, and only to one who has a secret what else is wrong."""
    names = STANDARD if STANDARD[2] in headers else MLFLOW
    number, timestamp, header = (headers.get(name, "") for name in names)
    matching = _matching([sign(secret, number, timestamp, body) for secret in secrets], signatures(header))
    if not matching:
        raise unauthorized()
    if _ID.fullmatch(number) is None:
        raise RefusedError(400, f"{names[0]}: must be 1 to 128 letters, digits, - _ or :")
    if _SECONDS.fullmatch(timestamp) is None:
        raise RefusedError(400, f"{names[1]}: must be whole seconds since 1970")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise RefusedError(401, f"{names[1]}: timestamp outside tolerance of {TOLERANCE_SECONDS} seconds")
    return Signed(number, matching)


def verify_github(headers: Mapping[str, str], body: bytes, secrets: tuple[bytes, ...]) -> Signed:
    """GitHub signs the body only, neither id nor time."""
    scheme, _, text = headers.get("X-Hub-Signature-256", "").partition("=")
    given = (bytes.fromhex(text),) if scheme == "sha256" and _HEX.fullmatch(text) else ()
    matching = _matching([hmac.digest(secret, body, hashlib.sha256) for secret in secrets], given)
    if not matching:
        raise unauthorized()
    number = headers.get("X-GitHub-Delivery", "")
    if _ID.fullmatch(number) is None:
        raise RefusedError(400, "X-GitHub-Delivery: must be 1 to 128 letters, digits, - _ or :")
    return Signed(number, matching)


def _matching(expected: list[bytes], given: tuple[bytes, ...]) -> int:
    """Which of the expected ones is given, from 1; 0 for none. Every pair is compared, in constant time."""
    found = 0
    for index, one in enumerate(expected, 1):
        for other in given:
            if hmac.compare_digest(one, other):
                found = found or index
    return found


def _bytes(header: str) -> bytes:
    """A header's bytes as they came: aiohttp reads what is not UTF-8 as surrogates."""
    return header.encode("utf-8", "surrogateescape")
