"""One colour language for the whole page: what is good, doubtful, bad, at work, or nothing of these.

A tone never stands alone: wherever there is one there is also a word and a sign, for who sees no colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MEDIUM_FROM, HIGH_ABOVE = 0.5, 0.7
"""The bands of severities and effects: [0, 0.5) low, [0.5, 0.7] medium, (0.7, 1] high."""


class Tone(StrEnum):
    GOOD = "good"
    DOUBT = "doubt"
    BAD = "bad"
    WORK = "work"
    CALM = "calm"


SIGNS = {Tone.GOOD: "✓", Tone.DOUBT: "!", Tone.BAD: "✗", Tone.WORK: "…", Tone.CALM: "·"}


@dataclass(frozen=True)
class Chip:
    """A word with its tone."""

    tone: Tone
    word: str


class Band(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


TONE_OF = {Band.LOW: Tone.GOOD, Band.MEDIUM: Tone.DOUBT, Band.HIGH: Tone.BAD}
BANDS = tuple(Band)


def band(value: float) -> Band:
    """The band of a number from 0 to 1."""
    if value > HIGH_ABOVE:
        return Band.HIGH
    return Band.MEDIUM if value >= MEDIUM_FROM else Band.LOW


def banded(value: float, prefix: str = "") -> Chip:
    """A number with the word and the tone of its band."""
    found = band(value)
    return Chip(TONE_OF[found], f"{prefix}{value:.2f} {found}")
