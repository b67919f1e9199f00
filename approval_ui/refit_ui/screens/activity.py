"""Agent activity: what was proposed, who decided, what came of it, and all of that as a file."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st
from markupsafe import Markup

from refit_ui import drawing
from refit_ui.live import screen
from refit_ui.session import Visit
from refit_ui.views.activity import Entry, as_csv, chosen, entries, tone, words
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import Chip

DAYS = 7
SHOWN = 200
HEADS = ("Time", "What", "Status", "Who", "Predicted", "Came of it")


def draw() -> None:
    drawing.heading("Agent activity", f"The last {DAYS} days, the newest first.")
    screen(_body)


def _body(_: Visit, snapshot: Snapshot) -> None:
    all_of_it = entries(snapshot.requests, datetime.now(UTC), DAYS)
    if not all_of_it:
        drawing.empty(
            "Nothing happened", f"Refit proposed nothing in the last {DAYS} days, and nobody asked for anything."
        )
        return
    one, two, three = st.columns([1, 1, 1])
    models = one.multiselect("Models", sorted({each.model for each in all_of_it}), key="activity-models")
    statuses = two.multiselect("Statuses", words(), key="activity-statuses")
    text = three.text_input("Any word", key="activity-text", placeholder="A name, a reason, a feature")
    found = chosen(all_of_it, models=models, statuses=statuses, text=text)
    if not found:
        drawing.empty("Nothing of that kind", "Fewer filters show more.")
        return
    drawing.table("Activity", HEADS, [_row(each) for each in found[:SHOWN]])
    told = f"{len(found)} of {len(all_of_it)} entries" + (f", {SHOWN} shown" if len(found) > SHOWN else "")
    drawing.draw(Markup('<p class="rf-small">{}. The signed record of all time is the audit.</p>').format(told))
    st.download_button(
        "Download as CSV",
        as_csv(found),
        file_name=f"refit-activity-{snapshot.at:%Y%m%d-%H%M}.csv",
        mime="text/csv",
        icon=":material/download:",
    )


def _row(one: Entry) -> tuple[str | Markup | Chip, ...]:
    day, _, hour = one.time.removesuffix("Z").partition("T")
    return (
        Markup('<span class="rf-nowrap">{}<span class="rf-soft">{}</span></span>').format(day, hour),
        Markup('<span><strong>{}</strong> {}<span class="rf-soft">{}</span></span>').format(
            one.model, one.action, one.why
        ),
        Chip(tone(one.status), one.status),
        one.people,
        one.predicted.replace("->", "→"),
        Markup('<span>{}<span class="rf-soft">{}</span></span>').format(one.came, one.measured),
    )
