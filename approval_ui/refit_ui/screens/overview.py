"""Overview: every model with its health, the worst first."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st
from markupsafe import Markup

from refit_ui import drawing
from refit_ui.live import screen
from refit_ui.session import Visit
from refit_ui.views.health import ModelRow, overview
from refit_ui.views.performance import Tile
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import Tone

HEADS = ("Model", "Health", "Version", "Metric", "Drift", "Measured", "Requests")


def draw() -> None:
    drawing.heading("Overview", "Every model that you may see, those that need somebody first.")
    screen(_body)


def _body(found: Visit, snapshot: Snapshot) -> None:
    shown = overview(snapshot, datetime.now(UTC))
    if not shown.models:
        where = f"namespace {found.namespace}" if found.namespace else "any namespace"
        drawing.empty(
            "No models yet", f"There is no ModelDeployment in {where}. Apply one with kubectl, and it appears here."
        )
        return
    drawing.tiles(
        (
            Tile(name="Models", value=str(shown.models), below=f"{shown.well} healthy", tone=Tone.GOOD),
            Tile(
                name="Drifted",
                value=str(shown.drifted),
                tone=Tone.DOUBT,
                below="look at Drift analysis" if shown.drifted else "none",
            ),
            Tile(
                name="In trouble",
                value=str(shown.troubled),
                tone=Tone.BAD if shown.troubled else Tone.CALM,
                below="need a person" if shown.troubled else "none",
            ),
            Tile(
                name="Waiting for a decision",
                value=str(shown.waiting),
                tone=Tone.DOUBT if shown.waiting else Tone.CALM,
                below="see Approvals" if shown.waiting else "nothing",
            ),
        )
    )
    rows = shown.rows
    if len(rows) > 8:  # noqa: PLR2004  # below that, eyes are faster
        sought = st.text_input("Find a model", placeholder="Part of a name", key="find-model").strip().casefold()
        rows = tuple(row for row in rows if sought in f"{row.namespace}/{row.name}".casefold())
    if not rows:
        drawing.empty("No model of that name", "Another part of its name may find it.")
        return
    drawing.table("Models", HEADS, [_row(row) for row in rows])
    drawing.draw(Markup('<p class="rf-small">Read at {} UTC.</p>').format(f"{snapshot.at:%H:%M:%S}"))


def _row(row: ModelRow) -> tuple[str | Markup, ...]:
    waiting = f"{row.waiting} waiting" if row.waiting else f"{row.open} open" if row.open else "none"
    return (
        Markup('<span><strong>{}</strong><span class="rf-soft">{}</span></span>').format(row.name, row.namespace),
        Markup('<span>{}<span class="rf-soft">{}</span></span>').format(drawing.chip(row.health), row.why),
        row.version,
        row.metric,
        row.drift,
        row.measured,
        waiting,
    )
