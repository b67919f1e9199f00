"""The terminal: where a command's words go, whether they may have colours, and who answers a question.

What people wrote (reasons, notes, names) is data: control characters in it are shown, never obeyed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

GREEN, YELLOW, RED, RESET = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"
TONES = {
    **dict.fromkeys(("True", "Serving", "Executed", "ok", "same", "NoDrift", "Approved"), GREEN),
    **dict.fromkeys(("AwaitingApproval", "Executing", "Candidate", "Unknown", "Inconclusive", "Pending"), YELLOW),
    **dict.fromkeys(("False", "Failed", "Rejected", "Expired", "problem", "different", "Drift"), RED),
}
"""Words that have a colour wherever they are a whole cell."""
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that a terminal obeys or shows as nothing: controls, turns of direction, line breaks."""


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """`ask` is None where nobody sits."""

    out: TextIO
    err: TextIO
    ask: Callable[[str], str] | None = None
    colours: bool = False

    def say(self, text: str) -> None:
        print(text, file=self.out)

    def complain(self, text: str) -> None:
        print(f"kubectl refit: {text}", file=self.err)


def colours(word: str, environment: Mapping[str, str], is_terminal: bool) -> bool:
    """Whether to colour: never where NO_COLOR is set (no-color.org) or nobody looks."""
    return word == "auto" and is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def printable(text: object) -> str:
    """Text on one line that a terminal only shows."""
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in HIDDEN else letter
        for letter in str(text)
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], *, coloured: bool = False) -> str:
    """Aligned columns, three spaces apart as kubectl has them."""
    lines = [tuple(heads), *(tuple(printable("" if cell is None else cell) for cell in row) for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths, coloured and place > 0) for place, line in enumerate(lines))


def pairs(rows: Sequence[tuple[str, object]], *, coloured: bool = False) -> str:
    """Names and what they are, a line each; those without a value are left out."""
    kept = [(name, printable(value)) for name, value in rows if value not in (None, "")]
    widths = [max((len(name) for name, _ in kept), default=0), 0]
    return "\n".join(_line(row, widths, coloured) for row in kept)


def _line(cells: Sequence[str], widths: Sequence[int], coloured: bool) -> str:
    padded = [
        (f"{TONES[cell]}{cell}{RESET}" if coloured and cell in TONES else cell) + " " * (width - _width(cell))
        for cell, width in zip(cells, widths, strict=True)
    ]
    return "   ".join(padded).rstrip()


def _width(text: str) -> int:
    """Columns that a terminal gives to it."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(bool(unicodedata.combining(letter)) for letter in text)
