"""Rows of the audit, and the one line of bytes that each is: what is hashed, exported and verified.

A row is its fields with a tab between them. No field may hold a tab or an end of line, so a line is one row and can be
read in one way only; content is canonical JSON, which escapes both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from refit.api.entries import EntryKind

SEPARATOR = "\t"
RECORDED = (
    "sequence",
    "time",
    "kind",
    "request_uid",
    "digest",
    "trigger_type",
    "actor",
    "trace_id",
    "namespace",
    "model",
    "content",
)
"""The fields that are hashed, in this order."""
SEALED = ("hash", "mac", "key_id")
"""The fields that prove the others."""
COLUMNS = (*RECORDED, *SEALED)
TABS = len(RECORDED) - 1
END = ord("\n")
Line = bytes | None
"""A row as it is kept, without its end. Anything may be in it, for a file or a table may have been changed."""


class LedgerError(Exception):
    """The audit cannot be read or written; the message is one line."""


class EntryError(LedgerError):
    """The audit can be written, and does not take this."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row as it stands. One that was written before the chain has no hash, no mac and no key."""

    sequence: int
    time: str
    kind: EntryKind
    request_uid: str
    digest: str
    trigger_type: str = ""
    actor: str = ""
    trace_id: str = ""
    namespace: str = ""
    model: str = ""
    content: str
    hash: str = ""
    mac: str = ""
    key_id: str = ""


class Stored(NamedTuple):
    """A line that was read. What can not be read as a row has an empty record, which no hash is of."""

    sequence: int
    record: bytes
    hash: str
    mac: str
    key_id: str


BAD = Stored(0, b"", "", "", "changed")
"""What can not be read as a row: no hash is of it."""


def parsed(line: Line) -> Stored:
    """The row of a line."""
    try:
        record, found, mac, key_id = line.rsplit(b"\t", 3)  # type: ignore[union-attr]  # there is none: as below
        number = int(record[: record.index(b"\t")])
        if record.count(b"\t") != TABS or END in record:
            return BAD
        return Stored(number, record, found.decode(), mac.decode(), key_id.decode())
    except (AttributeError, ValueError):
        return BAD


def line(row: Stored) -> bytes:
    """The line of a row, with its end."""
    return b"\t".join((row.record, row.hash.encode(), row.mac.encode(), row.key_id.encode())) + b"\n"


def sealable(row: Row) -> bytes:
    """The record of a row that is about to be written; raises EntryError if a field holds what no line can."""
    values = tuple(str(getattr(row, name)) for name in RECORDED)
    for name, value in zip(RECORDED, values, strict=True):
        if SEPARATOR in value or "\n" in value:
            raise EntryError(f"{name} of a row of the audit may hold no tab and no end of line: {value[:80]!r}")
    return SEPARATOR.join(values).encode()


def row_of(values: tuple[object, ...]) -> Row:
    """The row of these columns; raises LedgerError if they are none that Refit writes."""
    try:
        found = dict(zip(COLUMNS, values, strict=True))
        return Row(**{**found, "kind": EntryKind(str(found["kind"]))})  # type: ignore[arg-type]  # by their names
    except (TypeError, ValueError) as error:
        raise LedgerError(f"row {values[0]} of the audit is none of ours: {error}") from error


def row_of_line(text: bytes) -> Row:
    """The row of a line, without its end; raises LedgerError."""
    number, *others = text.decode(errors="replace").split(SEPARATOR)
    if len(others) != len(COLUMNS) - 1 or not number.isdigit():
        raise LedgerError(f"this is no row of the audit: {text[:80]!r}")
    return row_of((int(number), *others))
