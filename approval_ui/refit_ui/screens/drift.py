"""Drift analysis: the columns that moved, in the bands that Refit decides by."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st
from markupsafe import Markup

from refit.api.measured import LastMeasurement
from refit.api.objects import Model
from refit.kube.cluster import ClusterError
from refit_ui import charts, drawing
from refit_ui.collector import NotShownError
from refit_ui.live import screen
from refit_ui.screens import choosing
from refit_ui.session import Visit
from refit_ui.views.drift import Drift, Whole, drift, whole
from refit_ui.views.performance import Tile
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import SIGNS, TONE_OF, Band, Chip, Tone

DRAWN = 100
"""Bars; a picture of more is longer than a browser draws."""


def draw() -> None:
    drawing.heading("Drift analysis", "How far the requests of late are from what the model learned from.")
    screen(_body)


def _body(found: Visit, snapshot: Snapshot) -> None:
    model = choosing.model(found, snapshot, "drift")
    if model is None:
        return
    last = model.status.last_measurement
    if last is None:
        drawing.empty(
            "Not measured yet",
            "A measurement needs monitoring in the model's spec, a request log, and enough requests.",
        )
        return
    found_whole, why = _whole(found, model, last)
    shown = drift(last, datetime.now(UTC), found_whole)
    _tiles(shown)
    drawing.draw(Markup('<p class="rf-reason">{}</p>').format(shown.message))
    if shown.bars:
        _columns(shown, "Columns" if found_whole is not None else "Columns that drifted")
    if shown.others:
        drawing.empty(f"{shown.others} other columns did not drift, and are not shown", why)
    if shown.report:
        drawing.draw(Markup('<p class="rf-small">The whole report is under Reports.</p>'))


def _whole(found: Visit, model: Model, last: LastMeasurement) -> tuple[Whole | None, str]:
    """Every column, or none and why. What is kept under a key never changes, so it is asked for until it is had."""
    key = (model.namespace, model.name, last.key)
    if key not in found.measured:
        try:
            record = whole(found.cluster.measurement(model, last.key))
        except NotShownError as error:
            return None, str(error)
        except ClusterError:
            return None, "The cluster can not be reached."
        if record is None:
            return None, "What the collector keeps of them is unreadable."
        found.measured[key] = record
    return found.measured[key], ""


def _columns(shown: Drift, title: str) -> None:
    drawing.section(title, "An effect below 0.5 is low, from 0.5 to 0.7 medium, above 0.7 high.")
    _legend()
    st.altair_chart(
        charts.effects(shown.bars[:DRAWN]), key="drift-bars", alt="A bar per column; the table below says the same"
    )
    if len(shown.bars) > DRAWN:
        drawing.draw(Markup('<p class="rf-small">The {} largest are drawn; the table has all.</p>').format(DRAWN))
    drawing.table(
        title,
        ("Column", "Effect", "Drifted", "Measured by", "p-value, corrected"),
        [(one.column, one.chip, "yes" if one.drifted else "no", one.method, one.p_value) for one in shown.bars],
    )


def _tiles(shown: Drift) -> None:
    worst = shown.bars[0].effect if shown.bars else 0.0
    word = shown.bars[0].chip if shown.bars else Chip(Tone.GOOD, "none")
    prediction = shown.prediction
    drawing.tiles(
        (
            Tile(name="Verdict", value=shown.verdict.word, below=f"measured {shown.when}", tone=shown.verdict.tone),
            Tile(
                name="Largest effect", value=f"{worst:.2f}" if shown.bars else "none", below=word.word, tone=word.tone
            ),
            Tile(
                name="Predictions",
                value=f"{prediction.effect:.2f}" if prediction is not None else "not known",
                below=prediction.chip.word if prediction is not None else "",
                tone=prediction.chip.tone if prediction is not None else Tone.CALM,
            ),
            Tile(name="Rows", value=f"{shown.rows:,}", below=f"data quality {shown.data}"),
        )
    )


def _legend() -> None:
    ranges = {Band.LOW: "below 0.5", Band.MEDIUM: "0.5 to 0.7", Band.HIGH: "above 0.7"}
    chips = Markup(" ").join(
        Markup('<span class="rf-chip rf-{}"><span aria-hidden="true">{}</span>{} {}</span>').format(
            TONE_OF[one], SIGNS[TONE_OF[one]], one, ranges[one]
        )
        for one in Band
    )
    drawing.draw(Markup('<div class="rf-chips">{}</div>').format(chips))
