"""Charts: places computed here, drawn by templates/charts.html.j2. The same values give the same picture.

Two kinds are enough: bars from 0 to 1 over the bands of severity, and values with their intervals on one axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from refit.report.wording import number, shortened

WIDTH, WIDTH_MM = 680.0, 174.0
"""Of a chart, in units of its own and on paper."""
LEFT, RIGHT = 170.0, 600.0
"""Where an axis begins and ends; names stand before it, numbers behind."""
GAP, WORD = 10.0, 80.0
"""Between an axis and words; the width of a word at a tick."""
ROW, LINE = 24.0, 15.0
NAME = 24
"""Characters of a name beside a bar; a wider script is cut where the room ends."""
MEDIUM, HIGH = 0.5, 0.7
"""Where the bands begin: low below the first, high above the second."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One value from 0 to 1, and where it counts from."""

    name: str
    value: float
    threshold: float | None = None
    flagged: bool = False


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One value, how far it might be off, and what is asked of it. `tone` is now, predicted, realised, bad or other."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    tone: str = "other"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class DrawnBar:
    y: float
    width: float
    threshold: float | None
    tone: str


@dataclass(frozen=True, kw_only=True)
class DrawnMark:
    y: float
    x: float
    low: float | None
    high: float | None
    bound: float | None
    tone: str


@dataclass(frozen=True, kw_only=True)
class Band:
    left: float
    width: float
    word: str


@dataclass(frozen=True, kw_only=True)
class Tick:
    x: float
    told: str


@dataclass(frozen=True, kw_only=True)
class Label:
    """Words at a place; `role` is name, value, strong, tick or band."""

    text: str
    left: float
    top: float
    width: float
    role: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What a template draws; `alt` says the same in words."""

    kind: str
    alt: str
    height: float
    labels: tuple[Label, ...]
    bars: tuple[DrawnBar, ...] = ()
    bands: tuple[Band, ...] = ()
    marks: tuple[DrawnMark, ...] = ()
    ticks: tuple[Tick, ...] = ()
    zero: float | None = None
    left: float = LEFT
    width: float = WIDTH

    @property
    def bottom(self) -> float:
        """Where the axis stands."""
        return self.height - 24

    @staticmethod
    def mm(units: float) -> float:
        """On paper."""
        return round(units * WIDTH_MM / WIDTH, 2)


def bars(values: Sequence[Bar], alt: str) -> Chart:
    """Bars on an axis from 0 to 1, with the bands behind them."""
    top = 26.0
    height = top + len(values) * ROW + 28
    drawn, labels = [], []
    for place, bar in enumerate(values):
        y = top + place * ROW
        drawn.append(
            DrawnBar(
                y=y,
                width=_whole((RIGHT - LEFT) * min(1.0, max(0.0, bar.value))),
                threshold=_on_axis(bar.threshold, 0.0, 1.0) if bar.threshold is not None else None,
                tone=band(bar.value) if bar.flagged else "quiet",
            )
        )
        labels += _row(bar.name, f"{bar.value:.2f}", y + (ROW - LINE) / 2, strong=bar.flagged)
    ticks = tuple(Tick(x=_on_axis(at, 0.0, 1.0), told=f"{at:g}") for at in (0.0, 0.25, MEDIUM, HIGH, 1.0))
    bands = tuple(
        Band(left=_on_axis(begin, 0.0, 1.0), width=_whole((RIGHT - LEFT) * (end - begin)), word=word)
        for begin, end, word in ((0.0, MEDIUM, "low"), (MEDIUM, HIGH, "medium"), (HIGH, 1.0, "high"))
    )
    labels += [Label(text=each.word, left=each.left, top=4, width=each.width, role="band") for each in bands]
    labels += _at_ticks(ticks, height)
    return Chart(kind="bars", alt=alt, height=height, labels=tuple(labels), bars=tuple(drawn), bands=bands, ticks=ticks)


def intervals(values: Sequence[Mark], alt: str, *, zero: bool = False) -> Chart:
    """Values with intervals on an axis that holds them all; with `zero`, it and a line there too."""
    ends = [end for mark in values for end in (mark.value, mark.low, mark.high, mark.bound) if end is not None] + (
        [0.0] if zero else []
    )
    places = steps(min(ends), max(ends))
    low, high = places[0], places[-1]
    row = ROW * 1.2
    height = 10 + len(values) * row + 30
    drawn, labels = [], []
    for place, mark in enumerate(values):
        middle = 10 + place * row + ROW / 2

        def at(value: float | None) -> float | None:
            return _on_axis(value, low, high) if value is not None else None

        drawn.append(
            DrawnMark(
                y=_whole(middle),
                x=_on_axis(mark.value, low, high),
                low=at(mark.low),
                high=at(mark.high),
                bound=at(mark.bound),
                tone=mark.tone,
            )
        )
        labels += _row(mark.name, mark.note or number(mark.value), middle - LINE / 2, strong=True)
    ticks = tuple(Tick(x=_on_axis(value, low, high), told=f"{value:,.10g}") for value in places)
    labels += _at_ticks(ticks, height)
    return Chart(
        kind="intervals",
        alt=alt,
        height=_whole(height),
        labels=tuple(labels),
        marks=tuple(drawn),
        ticks=ticks,
        zero=_on_axis(0.0, low, high) if zero else None,
    )


def _row(name: str, value: str, top: float, *, strong: bool) -> list[Label]:
    """The words beside one bar or mark: its name before the axis, its value behind."""
    role = "strong" if strong else "value"
    return [
        Label(text=shortened(name, NAME), left=0, top=top, width=LEFT - GAP, role="name"),
        Label(text=value, left=RIGHT + GAP, top=top, width=WIDTH - RIGHT - GAP, role=role),
    ]


def _at_ticks(ticks: Sequence[Tick], height: float) -> list[Label]:
    return [Label(text=tick.told, left=tick.x - WORD / 2, top=height - 18, width=WORD, role="tick") for tick in ticks]


def band(value: float) -> str:
    """The band of a severity or an effect."""
    if value < MEDIUM:
        return "low"
    return "medium" if value <= HIGH else "high"


def steps(low: float, high: float) -> tuple[float, ...]:
    """Round places on an axis that holds both ends: four to seven of them."""
    span = high - low if high > low else max(abs(high), 1.0) * 0.1
    rough = span / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    if first == last:
        first, last = first - 1, last + 1
    return tuple(round(at * step, 12) for at in range(first, last + 1))


def _on_axis(value: float, low: float, high: float) -> float:
    return _whole(LEFT + (RIGHT - LEFT) * (value - low) / (high - low))


def _whole(place: float) -> float:
    """To a tenth: finer places make the file longer, and nobody sees them."""
    return round(place, 1)
