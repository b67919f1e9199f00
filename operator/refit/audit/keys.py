"""The keys of the audit: a folder, as a Secret is mounted, where each file is a key and its name is the key's id.

The file `current` names the key that signs now; older ones stay, for the rows that they signed. A key proves rows by
an HMAC, and checkpoints by an Ed25519 key that is computed from it: one secret to keep, and one to rotate.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from refit.audit.rows import LedgerError

CURRENT = "current"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
LEAST_BYTES = 32
SIGNING = b"refit audit checkpoint"
"""What the signing key is computed from, beside the secret. A mac is always of 64 hexadecimal digits, so never of this."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """All keys by their ids, and the id of the one that signs now."""

    current: str
    secrets: Mapping[str, bytes]

    def signing(self) -> Ed25519PrivateKey:
        """The key that signs checkpoints now."""
        return signing_key(self.secrets[self.current])


def signing_key(secret: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hmac.digest(secret, SIGNING, "sha256"))


def read(folder: Path) -> Keys:
    """The keys in a folder; raises LedgerError that says what to do."""
    try:
        files = {path.name: path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
        texts = {name: path.read_bytes().strip() for name, path in files.items()}
    except OSError as error:
        raise LedgerError(
            f"the audit has no key: REFIT_AUDIT_KEYS: {folder}: {error.strerror}; see docs/audit.md"
        ) from error
    named = texts.pop(CURRENT, b"").decode(errors="replace")
    if not texts:
        raise LedgerError(f"the audit has no key: {folder} (REFIT_AUDIT_KEYS) is empty; see docs/audit.md")
    for name, secret in texts.items():
        if not NAME.fullmatch(name):
            raise LedgerError(f"{name!r} in {folder} (REFIT_AUDIT_KEYS) is no id of a key: letters, digits, . _ -")
        if len(secret) < LEAST_BYTES:
            raise LedgerError(f"key {name} in {folder} (REFIT_AUDIT_KEYS) has fewer than {LEAST_BYTES} bytes")
    if not named and len(texts) > 1:
        raise LedgerError(f"{folder} (REFIT_AUDIT_KEYS) holds several keys, and no file `current` that names one")
    current = named or next(iter(texts))
    if current not in texts:
        raise LedgerError(f"`current` in {folder} (REFIT_AUDIT_KEYS) names {current!r}, and there is no such key")
    return Keys(current=current, secrets=texts)
