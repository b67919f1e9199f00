"""What a measurement says in one sentence: which columns drifted, as a whole, in the answers, and within segments."""

from __future__ import annotations

from collections.abc import Sequence

from refit_monitor.measured_columns import ColumnDrift
from refit_monitor.segments import Segment

TOLD = 8
TOLD_SEGMENTS = 4
TOLD_WITHIN = 3


def sentence(rows: int, inputs: Sequence[ColumnDrift], answer: ColumnDrift | None, segments: Sequence[Segment]) -> str:
    """The verdict in words; `inputs` are those that were compared, `answer` the column of answers that drifted most."""
    many = f"{len(inputs)} input{'s' if len(inputs) > 1 else ''}"
    drifted = sorted((column for column in inputs if column.drifted), key=lambda column: -column.effect)
    within = _within(segments)
    if not drifted and answer is None and not within:
        compared = [segment for segment in segments if not segment.lacking]
        nor = f", nor within {len(compared)} segments of {compared[0].column}" if compared else ""
        largest = max(inputs, key=lambda column: column.effect)
        return f"none of {many} drifted in {rows} rows{nor}; largest effect: {_told(largest)}"
    parts = []
    if drifted:
        parts.append(f"{len(drifted)} of {many} drifted in {rows} rows: {_listed(drifted, TOLD)}")
    if answer is not None:
        parts.append(f"the answers drifted: {_told(answer)}")
    if within and not parts:
        parts.append(f"none of {many} drifted in {rows} rows together")
    return "; ".join([*parts, *within])


def _within(segments: Sequence[Segment]) -> list[str]:
    """Where columns drifted within segments, those of the largest effect first."""
    found = sorted((segment for segment in segments if segment.drifted), key=lambda each: -each.drifted[0].effect)
    told = [
        f"within {segment.name} ({segment.rows} rows) {_listed(segment.drifted, TOLD_WITHIN)} drifted"
        for segment in found[:TOLD_SEGMENTS]
    ]
    more = len(found) - TOLD_SEGMENTS
    return [*told, f"and within {more} more segments"] if more > 0 else told


def _listed(columns: Sequence[ColumnDrift], most: int) -> str:
    more = f" and {len(columns) - most} more" if len(columns) > most else ""
    return ", ".join(_told(column) for column in columns[:most]) + more


def _told(column: ColumnDrift) -> str:
    return f"{column.column} ({column.method} {column.effect:.2f})"
