"""What somebody who owns the database can do to rows that a checkpoint has seen."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audited import as_stored, filled, rows_in
from refit.audit.bundles import Stretch
from refit.audit.chain import GENESIS, link
from refit.audit.checkpoints import Checkpoint
from refit.audit.rows import RECORDED, Row

ROWS, SEEN = 40, 30
"""Rows that stand, and the one of the checkpoint that somebody kept."""
EDITABLE = [name for name in RECORDED if name != "sequence"]


@dataclass(frozen=True)
class World:
    """An audit, and the checkpoints that were made of it."""

    rows: tuple[Row, ...]
    kept: Checkpoint


def world_in(folder: Path) -> World:
    kept = filled(folder / "audit.db", SEEN)
    filled(folder / "audit.db", ROWS)
    return World(tuple(rows_in(folder / "audit.db")), kept)


def stretch_of(file: Path, lines: Sequence[bytes]) -> Stretch:
    """These lines in a file, with something before them and behind them, as in a tar."""
    rows = b"".join(line + b"\n" for line in lines)
    file.write_bytes(b"checkpoint.json\0" + rows + b"\0" * 64)
    return Stretch(file, 16, 16 + len(rows))


@dataclass(frozen=True)
class Listed:
    """A part that is at hand."""

    kept: tuple[bytes, ...]
    first: bool

    def lines(self) -> Iterator[bytes]:
        return iter(self.kept)


def cut(lines: Sequence[bytes], *seams: int) -> list[Listed]:
    """Parts, each of which ends with the row that the next one begins with."""
    edges = zip((0, *seams), (*(seam + 1 for seam in seams), len(lines)), strict=True)
    return [Listed(tuple(lines[begin:end]), begin == 0) for begin, end in edges]


Rows = list[Row]


def edit(rows: Rows, dice: random.Random) -> int:
    """One bit of one field."""
    at = dice.randrange(SEEN)
    name = dice.choice(EDITABLE)
    value = str(getattr(rows[at], name)) or "x"
    place = dice.randrange(len(value))
    changed = value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
    rows[at] = replace(rows[at], **{name: changed})  # type: ignore[arg-type]  # texts, all of them
    return at + 1


def edit_seal(rows: Rows, dice: random.Random) -> int:
    at = dice.randrange(SEEN)
    name = dice.choice(("hash", "mac", "key_id"))
    value = str(getattr(rows[at], name))
    rows[at] = replace(rows[at], **{name: value[:-1] + ("0" if value[-1] != "0" else "1")})  # type: ignore[arg-type]  # as above
    return at + 1


def take_seal(rows: Rows, dice: random.Random) -> int:
    """As if the row was older than the chain."""
    at = dice.randrange(SEEN)
    rows[at] = replace(rows[at], hash="", mac="", key_id="")
    return at + 1


def drop(rows: Rows, dice: random.Random) -> int:
    at = dice.randrange(SEEN)
    del rows[at]
    return at + 1


def drop_and_renumber(rows: Rows, dice: random.Random) -> int:
    at = dice.randrange(SEEN)
    rows[at:] = [replace(row, sequence=row.sequence - 1) for row in rows[at + 1 :]]
    return at + 1


def swap(rows: Rows, dice: random.Random) -> int:
    """Two rows change places, numbers and all."""
    one, other = sorted(dice.sample(range(SEEN), 2))
    first, second = rows[one], rows[other]
    rows[one] = replace(second, sequence=first.sequence)
    rows[other] = replace(first, sequence=second.sequence)
    return one + 1


def duplicate(rows: Rows, dice: random.Random) -> int:
    """A row comes a second time, under the next number."""
    at = dice.randrange(SEEN)
    rows.insert(at + 1, replace(rows[at], sequence=rows[at].sequence + 1))
    rows[at + 2 :] = [replace(row, sequence=row.sequence + 1) for row in rows[at + 2 :]]
    return at + 2


def truncate(rows: Rows, dice: random.Random) -> int:
    left = dice.randrange(SEEN)
    del rows[left:]
    return left + 1


PLAIN: tuple[Callable[[Rows, random.Random], int], ...] = (
    edit, edit_seal, take_seal, drop, drop_and_renumber, swap, duplicate, truncate,
)  # fmt: skip
"""Each does something to a row that the checkpoint has seen, and says which row is the first bad one."""


def hashed_anew(rows: Sequence[Row], first: int) -> Rows:
    """As somebody without the key leaves it: every hash fits, from that row on."""
    head, found = GENESIS, []
    for row, one in zip(rows, as_stored(rows), strict=True):
        head = link(head, one.record) if row.sequence >= first else row.hash
        found.append(replace(row, hash=head))
    return found
