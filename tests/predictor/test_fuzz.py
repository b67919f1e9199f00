"""Whatever is sent, the answer is predictions or a refusal that says why: never 500, never a lie about the form."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predictor_process import ask
from refit_predictor.desk import Desk

NAMES = st.sampled_from(["age", "sex", "chol", "thal", "x0", "x1", "x2", "cp", ""])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["f", "m", "normal", "6"])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5),
    max_leaves=20,
)


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The usual, and now and then anything at all."""
    return st.integers(0, 9).flatmap(lambda dice: JSON if dice == 0 else usual)


RECORD = st.fixed_dictionaries(
    {"age": mostly(st.floats(-100, 100)), "sex": mostly(st.sampled_from("fm"))},
    optional={
        "chol": mostly(st.integers(0, 500)),
        "thal": mostly(st.sampled_from(["6", "normal", "", None])),
        "cp": JSON,
    },
)
ARRAY = st.tuples(*(mostly(leaf) for leaf in (st.integers(0, 99), st.just("f"), LEAVES, LEAVES))).map(list)
V1 = st.fixed_dictionaries(
    {},
    optional={
        "instances": mostly(st.lists(mostly(RECORD), min_size=1, max_size=4) | st.lists(mostly(ARRAY), max_size=4)),
        "inputs": mostly(st.dictionaries(NAMES, mostly(st.lists(LEAVES, min_size=2, max_size=2)), max_size=4)),
        "id": JSON,
    },
)
TENSOR = st.fixed_dictionaries(
    {
        "name": mostly(NAMES),
        "shape": mostly(st.sampled_from([[2], [2, 1], [1, 2], [2, 3], [0], [1]])),
        "datatype": mostly(st.sampled_from(["FP32", "FP64", "INT64", "UINT8", "BOOL", "BYTES"])),
        "data": mostly(
            st.lists(LEAVES, max_size=6) | st.lists(st.floats(-9, 9), min_size=2, max_size=2) | st.just(["f", "m"])
        ),
    },
    optional={"parameters": JSON},
)
V2 = st.fixed_dictionaries(
    {"inputs": mostly(st.lists(mostly(TENSOR), min_size=1, max_size=4))},
    optional={
        "id": mostly(st.text(max_size=5)),
        "outputs": mostly(st.lists(st.fixed_dictionaries({"name": mostly(st.just("label"))}), max_size=2)),
    },
)

FUZZ = settings(
    max_examples=int(os.environ.get("REFIT_FUZZ_EXAMPLES", "80")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def check(protocol: str, answer: tuple[int, Any]) -> None:
    status, document = answer
    if status == 200:
        assert document["predictions" if protocol == "v1" else "outputs"]
    else:
        assert status in (400, 413, 422), document
        assert 1 <= len(document["problems"]) <= 8
        assert document["error"] == "; ".join(
            f"{problem['field']}: {problem['message']}" if problem["field"] else problem["message"]
            for problem in document["problems"]
        )
        assert len(document["error"]) < 2000


@pytest.mark.parametrize("desk", ["heart", "digits", "houses"])
@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_bodies_of_nearly_the_right_form(request: pytest.FixtureRequest, desk: str, protocol: str) -> None:
    predict = getattr(request.getfixturevalue(desk), protocol)

    @FUZZ
    @given(V1 if protocol == "v1" else V2)
    def run(document: Any) -> None:
        check(protocol, ask(predict, document))

    run()


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_any_json(heart: Desk, protocol: str) -> None:
    @FUZZ
    @given(JSON)
    def run(document: Any) -> None:
        check(protocol, ask(getattr(heart, protocol), document))

    run()


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_any_bytes(heart: Desk, protocol: str) -> None:
    @FUZZ
    @given(st.binary(max_size=200))
    def run(body: bytes) -> None:
        assert getattr(heart, protocol)(body, None).status == 400

    run()
