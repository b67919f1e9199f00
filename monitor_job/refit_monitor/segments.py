"""How good the model is to each group of requests: by the values of one column, the twenty most frequent, the rest together.

Drift is not looked for in a segment: the profile is of all rows, and a segment differs from these by nature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refit.api.monitoring import QualityBound
from refit.api.profile import ColumnProfile, Profile
from refit_monitor.columns import coded, plain
from refit_monitor.errors import BadInputError
from refit_monitor.model_quality import QualityMeasured, measured
from refit_monitor.windows import Window

SEGMENTS = 20
OTHER = "other"
MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One group: how large its share is, was in training, and how good the model is to it."""

    value: str
    rows: int
    share: float
    usual_share: float | None
    quality: QualityMeasured | None

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = {"value": self.value, "rows": self.rows, "share": self.share}
        if self.usual_share is not None:
            found["referenceShare"] = self.usual_share
        return found | ({"quality": self.quality.record()} if self.quality is not None else {})


def segments(
    profile: Profile, window: Window, column: str | None, bounds: Sequence[QualityBound], seed: str
) -> tuple[Segment, ...]:
    """The segments, the largest first; none where no column is named or the window lacks it."""
    if column is None:
        return ()
    held = next((found for found in profile.columns if found.name == column), None)
    if held is None:
        known = ", ".join(found.name for found in profile.columns[:20])
        raise BadInputError(f"spec.monitoring.segmentColumn: the model has no input {column!r}; it has {known}")
    if column not in window.inputs or not window.rows:
        return ()
    codes, words = coded(window.inputs[column])
    names = [MISSING, *words]
    sizes = np.bincount(codes, minlength=len(names))
    order = [int(place) for place in np.argsort(-sizes, kind="stable") if sizes[place]]
    groups = [(names[place], codes == place) for place in order[:SEGMENTS]]
    if len(order) > SEGMENTS:
        groups.append((OTHER, np.isin(codes, order[SEGMENTS:])))
    answers, truth = window.answered(profile), window.known(profile)
    return tuple(
        Segment(
            value=value,
            rows=int(chosen.sum()),
            share=float(chosen.mean()),
            usual_share=_usual(held, value) if value not in {OTHER, MISSING} else None,
            quality=measured(
                profile,
                answers[chosen],
                truth.values[chosen],
                bounds,
                np.random.default_rng(list(f"{seed}/{value}".encode())),
            )
            if answers is not None
            else None,
        )
        for value, chosen in groups
    )


def _usual(held: ColumnProfile, value: str) -> float | None:
    if held.texts is not None:
        return held.texts.counts.get(value, 0) / max(1, held.texts.count)
    numbers = held.numbers
    if numbers is None or not numbers.complete or not numbers.count:
        return None
    counts = np.diff((0, *numbers.upto))
    found = {plain(float(np.float32(knot))): int(count) for knot, count in zip(numbers.knots, counts, strict=True)}
    return found.get(value, 0) / numbers.count
