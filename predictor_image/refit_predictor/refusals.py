"""What a request is refused with: an HTTP status, and for each problem the field it is about."""

from __future__ import annotations

from typing import Any, NamedTuple

MOST_PROBLEMS = 8
LONGEST_ECHO = 40


class Problem(NamedTuple):
    """One thing wrong with a request; `field` is a path into its body, or empty for the whole of it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class Refused(Exception):  # noqa: N818
    """The request cannot be answered, and the client can know why."""

    def __init__(self, status: int, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.status = status
        self.problems = problems

    def body(self, inference_id: str) -> dict[str, Any]:
        """`error` as KServe's own servers have it, and the same in parts."""
        return {"error": str(self), "problems": [problem._asdict() for problem in self.problems], "id": inference_id}


def bad(field: str, message: str) -> Refused:
    """The request is not of the form that the protocol prescribes."""
    return Refused(400, Problem(field, message))


def unfit(field: str, message: str) -> Refused:
    """The form is right, but it does not fit the model."""
    return Refused(422, Problem(field, message))


def too_large(message: str) -> Refused:
    return Refused(413, Problem("", message))


def shown(value: object) -> str:
    """A value of a request as an error message may show it: its kind, and little of its content."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'text "{_cut(value)}"'
        case list():
            return f"an array of {len(value)}"
        case dict():
            return "an object"
        case _:
            return _cut(repr(value))


def named(name: str) -> str:
    """A name out of a request, cut to a length that an error message can bear."""
    return f'"{_cut(name)}"'


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_ECHO else text[:LONGEST_ECHO] + "…"
