"""Small pieces of HTML for all screens. Every text goes through `Markup.format`, which escapes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import streamlit as st
from markupsafe import Markup, escape

from refit_ui.views.performance import Tile
from refit_ui.views.proposals import Impact, tone_of
from refit_ui.views.tones import SIGNS, Chip, Tone

STYLE = Path(__file__).with_name("style.css")
_MARKDOWN = re.compile(r"([!-/:-@\[-`{-~])")


def draw(piece: Markup) -> None:
    st.html(str(piece))


def plain(text: str) -> str:
    """Text for a place that reads Markdown, such as the label of a field, with nothing in it that Markdown obeys."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def chip(found: Chip) -> Markup:
    return Markup('<span class="rf-chip rf-{}"><span aria-hidden="true">{}</span>{}</span>').format(
        found.tone, SIGNS[found.tone], found.word
    )


def heading(title: str, below: str = "") -> None:
    """The one h1 of a screen."""
    draw(Markup('<header class="rf-head"><h1>{}</h1><p>{}</p></header>').format(title, below))


def section(title: str, below: str = "") -> None:
    note = Markup("<p>{}</p>").format(below) if below else Markup()
    draw(Markup('<div class="rf-section"><h2>{}</h2>{}</div>').format(title, note))


def tiles(found: Iterable[Tile]) -> None:
    cells = Markup().join(
        Markup(
            '<div class="rf-tile"><dt>{}</dt><dd><span class="rf-value">{}</span><span class="rf-below rf-{}">{}</span></dd></div>'
        ).format(one.name, one.value, one.tone, one.below)
        for one in found
    )
    draw(Markup('<dl class="rf-tiles">{}</dl>').format(cells))


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[str | Markup | Chip]], *, wide: bool = True
) -> None:
    """A table that a screen reader can walk; on a narrow screen each row becomes a block with its heads."""
    top = Markup().join(Markup('<th scope="col">{}</th>').format(one) for one in heads)
    lines = Markup().join(
        Markup("<tr>{}</tr>").format(
            Markup().join(
                Markup('<td data-head="{}">{}</td>').format(
                    head, chip(cell) if isinstance(cell, Chip) else escape(cell)
                )
                for head, cell in zip(heads, row, strict=True)
            )
        )
        for row in rows
    )
    draw(
        Markup(
            '<table class="rf-table{}"><caption>{}</caption><thead><tr>{}</tr></thead><tbody>{}</tbody></table>'
        ).format(" rf-wide" if wide else "", caption, top, lines)
    )


def facts(found: Iterable[tuple[str, str]]) -> None:
    rows = Markup().join(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value) for name, value in found)
    draw(Markup('<dl class="rf-facts">{}</dl>').format(rows))


def changes(found: Iterable[tuple[str, str, str]]) -> Markup:
    rows = Markup().join(
        Markup(
            '<li><span class="rf-what">{}</span><del>{}</del><span aria-hidden="true">→</span>'
            '<span class="rf-sr">becomes</span><ins>{}</ins></li>'
        ).format(what, before, after)
        for what, before, after in found
    )
    return Markup('<ul class="rf-changes">{}</ul>').format(rows)


def note(tone: Tone, title: str, text: str | Markup = "") -> None:
    """A banner; a screen reader says it at once."""
    draw(
        Markup('<div class="rf-note rf-{}" role="status"><strong>{}</strong><div>{}</div></div>').format(
            tone, title, text
        )
    )


def empty(title: str, text: str) -> None:
    """Where there is nothing to show, and why."""
    draw(Markup('<div class="rf-empty"><strong>{}</strong><p>{}</p></div>').format(title, text))


def impact(found: Impact) -> Markup:
    """Now and predicted on one line, with the interval; the numbers stand beside it, so the picture is decoration."""
    values = (found.now, found.predicted, found.low, found.high)
    least, most = min(values), max(values)
    room = (most - least) * 0.15 or 0.05
    least, most = least - room, most + room

    def at(value: float) -> str:
        return f"{100 * (value - least) / (most - least):.1f}%"

    width = f"{100 * (found.high - found.low) / (most - least):.1f}%"
    return Markup(
        '<div class="rf-impact rf-{tone}"><p><span class="rf-metric">{metric}</span> '
        '<span class="rf-now">{now}</span> <span aria-hidden="true">→</span><span class="rf-sr">is expected to become</span> '
        '<strong>{predicted}</strong> <span class="rf-interval">90 % interval {low} to {high}</span></p>'
        '<div class="rf-track" aria-hidden="true"><i class="rf-band" style="left:{left};width:{width}"></i>'
        '<i class="rf-tick" style="left:{at_now}"></i><i class="rf-dot" style="left:{at_predicted}"></i></div>'
        '<div class="rf-legend" aria-hidden="true"><span class="rf-key-tick">now</span>'
        '<span class="rf-key-dot">predicted</span><span class="rf-key-band">interval</span></div>'
        '<p class="rf-method">{method}</p></div>'
    ).format(
        tone=tone_of(found),
        metric=found.metric,
        now=f"{found.now:.3g}",
        predicted=f"{found.predicted:.3g}",
        low=f"{found.low:.3g}",
        high=f"{found.high:.3g}",
        left=at(found.low),
        width=width,
        at_now=at(found.now),
        at_predicted=at(found.predicted),
        method=f"Measured by {found.method}.",
    )
