"""Values of a request become values that the graph can have, or a refusal that names each field.

Whatever the protocol, a request is first brought into one form: a list of values per input, in the
order of the signature. Plain finite numbers and plain words are taken as they are; a list with anything
else in it goes value by value through `_number` or `_category`, which alone decide what a value means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from refit.api.dataspec import ColumnType
from refit.api.signature import InputColumn, Signature
from refit_predictor.refusals import MOST_PROBLEMS, Problem, Refused, shown

ABSENT: Any = object()
"""Stands for a value that a record leaves out."""
NAN = float("nan")
NUMBER_TYPES = frozenset({int, float})
WORD_TYPES = frozenset({str})
LARGEST = 3.4028234663852886e38
"""The largest 32-bit number."""

Values = Sequence[Any]
Where = Callable[[int, int], str]
"""From row and input to the path of that value in the request's body."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Values that fit the model, input by input: those of all number inputs in one list, words in a list per input.

    `missing` and `unknown` count values by the position of their input.
    """

    count: int
    numbers: list[float]
    words: list[Values]
    missing: dict[int, int]
    unknown: dict[int, int]


class Wrong(Exception):  # noqa: N818
    """Why a value cannot be what its input asks for."""


class Intake:
    """Reads lists of JSON values by a model's signature."""

    def __init__(self, signature: Signature) -> None:
        self.inputs = signature.inputs
        self.names = tuple(column.name for column in signature.inputs)
        self.known = frozenset(self.names)
        self._numbers = [at for at, column in enumerate(self.inputs) if column.type is ColumnType.NUMBER]
        self._words = [at for at, column in enumerate(self.inputs) if column.type is ColumnType.CATEGORY]
        self._categories = [frozenset(column.categories) for column in self.inputs]

    @property
    def only_numbers(self) -> bool:
        return not self._words

    def filled(self, columns: Sequence[Values | None], count: int) -> list[Values]:
        """The columns, those that a request leaves out as a whole filled up; raises Refused if one must not be."""
        left_out = [
            Problem(f"inputs.{column.name}", "is missing")
            for column, values in zip(self.inputs, columns, strict=True)
            if values is None and not column.nullable
        ]
        if left_out:
            raise Refused(422, *left_out[:MOST_PROBLEMS])
        return [[ABSENT] * count if values is None else values for values in columns]

    def read(self, columns: Sequence[Values], count: int, where: Where) -> Rows:
        """The values of `count` rows; raises Refused with the problems found."""
        problems: list[Problem] = []
        numbers = [value for at in self._numbers for value in columns[at]]
        rows = Rows(count, numbers, [], {}, {})
        if not _plain(numbers):
            numbers[:] = self._read_numbers(columns, rows, where, problems)
        for at in self._words:
            words = columns[at]
            if not WORD_TYPES.issuperset(map(type, words)) or "" in words:
                words = self._read_words(at, words, rows, where, problems)
            if categories := self._categories[at]:
                unknown = sum(word not in categories for word in words) - rows.missing.get(at, 0)
                if unknown:
                    rows.unknown[at] = unknown
            rows.words.append(words)
        if problems:
            raise Refused(422, *problems[:MOST_PROBLEMS])
        return rows

    def _read_numbers(
        self, columns: Sequence[Values], rows: Rows, where: Where, problems: list[Problem]
    ) -> list[float]:
        numbers: list[float] = []
        for at in self._numbers:
            column, missing = self.inputs[at], 0
            for row, value in enumerate(columns[at]):
                try:
                    number = _number(column, value)
                except Wrong as wrong:
                    problems.append(Problem(where(row, at), str(wrong)))
                    number = NAN
                missing += number != number  # noqa: PLR0124
                numbers.append(number)
            if missing:
                rows.missing[at] = missing
        return numbers

    def _read_words(self, at: int, values: Values, rows: Rows, where: Where, problems: list[Problem]) -> list[str]:
        column, categories, words = self.inputs[at], self._categories[at], list[str]()
        for row, value in enumerate(values):
            try:
                words.append(_category(column, categories, value))
            except Wrong as wrong:
                problems.append(Problem(where(row, at), str(wrong)))
                words.append("")
        if missing := words.count(""):
            rows.missing[at] = missing
        return words


def _plain(numbers: list[Any]) -> bool:
    """Whether the graph can have these values as they are: numbers within its range."""
    return not numbers or (
        NUMBER_TYPES.issuperset(map(type, numbers)) and -LARGEST <= min(numbers) <= max(numbers) <= LARGEST
    )


def _number(column: InputColumn, value: object) -> float:
    """A number, or NaN for one that is missing and may be; true and false are 1 and 0."""
    match value:
        case int() | float():
            if not -LARGEST <= value <= LARGEST:
                raise Wrong(f"{shown(value)} is beyond the range of a 32-bit number")
            return float(value)
        case _ if value is ABSENT or value is None:
            _allow_missing(column, value)
            return NAN
        case _:
            raise Wrong(f"must be a number, got {shown(value)}")


def _category(column: InputColumn, categories: frozenset[str], value: object) -> str:
    """A word, or "" for one that is missing and may be.

    Codes such as 1 or true are taken too: of the ways to write one, a way that training saw, else the first.
    """
    ways: tuple[str, ...]
    match value:
        case "":
            _allow_missing(column, value)
            return ""
        case str():
            return value
        case bool():
            ways = ("true", "True", "1") if value else ("false", "False", "0")
        case int():
            ways = (str(value), f"{value}.0")
        case float():
            ways = (repr(value), str(int(value)) if value.is_integer() else repr(value))
        case _ if value is ABSENT or value is None:
            _allow_missing(column, value)
            return ""
        case _:
            raise Wrong(f"must be text, got {shown(value)}")
    return next((way for way in ways if way in categories), ways[0])


def _allow_missing(column: InputColumn, value: object) -> None:
    if column.nullable:
        return
    if value is ABSENT:
        raise Wrong("is missing")
    raise Wrong("must not be null" if value is None else "must not be empty")
