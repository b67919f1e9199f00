"""The chain: the hash of a row covers the row before it, and a mac proves that whoever made the hash held the key.

Anybody can compute the hashes again; only who holds the key can make a row that fits. The algorithms are fixed here,
and no row names them: what a row could choose, somebody could choose a weaker one of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

GENESIS = "0" * 64
"""What stands for the hash of the row before the first."""
_BLOCK = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


def link(before: str, record: bytes) -> str:
    """The hash of a row: SHA-256 over the hash before it, a tab, and its record."""
    found = hashlib.sha256(before.encode() + b"\t")
    found.update(record)
    return found.hexdigest()


class Mac:
    """HMAC-SHA256 (RFC 2104) under one key, with the two halves that depend on the key alone computed once.

    The standard library's computes them for every message, which is most of the cost of a message of 64 bytes.
    """

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER))
        self._outer = hashlib.sha256(block.translate(_OUTER))

    def of(self, text: str) -> str:
        """The mac of a hash."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text.encode())
        outer.update(inner.digest())
        return outer.hexdigest()


def macs(secrets: Mapping[str, bytes]) -> dict[bytes, Mac]:
    """By the id of a key, as it stands in a line, what makes its macs."""
    return {name.encode(): Mac(secret) for name, secret in secrets.items()}
