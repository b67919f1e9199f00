"""Feature expressions: text to a small safe tree, and the tree to numbers.

The tree is all that is kept of the text: it holds numbers, column names and the listed operations, so
that nothing of a spec is ever evaluated as a program. `onnx_features` writes the same tree into the
exported model. Both compute in 64 bits and round once to 32; what is not finite counts as missing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refit_trainer.errors import RefusedError

DEPTH_LIMIT = 32


@dataclass(frozen=True)
class Constant:
    value: float


@dataclass(frozen=True)
class Reference:
    """The value of a number column."""

    column: str


@dataclass(frozen=True)
class Operation:
    """An operation of `OPERATIONS` on its operands."""

    name: str
    operands: tuple[Tree, ...]


Tree = Constant | Reference | Operation


def parse(text: str, columns: frozenset[str], place: str = "expression") -> Tree:
    """The tree of an expression over those number columns; raises RefusedError naming what it does not know."""
    try:
        parsed = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RefusedError("ExpressionInvalid", f"{place} {text!r} can not be read") from error
    tree = _tree(parsed.body, columns, f"{place} {text!r}", 0)
    if not references(tree):
        raise RefusedError("ExpressionInvalid", f"{place} {text!r} names no column")
    return tree


def evaluate(tree: Tree, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """The feature's value per row, NaN where it is not a finite number."""
    with np.errstate(all="ignore"):
        wide = _wide(tree, columns)
        rows = len(next(iter(columns.values())))
        narrow = np.broadcast_to(wide, (rows,)).astype(np.float32)
    return np.where(np.isfinite(narrow), narrow, np.float32(np.nan))


def references(tree: Tree) -> frozenset[str]:
    """The columns that an expression reads."""
    if isinstance(tree, Reference):
        return frozenset({tree.column})
    if isinstance(tree, Operation):
        return frozenset().union(*map(references, tree.operands))
    return frozenset()


def _wide(tree: Tree, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    if isinstance(tree, Constant):
        return np.asarray(tree.value, dtype=np.float64)
    if isinstance(tree, Reference):
        return np.asarray(columns[tree.column], dtype=np.float64)
    return OPERATIONS[tree.name](*(_wide(operand, columns) for operand in tree.operands))


def _tree(node: ast.expr, columns: frozenset[str], place: str, depth: int) -> Tree:
    if depth > DEPTH_LIMIT:
        raise RefusedError("ExpressionInvalid", f"{place} is nested more than {DEPTH_LIMIT} deep")
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return Constant(float(value))
        case ast.Name(id=name):
            if name not in columns:
                known = ", ".join(sorted(columns)[:20]) or "none"
                raise RefusedError("ExpressionInvalid", f"{place}: {name!r} is no number column; there are {known}")
            return Reference(name)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            inner = _tree(operand, columns, place, depth + 1)
            return Operation("negative", (inner,)) if isinstance(sign, ast.USub) else inner
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _SIGNS:
            operands = (_tree(left, columns, place, depth + 1), _tree(right, columns, place, depth + 1))
            return Operation(_SIGNS[type(sign)], operands)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            if len(arguments) != FUNCTIONS[name]:
                raise RefusedError("ExpressionInvalid", f"{place}: {name} takes {FUNCTIONS[name]} value(s)")
            return Operation(name, tuple(_tree(argument, columns, place, depth + 1) for argument in arguments))
        case ast.Call(func=ast.Name(id=name)) if name not in FUNCTIONS:
            raise RefusedError(
                "ExpressionInvalid", f"{place}: {name!r} is no function; there are {', '.join(FUNCTIONS)}"
            )
    raise RefusedError(
        "ExpressionInvalid",
        f"{place}: only + - * / ( ), numbers, column names and {', '.join(FUNCTIONS)} are known",
    )


_SIGNS: dict[type[ast.operator], str] = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide"}

FUNCTIONS = {"abs": 1, "log": 1, "log1p": 1, "sqrt": 1, "exp": 1, "min": 2, "max": 2}
"""Function to its number of values."""


def _log1p(value: NDArray[np.float64]) -> NDArray[np.float64]:
    # Not numpy's: ONNX has no log1p, and both ends must agree.
    return np.asarray(np.log(1.0 + value))


OPERATIONS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negative": np.negative,
    "abs": np.abs,
    "log": np.log,
    "log1p": _log1p,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "min": np.minimum,
    "max": np.maximum,
}
"""Operation to its meaning in training; `onnx_features.NODES` has its meaning in serving."""
