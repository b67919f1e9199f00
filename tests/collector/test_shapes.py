"""What is taken fast is what Pydantic would take, to the byte of what is stored."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector_process import event
from refit.api.events import PredictionEvent
from refit_collector import times
from refit_collector.events import Accepted, Bounds, accept, read
from refit_collector.refusals import Refused
from refit_collector.shapes import Shapes

ALWAYS = Bounds(-(2**62), 2**62)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
)
NAMES = st.sampled_from(["age", "sex", "no", "yes", "", "a\n", "x" * 129]) | st.text(max_size=3)
ODD = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
VALUES = st.lists(LEAVES, min_size=1, max_size=3)
CHANGES = st.dictionaries(
    st.sampled_from([*PredictionEvent.model_fields, "other"]),
    ODD
    | VALUES
    | st.lists(NAMES, max_size=3)
    | st.lists(VALUES, max_size=3)
    | st.dictionaries(NAMES, VALUES, max_size=3)
    | st.sampled_from([0, 1, 2, 2**31, "2026-01-31T12:00:00Z", "2026-01-31T12:00:00", "2026-01-31 12:00:00+01:00"]),
    max_size=3,
)
USUAL = event("usual", time="2026-01-31T12:00:00.123Z")
SHAPES = Shapes()


@settings(
    max_examples=int(os.environ.get("REFIT_FUZZ_EXAMPLES", "400")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(CHANGES, st.sets(st.sampled_from(sorted(USUAL)), max_size=2))
def test_fast_and_slow_agree(changes: dict[str, Any], dropped: set[str]) -> None:
    found = {name: value for name, value in (USUAL | changes).items() if name not in dropped}
    usual = SHAPES.take(orjson.loads(orjson.dumps(found)))
    if usual is None:
        return
    line = orjson.dumps(found)
    try:
        times.micros(usual.time)
    except ValueError:
        return  # left to Pydantic as well
    slow = accept(1, PredictionEvent.model_validate_json(line), ALWAYS)
    fast = read(line, ALWAYS, SHAPES).accepted[0]
    assert isinstance(slow, Accepted)
    assert fast._replace(body=b"") == slow._replace(body=b"")
    assert _plain(fast.body) == _plain(slow.body)


def _plain(body: bytes) -> list[Any]:
    """What is stored; classes that are absent are an empty list to one and nothing to the other."""
    *head, classes, shares, predictions = orjson.loads(body)
    return [*head, classes or [], shares, predictions]


def test_the_usual_event_is_taken_fast() -> None:
    masked = USUAL | {"masked": ["name"]}
    numbers = {name: USUAL[name] for name in ("id", "version", "time", "rows", "inputs")} | {"predictions": [1.5]}
    assert [Shapes().take(found) is not None for found in (USUAL, masked, numbers)] == [True, True, True]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_refused(body: bytes) -> None:
    with contextlib.suppress(Refused):
        assert not read(body, ALWAYS, Shapes()).accepted
