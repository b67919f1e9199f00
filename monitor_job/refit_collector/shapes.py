"""The usual event, taken fast: one whose every part is plainly of the contract's form.

What is accepted here Pydantic accepts too, and a test sends both the same; what is not goes to Pydantic,
which decides, and says what is wrong. Names are checked once for each set of columns that occurs.
"""

from __future__ import annotations

import re
from itertools import chain
from math import isfinite
from types import NoneType
from typing import Any, NamedTuple

from refit.api.events import INFERENCE_ID, MAX_ROWS
from refit_collector.kinds import INPUT, LABEL, NUMBER, PREDICTION, PROBABILITY, TEXT

LARGEST_VERSION = 2**31 - 1
MOST_SHAPES = 256
_ID = re.compile(INFERENCE_ID)
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_NUMBERS = frozenset({int, float})
_VALUES = frozenset({int, float, bool, NoneType})
_LISTS = frozenset({list})
_TEXTS = frozenset({str})
_NONE: list[Any] = []


class Usual(NamedTuple):
    """The parts of an event that was taken."""

    id: str
    version: int
    time: str
    rows: int
    latency: float
    columns: dict[str, str]


class Shapes:
    """Columns and classes that were seen, each with the kinds of its columns."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], dict[str, str]] = {}

    def take(self, found: Any) -> Usual | None:
        """The event if it is a usual one; None leaves it to Pydantic."""
        try:
            return self._take(found)
        except (KeyError, TypeError, ValueError):
            return None

    def _take(self, found: Any) -> Usual | None:
        name, version, time, rows, inputs = (found[key] for key in ("id", "version", "time", "rows", "inputs"))
        latency = found.get("latency", 0.0)
        labels, shares, predictions = (found.get(key) for key in ("labels", "probabilities", "predictions"))
        classes, masked = found.get("classes", _NONE), found.get("masked", _NONE)
        if (
            type(inputs) is not dict
            or not {type(classes), type(masked)} <= _LISTS
            or not inputs.keys().isdisjoint(masked)
            or (labels is None) == (predictions is None)
            or not _ID.fullmatch(name)
            or type(version) is not int
            or not 1 <= version <= LARGEST_VERSION
            or type(rows) is not int
            or not 1 <= rows <= MAX_ROWS
            or type(time) is not str
            or type(latency) not in _NUMBERS
            or not 0 <= latency < float("inf")
            or not _all_long(inputs.values(), rows)
        ):
            return None
        kinds = set(map(type, chain.from_iterable(inputs.values())))
        worded: tuple[str, ...] = ()
        if not kinds <= _VALUES:
            if not kinds <= _VALUES | _TEXTS:
                return None
            worded = tuple(column for column, values in inputs.items() if str in set(map(type, values)))
        if predictions is not None:
            if shares is not None or not _all_long([predictions], rows) or not _numbers(predictions):
                return None
        elif not _all_long([labels], rows) or not set(map(type, labels)) <= _TEXTS:
            return None
        if shares is not None and not (
            len(shares) == rows and _all_long(shares, len(classes)) and _numbers(chain(*shares))
        ):
            return None
        key = (tuple(inputs), worded, tuple(classes), tuple(masked), shares is not None, predictions is None)
        columns = self._known.get(key) or self._new(key)
        return None if columns is None else Usual(name, version, time, rows, latency, columns)

    def _new(self, key: tuple[Any, ...]) -> dict[str, str] | None:
        names, worded, classes, masked, shares, labelled = key
        if len(names) > 512 or len(masked) > 64 or not all(map(_NAME.fullmatch, (*names, *masked))):  # noqa: PLR2004  # the contract's bounds
            return None
        if len(classes) > 1024 or not all(type(each) is str and len(each) <= 64 for each in classes):  # noqa: PLR2004  # as above
            return None
        found = {INPUT + name: TEXT if name in worded else NUMBER for name in names}
        if labelled:
            found[LABEL] = TEXT
            found |= dict.fromkeys((PROBABILITY + name for name in classes), NUMBER) if shares else {}
        else:
            found[PREDICTION] = NUMBER
        if len(self._known) >= MOST_SHAPES:
            self._known.clear()
        self._known[key] = found
        return found


def _all_long(lists: Any, length: int) -> bool:
    """Whether all are lists of that length. None of them is a strange one either: then nothing is usual."""
    return set(map(type, lists)) == _LISTS and set(map(len, lists)) == {length}


def _numbers(values: Any) -> bool:
    found = list(values)
    return set(map(type, found)) <= _NUMBERS and all(map(isfinite, found))
