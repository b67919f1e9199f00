"""Reports: what was written about models and requests, to read or to keep."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from refit_ui import drawing
from refit_ui.live import screen
from refit_ui.session import Visit
from refit_ui.tracking import AwayError, Tracking
from refit_ui.views.reports import Report, is_as_stored, reports
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import Tone

SHOWN = 50
MIME = {"pdf": "application/pdf", "json": "application/json"}
"""Of what is handed on; anything else, HTML above all, is a file and never a page of this site."""


def draw() -> None:
    drawing.heading("Reports", "Of measurements, deployments, incidents and decisions, the newest first.")
    screen(_body)


def _body(found: Visit, snapshot: Snapshot) -> None:
    there = reports(snapshot)
    if not there:
        drawing.empty(
            "No reports yet", "A report is written when a model drifts and when a request has come to its end."
        )
        return
    for place, one in enumerate(there[:SHOWN]):
        with st.container(border=True):
            left, right = st.columns([4, 1], vertical_alignment="center")
            with left:
                drawing.draw(_told(one))
            with right:
                _file(found, one, f"report-{one.uri or place}")
    if len(there) > SHOWN:
        drawing.draw(Markup('<p class="rf-small">{} older ones are not shown.</p>').format(len(there) - SHOWN))


def _told(one: Report) -> Markup:
    name = (
        Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(one.uri, one.name)
        if one.linked
        else Markup("{}").format(one.name)
    )
    return Markup('<p class="rf-reason"><strong>{}</strong></p><p class="rf-small">{}/{} · {} · {}</p>').format(
        name, one.namespace, one.model, one.of, one.time
    )


def _file(found: Visit, one: Report, key: str) -> None:
    """In two steps, so that nothing is fetched that nobody wants."""
    tracking = Tracking(found.settings.tracking_uri)
    if not tracking.holds(one.uri):
        return
    content = st.session_state.get(f"{key}-content")
    if content is None and st.button("Fetch", key=key, width="stretch", help="From MLflow, to download"):
        content = _fetched(tracking, one)
        st.session_state[f"{key}-content"] = content
    if content is not None:
        kind = MIME.get(one.name.rpartition(".")[2].lower(), "application/octet-stream")
        st.download_button(
            "Download", content, file_name=one.name, mime=kind, key=f"{key}-download", width="stretch", type="primary"
        )


def _fetched(tracking: Tracking, one: Report) -> bytes | None:
    """The file, if it is there and the one that was stored."""
    try:
        content = tracking.file(one.uri)
    except AwayError as error:
        drawing.note(Tone.DOUBT, "Not there", str(error))
        return None
    if is_as_stored(one, content):
        return content
    drawing.note(
        Tone.BAD, "Not what was stored", "Its digest is another one than the model's status says; it is not handed on."
    )
    return None
