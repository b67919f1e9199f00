"""Historical trends: thirty days of a model's metric."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from refit.api.summaries import short
from refit_ui import charts, drawing
from refit_ui.live import screen
from refit_ui.screens import choosing
from refit_ui.session import Visit
from refit_ui.tracking import AwayError
from refit_ui.views.runs import Run
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import Tone
from refit_ui.views.trends import DAYS, points, spans


def draw() -> None:
    drawing.heading("Historical trends", f"The last {DAYS} days: every training, and which version served when.")
    screen(_body)


def _body(found: Visit, snapshot: Snapshot) -> None:
    model = choosing.model(found, snapshot, "trends")
    if model is None:
        return
    now = datetime.now(UTC)
    since = (now - timedelta(days=DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
    metric, history = str(model.spec.training.selection.metric), model.status.history
    runs: tuple[Run, ...] = ()
    try:
        runs = choosing.trainings(found.settings.tracking_uri, f"{model.namespace}/{model.name}", since)
    except AwayError as error:
        drawing.note(Tone.CALM, "Only versions are shown, not every training", f"{error}.")
    trained, served = points(runs, history, metric, now), spans(history, metric, now)
    if not trained and not served:
        drawing.empty("Nothing in these days", "No training ended and no version served. Older ones stand in MLflow.")
        return
    drawing.section(f"{metric} over {DAYS} days", "Dots are trainings; a line is a version while it served.")
    st.altair_chart(
        charts.trend(trained, served, metric),
        key="trend",
        alt=f"{metric} of trainings and served versions; the table below says the same",
    )
    if served:
        drawing.section("What served")
        drawing.table(
            "Versions that served",
            ("Version", metric, "Algorithm", "Since", "Until", "Why"),
            [
                (
                    one.version,
                    short(str(one.value)),
                    one.algorithm,
                    f"{one.since:%d %b %H:%M}",
                    "now" if one.until >= now else f"{one.until:%d %b %H:%M}",
                    one.why or "not said",
                )
                for one in reversed(served)
            ],
        )
