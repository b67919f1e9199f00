"""A window by the values of one column: the twenty most frequent, and the rest together.

Of each group it is told how good the model is to it, and whether it has drifted. A segment differs from the whole by
nature, so it is compared with the same segment of the training data and with nothing else. Whether a column drifted
depends on all columns of the measurement, so that is decided elsewhere (`judged`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from refit.api.measured import SegmentDrift, Verdict
from refit.api.monitoring import Monitoring
from refit.api.profile import SEGMENT_ROWS, SEGMENTS, ColumnProfile, Profile, SegmentProfile
from refit_monitor.columns import plain, see
from refit_monitor.drift import Rules, column_drift
from refit_monitor.errors import BadInputError
from refit_monitor.groups import Group, Groups, grouped
from refit_monitor.measured_columns import ColumnDrift, decimal
from refit_monitor.model_quality import QualityMeasured, measured
from refit_monitor.windows import Window

OTHER = "other"
MISSING = "missing"
TOLD_COLUMNS = 8
"""Of each segment, in the record."""
TOLD_SEGMENTS = 8
"""In the short answer."""
NAME_LENGTH = 128


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One group: how large its share is and was in training, how good the model is to it, and its inputs beside those of
    the same segment of training. `lacking` says why nothing is said of its drift."""

    column: str
    value: str
    rows: int
    share: float
    usual_share: float | None = None
    quality: QualityMeasured | None = None
    columns: tuple[ColumnDrift, ...] = ()
    lacking: str = ""

    @property
    def name(self) -> str:
        return f"{self.column}={self.value}"[:NAME_LENGTH]

    @property
    def drifted(self) -> list[ColumnDrift]:
        """The inputs that drifted, the largest effect first."""
        return sorted((column for column in self.columns if column.drifted), key=lambda column: -column.effect)

    @property
    def verdict(self) -> Verdict:
        if self.lacking:
            return Verdict.INCONCLUSIVE
        return Verdict.DRIFT if self.drifted else Verdict.NO_DRIFT

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "column": self.column,
            "value": self.value,
            "rows": self.rows,
            "share": self.share,
            "drift": self._drift(),
        }
        if self.usual_share is not None:
            found["referenceShare"] = self.usual_share
        return found | ({"quality": self.quality.record()} if self.quality is not None else {})

    def _drift(self) -> dict[str, Any]:
        told = sorted(self.columns, key=lambda column: (not column.drifted, -column.effect))[:TOLD_COLUMNS]
        return {
            "verdict": self.verdict.value,
            "message": self.lacking,
            "measured": len(self.columns),
            "drifted": len(self.drifted),
            "columns": [
                {
                    "column": column.column,
                    "method": column.method,
                    "effect": column.effect,
                    "threshold": column.threshold,
                    "pAdjusted": column.p_adjusted,
                    "drifted": column.drifted,
                }
                for column in told
            ],
        }


def segments(profile: Profile, window: Window, spec: Monitoring, rules: Rules, seed: str) -> tuple[Segment, ...]:
    """The segments, the largest first; none where no column is named or the window lacks it."""
    column = spec.segment_column
    if column is None:
        return ()
    held = next((found for found in profile.columns if found.name == column), None)
    if held is None:
        known = ", ".join(found.name for found in profile.columns[:20])
        raise BadInputError(f"spec.monitoring.segmentColumn: the model has no input {column!r}; it has {known}")
    if column not in window.inputs or not window.rows:
        return ()
    groups = grouped(window.inputs[column])
    own, rest = groups.found[:SEGMENTS], groups.found[SEGMENTS:]
    references = _references(profile, column)
    lacking = {group.value: _lacking(group, references, spec.window.min_rows) for group in own}
    compared = [(group, references[group.value]) for group in own if not lacking[group.value]]
    columns = _compared(profile, window, groups, compared, rules)
    quality = _Quality(profile, window, spec, seed)
    found = [
        Segment(
            column=column,
            value=group.value or MISSING,
            rows=group.rows,
            share=group.rows / window.rows,
            usual_share=_usual(held, group.value) if group.value else None,
            quality=quality.of(group.value or MISSING, groups, group),
            columns=columns.get(group.value, ()),
            lacking=lacking[group.value],
        )
        for group in own
    ]
    if rest:
        rows = sum(group.rows for group in rest)
        found.append(
            Segment(
                column=column,
                value=OTHER,
                rows=rows,
                share=rows / window.rows,
                quality=quality.of(OTHER, groups, *rest),
                lacking=f"the rest of {len(groups.found)} values, which has no like in training",
            )
        )
    return tuple(found)


def with_verdicts(found: Sequence[Segment], judged: Iterator[ColumnDrift], lacking: str) -> tuple[Segment, ...]:
    """The segments with their columns as judged, in the same order; `lacking` is why nothing is said of any."""
    return tuple(
        replace(
            segment,
            columns=tuple(islice(judged, len(segment.columns))),
            lacking=segment.lacking or lacking,
        )
        for segment in found
    )


def short(found: Sequence[Segment], told: set[str]) -> tuple[SegmentDrift, ...]:
    """The columns that drifted within segments and are not `told` of already, the largest effect first; each by the
    segment in which its effect is largest."""
    largest: dict[str, SegmentDrift] = {}
    drifted = [(segment, column) for segment in found for column in segment.drifted if column.column not in told]
    for segment, column in sorted(drifted, key=lambda each: -each[1].effect):
        largest.setdefault(
            column.column,
            SegmentDrift(
                segment=segment.name,
                rows=segment.rows,
                column=column.column,
                method=column.method,
                effect=decimal(column.effect),
                p_value=decimal(column.p_adjusted),
            ),
        )
    return tuple(largest.values())[:TOLD_SEGMENTS]


def no_reference(profile: Profile, found: Sequence[Segment]) -> str:
    """Why no segment at all was compared, where that is the profile's doing."""
    if not found or _references(profile, found[0].column):
        return ""
    return f"the version has no reference for segments of {found[0].column}; train it again"


def _references(profile: Profile, column: str) -> dict[str, SegmentProfile]:
    held = profile.segments
    return {segment.value: segment for segment in held.segments} if held is not None and held.column == column else {}


def _lacking(group: Group, references: dict[str, SegmentProfile], least: int) -> str:
    """Why nothing can be said of a group's drift; "" if something can."""
    if group.value not in references:
        return f"no reference: not among the {SEGMENTS} values that most rows of training had, or in fewer than {SEGMENT_ROWS}"
    if group.rows < least:
        return f"{group.rows} rows, need at least {least} (spec.monitoring.window.minRows)"
    return ""


def _compared(
    profile: Profile,
    window: Window,
    groups: Groups,
    compared: Sequence[tuple[Group, SegmentProfile]],
    rules: Rules,
) -> dict[str, tuple[ColumnDrift, ...]]:
    """What is found of each input of each group, by the group's value. A column is put in the groups' order once."""
    found: dict[str, tuple[ColumnDrift, ...]] = {}
    for column in profile.columns if compared else ():
        if column.name not in window.inputs:
            continue
        ordered = groups.ordered(window.inputs[column.name])
        for group, reference in compared:
            held = reference.numbers.get(column.name) or reference.texts.get(column.name)
            if held is not None:
                seen = see(ordered.slice(group.first, group.rows), column.type)
                drift = column_drift(column.name, held, seen, rules.within(group.value, column.name))
                found[group.value] = (*found.get(group.value, ()), drift)
    return found


class _Quality:
    """How good the model is to a group, where the window holds its answers."""

    def __init__(self, profile: Profile, window: Window, spec: Monitoring, seed: str) -> None:
        self._profile, self._bounds, self._seed = profile, spec.quality, seed
        self._answers, self._truth = window.answered(profile), window.known(profile)

    def of(self, name: str, groups: Groups, *found: Group) -> QualityMeasured | None:
        if self._answers is None:
            return None
        rows = groups.places(*found)
        rng = np.random.default_rng(list(f"{self._seed}/{name}".encode()))
        return measured(self._profile, self._answers[rows], self._truth.values[rows], self._bounds, rng)


def _usual(held: ColumnProfile, value: str) -> float | None:
    if held.texts is not None:
        return held.texts.counts.get(value, 0) / max(1, held.texts.count)
    numbers = held.numbers
    if numbers is None or not numbers.complete or not numbers.count:
        return None
    counts = np.diff((0, *numbers.upto))
    found = {plain(float(np.float32(knot))): int(count) for knot, count in zip(numbers.knots, counts, strict=True)}
    return found.get(value, 0) / numbers.count
