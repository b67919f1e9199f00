"""Checkpoints: how far the chain went and what its last hash was, signed, for those who keep them elsewhere.

Whoever holds one can tell later whether the rows up to it are still those that were there then. It holds no data.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from refit.api import meta
from refit.audit.keys import Keys, signing_key
from refit.audit.rows import LedgerError

DATA = "checkpoint.json"
"""The key of the ConfigMap, and the file in a bundle."""
_NAMES = {
    "sequence": int,
    "head": str,
    "rows": int,
    "chainedFrom": int,
    "time": str,
    "keyId": str,
    "publicKey": str,
    "signature": str,
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """`sequence` and `head` are of the last row, `rows` is how many stand, `chained_from` is the first with a mac.

    Where none has one yet, `chained_from` is the number that comes next.
    """

    sequence: int
    head: str
    rows: int
    chained_from: int
    time: str
    key_id: str
    public_key: str
    signature: str = ""

    def wire(self) -> dict[str, Any]:
        """As JSON data."""
        return dict(zip(_NAMES, asdict(self).values(), strict=True))

    def text(self) -> str:
        return meta.canonical(self.wire()).decode()


def signed(keys: Keys, *, sequence: int, head: str, rows: int, chained_from: int, time: str) -> Checkpoint:
    """A checkpoint under the current key."""
    private = keys.signing()
    bare = Checkpoint(
        sequence=sequence,
        head=head,
        rows=rows,
        chained_from=chained_from,
        time=time,
        key_id=keys.current,
        public_key=_encoded(private.public_key()),
    )
    signature = base64.b64encode(private.sign(_message(bare))).decode()
    return Checkpoint(**{**asdict(bare), "signature": signature})


def problem_of(checkpoint: Checkpoint, secrets: Mapping[str, bytes] | None = None) -> str:
    """Why it proves nothing; empty if it is as it was signed, and by one of these keys if they are known."""
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(checkpoint.public_key, validate=True))
        public.verify(base64.b64decode(checkpoint.signature, validate=True), _message(checkpoint))
    except (InvalidSignature, ValueError):
        return "its signature does not fit it"
    if secrets is None:
        return ""
    secret = secrets.get(checkpoint.key_id)
    if secret is None:
        return f"its key {checkpoint.key_id!r} is not known here"
    own = _encoded(signing_key(secret).public_key())
    return "" if own == checkpoint.public_key else f"it was not signed by the key {checkpoint.key_id!r}"


def parse(data: object) -> Checkpoint:
    """A checkpoint from JSON data; raises LedgerError."""
    if not isinstance(data, dict) or not all(type(data.get(name)) is kind for name, kind in _NAMES.items()):
        raise LedgerError(f"this is no checkpoint of the audit: it needs {', '.join(_NAMES)}")
    values = [data[name] for name in _NAMES]
    return Checkpoint(**dict(zip(Checkpoint.__dataclass_fields__, values, strict=True)))


def found_in(text: str) -> list[Checkpoint]:
    """All checkpoints in a text: one as JSON, the ConfigMap as JSON, or the operator's log; raises LedgerError."""
    found = [parse(data) for document in _documents(text) for data in _within(document)]
    if not found:
        raise LedgerError("no checkpoint of the audit is in it")
    return found


def _documents(text: str) -> Iterator[Any]:
    try:
        yield json.loads(text)
    except ValueError:
        for one in text.splitlines():
            try:
                yield json.loads(one)
            except ValueError:
                continue


def _within(document: Any) -> Iterator[object]:
    if not isinstance(document, dict):
        return
    if "signature" in document:
        yield document
    elif isinstance(document.get("checkpoint"), dict):  # a line of the log
        yield document["checkpoint"]
    elif isinstance(document.get("data"), dict) and DATA in document["data"]:  # the ConfigMap
        try:
            yield json.loads(document["data"][DATA])
        except ValueError:
            raise LedgerError(f"{DATA} in that ConfigMap is no JSON") from None


def _message(checkpoint: Checkpoint) -> bytes:
    return meta.canonical({name: value for name, value in checkpoint.wire().items() if name != "signature"})


def _encoded(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes_raw()).decode()
