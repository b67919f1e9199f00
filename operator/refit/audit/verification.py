"""Verification: rows against their hashes, macs and the checkpoints that somebody kept; the first bad row is named.

It needs no database and no cluster: rows come in, in order, and what is found goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from refit.audit.chain import GENESIS, Mac, link, macs
from refit.audit.checkpoints import Checkpoint, problem_of
from refit.audit.rows import END, TABS, Line, Stored, parsed


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


@dataclass(frozen=True, kw_only=True)
class Against:
    """What rows are held against: the keys, if they are known, and by the row the hash that it must have."""

    secrets: Mapping[str, bytes] | None
    anchors: Mapping[int, str]
    chained_from: int


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a walk along the rows stands."""

    sequence: int
    head: str
    rows: int = 0
    unchained: int = 0
    chained: int = 0
    confirmed: int = 0
    problem: Problem | None = None


Walk = Callable[[Iterable[Line], State, Against], State]
"""From a state along the rows behind it, until the end or the first problem."""


def verify(
    rows: Iterable[Line],
    *,
    secrets: Mapping[str, bytes] | None = None,
    checkpoints: Iterable[Checkpoint] = (),
    start: Start | None = None,
    walk: Walk | None = None,
) -> Report:
    """Every row from `start` on. Without `secrets` no mac is checked, and only checkpoints say who made the hashes."""
    begun, known = start or Start(), list(checkpoints)
    state = State(sequence=begun.sequence, head=begun.head, problem=_unusable(known, begun, secrets))
    if state.problem is None:
        anchors = {one.sequence: one.head for one in known}
        chained_from = min((one.chained_from for one in known), default=0)
        against = Against(secrets=secrets, anchors=anchors, chained_from=chained_from)
        state = (walk or one_by_one)(rows, state, against)
    if state.problem is None:
        state = replace(state, problem=_missing(known, state))
    return _report(begun, state, secrets)


def _unusable(known: Sequence[Checkpoint], begun: Start, secrets: Mapping[str, bytes] | None) -> Problem | None:
    """Why the checkpoints themselves do not hold."""
    for one in known:
        wrong = problem_of(one, secrets)
        if wrong:
            message = f"the checkpoint of row {one.sequence} proves nothing: {wrong}"
            return Problem(sequence=one.sequence, message=message)
    heads: dict[int, str] = {}
    for one in sorted(known, key=lambda checkpoint: checkpoint.sequence):
        if one.sequence == begun.sequence and one.head != begun.head:
            return Problem(sequence=one.sequence, message="the archived rows end otherwise than a checkpoint says")
        if heads.setdefault(one.sequence, one.head) != one.head:
            return Problem(sequence=one.sequence, message=f"two checkpoints of row {one.sequence} differ")
    return None


def one_by_one(rows: Iterable[Line], state: State, against: Against) -> State:
    """What a good row takes stands here; all else is said elsewhere."""
    known = macs(against.secrets) if against.secrets is not None else None
    anchors, problem = against.anchors, None
    sequence, head, unchained, chained, confirmed = state.sequence, state.head, 0, 0, 0
    for line in rows:
        number = sequence + 1
        after = _fits(line, number, head, known)
        if after:
            chained = chained or number
        else:
            row = parsed(line)
            after = link(head, row.record)
            wrong = _wrong(row, number, after, known, first=chained or against.chained_from)
            if wrong and not chained and unchained and row.hash:
                wrong += f"; or one of the {unchained} rows before it, which have no hash, is another"
            if wrong:
                problem = Problem(sequence=number, message=wrong)
                break
            if row.hash:
                chained = chained or number
            else:
                unchained += 1
        if number in anchors:
            if anchors[number] != after:
                message = "the rows are others than those a checkpoint has seen, and hashed anew"
                problem = Problem(sequence=(confirmed or state.sequence) + 1, message=message, until=number)
                break
            confirmed = number
        sequence, head = number, after
    return State(
        sequence=sequence,
        head=head,
        rows=sequence - state.sequence,
        unchained=unchained,
        chained=chained,
        confirmed=confirmed,
        problem=problem,
    )


def _fits(line: Line, number: int, head: str, known: Mapping[bytes, Mac] | None) -> str:
    """The hash of a row as the ledger writes it; empty for any other, of which `_wrong` knows more."""
    try:
        record, kept, mac, key_id = line.rsplit(b"\t", 3)  # type: ignore[union-attr]  # there is none: as below
    except (AttributeError, ValueError):
        return ""
    after = link(head, record)
    if kept != after.encode() or not record.startswith(b"%d\t" % number):
        return ""
    if record.count(b"\t") != TABS or END in record:
        return ""
    if known is None:
        return after if mac.isascii() and key_id.isascii() else ""
    key = known.get(key_id)
    return after if key is not None and key.of(after).encode() == mac else ""


def _wrong(row: Stored, expected: int, after: str, known: Mapping[bytes, Mac] | None, *, first: int) -> str:
    """What is wrong with a row; nothing if it is as it should be, or from before the chain.

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
    if known is None:
        return ""
    key = known.get(row.key_id.encode())
    if key is None:
        return f"its key {row.key_id[:63]!r} is not known"
    return "" if key.of(after) == row.mac else "its mac was not made with the key"


def _missing(known: Iterable[Checkpoint], state: State) -> Problem | None:
    """Rows that a checkpoint saw, and that are not there, at the end or before what there is."""
    newest = max((one.sequence for one in known), default=0)
    if newest <= state.sequence:
        return None
    message = f"it is missing, and so are all up to row {newest}, which a checkpoint has seen"
    return Problem(sequence=state.sequence + 1, message=message, until=newest)


def _report(begun: Start, state: State, secrets: Mapping[str, bytes] | None) -> Report:
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
