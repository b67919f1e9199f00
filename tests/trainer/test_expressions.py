from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from refit_trainer.errors import RefusedError
from refit_trainer.expressions import (
    FUNCTIONS,
    OPERATIONS,
    Constant,
    Operation,
    Reference,
    Tree,
    evaluate,
    parse,
    references,
)
from refit_trainer.onnx_features import NODES, derive
from refit_trainer.onnx_graph import Graph

COLUMNS = frozenset({"a", "b"})


def served(tree: Tree, values: dict[str, np.ndarray]) -> np.ndarray:
    """What the expression's ONNX nodes answer."""
    graph = Graph()
    inputs = {name: graph.input(name, TensorProto.FLOAT) for name in sorted(references(tree))}
    graph.output(derive(graph, tree, inputs), "out", TensorProto.FLOAT, [None, 1])
    session = onnxruntime.InferenceSession(graph.model({}).SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {name: values[name].reshape(-1, 1) for name in inputs})
    return np.asarray(found).reshape(-1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a / b", Operation("divide", (Reference("a"), Reference("b"))), id="an operation"),
        pytest.param("-a", Operation("negative", (Reference("a"),)), id="a sign"),
        pytest.param("2 * (a + 1.5)", Operation("multiply", (Constant(2.0), Operation("add", (Reference("a"), Constant(1.5))))),
                     id="parentheses"),
        pytest.param("max(a, log1p(b))", Operation("max", (Reference("a"), Operation("log1p", (Reference("b"),)))),
                     id="functions within functions"),
    ],
)  # fmt: skip
def test_parse(text: str, expected: Tree) -> None:
    assert parse(text, COLUMNS) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a / c", "'c' is no number column; there are a, b", id="an unknown column"),
        pytest.param("__import__('os').system('true')", "only + - * /", id="a program"),
        pytest.param("eval(a)", "'eval' is no function; there are abs", id="an unknown function"),
        pytest.param("a.real", "only + - * /", id="an attribute"),
        pytest.param("a ** 2", "only + - * /", id="an unknown operator"),
        pytest.param("a if b else 1", "only + - * /", id="a condition"),
        pytest.param("[a for a in b]", "only + - * /", id="a loop"),
        pytest.param("'a' + b", "only + - * /", id="a text"),
        pytest.param("True + a", "only + - * /", id="a truth value"),
        pytest.param("log(a, b)", "log takes 1 value", id="too many values"),
        pytest.param("min(a)", "min takes 2 value", id="too few values"),
        pytest.param("log(x=a)", "only + - * /", id="a named value"),
        pytest.param("a +", "can not be read", id="half an expression"),
        pytest.param("a; b", "can not be read", id="two expressions"),
        pytest.param("1 + 1", "names no column", id="no column"),
        pytest.param("(" * 60 + "a" + ")" * 60 + "+-" * 40 + "a", "deep", id="too deep"),
    ],
)
def test_what_is_no_expression(text: str, said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse(text, COLUMNS)
    assert (refused.value.reason, said in refused.value.message) == ("ExpressionInvalid", True), refused.value.message


def test_both_ends_know_the_same_operations() -> None:
    assert set(OPERATIONS) == set(NODES) == {*FUNCTIONS, "add", "subtract", "multiply", "divide", "negative"}


ODD = np.array([0, -0.0, 1, -1, 2.5, 1e-30, 3e38, -3e38, np.nan, 7, 1e-45], dtype=np.float32)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_training_and_serving_agree_on_every_operation(name: str) -> None:
    left, right = (grid.reshape(-1) for grid in np.meshgrid(ODD, ODD))
    operands: tuple[Tree, ...] = (Reference("a"), Reference("b"))
    tree = Operation(name, operands[: FUNCTIONS.get(name, 1 if name == "negative" else 2)])
    values = {"a": left, "b": right}
    np.testing.assert_array_equal(served(tree, values), evaluate(tree, values))


TREES: st.SearchStrategy[Tree] = st.recursive(
    st.one_of(
        st.just(Reference("a")), st.just(Reference("b")), st.floats(-100, 100).map(lambda v: Constant(round(v, 3)))
    ),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["add", "subtract", "multiply", "divide", "min", "max"]), inner, inner).map(
            lambda t: Operation(t[0], t[1:])
        ),
        st.tuples(st.sampled_from(["abs", "log", "log1p", "sqrt", "exp", "negative"]), inner).map(
            lambda t: Operation(t[0], t[1:])
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_training_and_serving_agree_on_any_expression(tree: Tree) -> None:
    tree = Operation("add", (Reference("a"), tree))
    values = {"a": ODD, "b": ODD[::-1].copy()}
    np.testing.assert_allclose(served(tree, values), evaluate(tree, values), rtol=1e-6, atol=0)
