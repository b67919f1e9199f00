"""A version's profile as it lies in MLflow, checked; or made here from a table of reference rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from refit.api.dataspec import Column, ColumnType
from refit.api.modeldeployment import Task
from refit.api.profile import (
    FORMAT,
    MAX_BYTES,
    MAX_KNOTS,
    SEGMENT_KNOTS,
    SEGMENT_ROWS,
    SEGMENT_WORDS,
    SEGMENTS,
    AnswerProfile,
    CategoryProfile,
    ColumnProfile,
    NumberProfile,
    Profile,
    SegmentProfile,
    SegmentsProfile,
)
from refit_monitor.columns import NumbersSeen, Seen, TextsSeen, see
from refit_monitor.data_quality import RowCodes
from refit_monitor.errors import BadInputError
from refit_monitor.groups import grouped


def read(content: bytes, sha256: str | None = None) -> Profile:
    """The profile in a file; raises BadInputError if it is none, or not the one meant."""
    if len(content) > MAX_BYTES:
        raise BadInputError(f"the profile has {len(content)} bytes, the limit is {MAX_BYTES}")
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise BadInputError(f"DigestMismatch: the profile is {found[:12]}, wanted {sha256[:12]}; train again")
    try:
        return Profile.model_validate_json(content)
    except ValidationError as error:
        try:
            form = json.loads(content).get("format")
        except (ValueError, AttributeError):
            form = None
        if form is not None and form != FORMAT:
            raise BadInputError(
                f"the profile is of format {form}, this monitor reads {FORMAT}; train again with this release"
            ) from error
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadInputError(f"the profile can not be read: {place}: {first['msg']}") from error


def made(
    table: dict[str, pa.ChunkedArray],
    types: dict[str, ColumnType],
    declared: Iterable[Column] = (),
    segment_column: str | None = None,
) -> Profile:
    """The profile of reference rows, without a model's answers; by segment too where an input is named for that."""
    by_name = {column.name: column for column in declared}
    rows = len(next(iter(table.values()))) if table else 0
    codes = RowCodes(rows)
    columns = []
    for name, kind in types.items():
        seen = see(table[name], kind)
        if seen.codes is not None:
            codes.add(seen.codes)
        columns.append(_column(name, kind, seen, by_name.get(name)))
    return Profile(
        task=Task.CLASSIFICATION,
        rows=rows,
        equal_pairs=codes.equal_pairs(),
        columns=tuple(columns),
        target="target",
        answers=AnswerProfile(rows=0),
        segments=_segments(table, columns, segment_column) if segment_column in types else None,
    )


def _column(name: str, kind: ColumnType, seen: Seen, declared: Column | None) -> ColumnProfile:
    return ColumnProfile(
        name=name,
        type=kind,
        nullable=declared.nullable if declared is not None else True,
        minimum=float(declared.min) if declared is not None and declared.min is not None else None,
        maximum=float(declared.max) if declared is not None and declared.max is not None else None,
        categories=declared.categories if declared is not None else (),
        numbers=number_profile(seen) if isinstance(seen, NumbersSeen) else None,
        texts=_text_profile(seen) if isinstance(seen, TextsSeen) else None,
    )


def _segments(
    table: dict[str, pa.ChunkedArray], columns: Iterable[ColumnProfile], segment_column: str
) -> SegmentsProfile:
    groups = grouped(table[segment_column])
    chosen = [group for group in groups.found[:SEGMENTS] if group.rows >= SEGMENT_ROWS]
    numbers: list[dict[str, NumberProfile]] = [{} for _ in chosen]
    texts: list[dict[str, CategoryProfile]] = [{} for _ in chosen]
    for column in columns:
        if column.name == segment_column or (column.texts is not None and len(column.texts.counts) > SEGMENT_WORDS):
            continue
        ordered = groups.ordered(table[column.name])
        for place, group in enumerate(chosen):
            seen = see(ordered.slice(group.first, group.rows), column.type)
            if isinstance(seen, NumbersSeen):
                numbers[place][column.name] = number_profile(seen, SEGMENT_KNOTS)
            else:
                texts[place][column.name] = _text_profile(seen)
    return SegmentsProfile(
        column=segment_column,
        segments=tuple(
            SegmentProfile(value=group.value, rows=group.rows, numbers=numbers[place], texts=texts[place])
            for place, group in enumerate(chosen)
        ),
    )


def number_profile(seen: NumbersSeen, most_knots: int = MAX_KNOTS) -> NumberProfile:
    """The same as the trainer makes of the same values; a test holds them together."""
    there = seen.ordered
    missing = seen.missing + seen.wrong
    if not there.size:
        return NumberProfile(count=0, missing=missing)
    first = np.flatnonzero(np.append(True, there[1:] != there[:-1]))
    distinct = there[first]
    upto = np.append(first[1:], there.size)
    chosen = np.arange(distinct.size)
    if distinct.size > most_knots:
        ranks = np.linspace(0, there.size - 1, most_knots).round().astype(np.int64)
        chosen = np.unique(np.searchsorted(distinct, there[ranks]))
    wide = there.astype(np.float64)
    return NumberProfile(
        count=int(there.size),
        missing=missing,
        distinct=int(distinct.size),
        zeros=int((there == 0).sum()),
        whole=bool((there == np.floor(there)).all()),
        mean=short(wide.mean()),
        deviation=short(wide.std()),
        knots=tuple(short(value) for value in distinct[chosen]),
        upto=tuple(upto[chosen].tolist()),
        at=() if chosen.size == distinct.size else tuple((upto - first)[chosen].tolist()),
    )


def short(value: float | np.floating[np.generic]) -> float:  # type: ignore[type-var]  # any width of numpy's floats
    """The number of fewest digits that is the same one in 32 bits."""
    return float(str(np.float32(value)))


def _text_profile(seen: TextsSeen) -> CategoryProfile:
    counts = dict(sorted(seen.counts.items(), key=lambda found: -found[1]))
    return CategoryProfile(count=seen.count, missing=seen.missing + seen.wrong, counts=counts)
