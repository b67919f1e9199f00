"""Verification: rows against their hashes, macs and the checkpoints that somebody kept; the first bad row is named.

It needs no database and no cluster: rows come in, in order, and what is found goes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from refit.audit.chain import GENESIS, Mac, link, macs
from refit.audit.checkpoints import Checkpoint, problem_of
from refit.audit.rows import Stored


@dataclass(frozen=True, kw_only=True)
class Problem:
    """`sequence` is the first bad row; where hashes alone can not tell which it is, the first that it may be, and
    `until` the last."""

    sequence: int
    message: str
    until: int = 0


@dataclass(frozen=True, kw_only=True)
class Start:
    """What stands before the first row: nothing, or rows that were archived."""

    sequence: int = 0
    head: str = GENESIS


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found. `unchained` rows were written before the chain; `confirmed` is the last row that a checkpoint
    covers; `proven` says whether macs were checked."""

    rows: int
    first: int
    last: int
    head: str
    unchained: int
    chained_from: int
    confirmed: int
    proven: bool
    problem: Problem | None

    @property
    def ok(self) -> bool:
        return self.problem is None

    def wire(self) -> dict[str, Any]:
        """As JSON data."""
        bad = self.problem
        return {
            "ok": self.ok,
            "rows": self.rows,
            "first": self.first,
            "last": self.last,
            "head": self.head,
            "unchained": self.unchained,
            "confirmedTo": self.confirmed,
            "macsChecked": self.proven,
            "problem": {"sequence": bad.sequence, "until": bad.until, "message": bad.message} if bad else None,
        }


@dataclass
class _State:
    """Where the walk along the rows stands."""

    sequence: int
    head: str
    rows: int = 0
    unchained: int = 0
    chained: int = 0
    confirmed: int = 0
    problem: Problem | None = None


def verify(
    rows: Iterable[Stored],
    *,
    secrets: Mapping[str, bytes] | None = None,
    checkpoints: Iterable[Checkpoint] = (),
    start: Start | None = None,
) -> Report:
    """Every row from `start` on. Without `secrets` no mac is checked, and only checkpoints say who made the hashes."""
    begun = start or Start()
    state = _State(sequence=begun.sequence, head=begun.head, confirmed=0)
    known = list(checkpoints)
    for one in known:
        wrong = problem_of(one, secrets)
        if wrong:
            message = f"the checkpoint of row {one.sequence} proves nothing: {wrong}"
            state.problem = Problem(sequence=one.sequence, message=message)
            return _report(begun, state, secrets)
    _walk(rows, state, secrets, _anchors(known, begun, state), min((one.chained_from for one in known), default=0))
    if state.problem is None:
        _end(known, state)
    return _report(begun, state, secrets)


def _anchors(known: Iterable[Checkpoint], begun: Start, state: _State) -> dict[int, str]:
    """By the row, the hash that it must have."""
    found: dict[int, str] = {}
    for one in sorted(known, key=lambda checkpoint: checkpoint.sequence):
        if one.sequence == begun.sequence and one.head != begun.head:
            state.problem = Problem(
                sequence=one.sequence, message="the archived rows end otherwise than a checkpoint says"
            )
        if found.setdefault(one.sequence, one.head) != one.head:
            state.problem = Problem(sequence=one.sequence, message=f"two checkpoints of row {one.sequence} differ")
    return found


def _walk(
    rows: Iterable[Stored],
    state: _State,
    secrets: Mapping[str, bytes] | None,
    anchors: Mapping[int, str],
    chained_from: int,
) -> None:
    """Goes on until the end or the first problem. What a good row takes stands here; all else is said elsewhere."""
    if state.problem is not None:
        return
    known = macs(secrets) if secrets is not None else None
    sequence, head, unchained, chained = state.sequence, state.head, 0, 0
    begun = since = sequence
    for row in rows:
        number, record, kept, mac, key_id = row
        after = link(head, record)
        if kept == after and number == sequence + 1 and (known is None or _made(known, key_id, after, mac)):
            chained = chained or number
        else:
            wrong = _wrong(row, sequence + 1, after, known, first=chained or chained_from)
            if wrong and not chained and unchained and kept:
                wrong += f"; or one of the {unchained} rows before it, which have no hash, is another"
            if wrong:
                state.problem = Problem(sequence=sequence + 1, message=wrong)
                break
            unchained += 1
        if number in anchors:
            if anchors[number] != after:
                message = "the rows are others than those a checkpoint has seen, and hashed anew"
                state.problem = Problem(sequence=since + 1, message=message, until=number)
                break
            since = state.confirmed = number
        sequence, head = number, after
    state.sequence, state.head, state.rows = sequence, head, sequence - begun
    state.unchained, state.chained = unchained, chained


def _made(known: Mapping[str, Mac], key_id: str, found: str, mac: str) -> bool:
    key = known.get(key_id)
    return key is not None and key.of(found) == mac


def _wrong(row: Stored, expected: int, after: str, known: Mapping[str, Mac] | None, *, first: int) -> str:
    """What is wrong with a row that does not fit; nothing if it was written before the chain.

    `first` is the first row that is known to have had a hash, or 0.
    """
    if row.sequence > expected:
        return "it is missing"
    if row.sequence < expected:
        return "another row stands in its place"
    if not row.hash and not row.mac and not row.key_id:
        return "it has lost its hash" if first and expected >= first else ""
    if row.hash != after:
        return "it is not what was hashed"
    if known is not None and row.key_id not in known:
        return f"its key {row.key_id[:63]!r} is not known"
    return "its mac was not made with the key"


def _end(known: Iterable[Checkpoint], state: _State) -> None:
    """Rows that a checkpoint saw, and that are not there, at the end or before what there is."""
    newest = max(known, key=lambda one: one.sequence, default=None)
    if newest is None:
        return
    if newest.sequence > state.sequence:
        message = f"it is missing, and so are all up to row {newest.sequence}, which a checkpoint has seen"
        state.problem = Problem(sequence=state.sequence + 1, message=message, until=newest.sequence)


def _report(begun: Start, state: _State, secrets: Mapping[str, bytes] | None) -> Report:
    return Report(
        rows=state.rows,
        first=begun.sequence + 1,
        last=state.sequence,
        head=state.head,
        unchained=state.unchained,
        chained_from=state.chained or state.sequence + 1,
        confirmed=state.confirmed,
        proven=secrets is not None,
        problem=state.problem,
    )


def told(report: Report) -> str:
    """The report in words, for a person."""
    bad = report.problem
    if bad is not None:
        where = f"row {bad.sequence}" if bad.until <= bad.sequence else f"row {bad.sequence}, or one up to {bad.until}"
        return f"bad: {where}: {bad.message}"
    parts = [f"{report.rows} rows, {report.first} to {report.last}: the chain holds" if report.rows else "no rows"]
    if report.unchained:
        parts.append(
            f"the first {report.unchained} were written before the chain, and nothing proves what they were then"
        )
    if report.confirmed:
        parts.append(f"a checkpoint confirms all up to row {report.confirmed}")
    if not report.proven:
        parts.append("no key was given, so macs were not checked")
    elif report.rows > report.unchained:
        parts.append("every mac was made with the key")
    return "; ".join(parts)
