"""Parts that refresh themselves, and what is drawn while the cluster can not be read."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from refit_ui import drawing
from refit_ui.session import NAME, Visit, visit
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import Tone

Screen = Callable[[Visit, Snapshot], None]


def refreshed(part: Callable[[], object]) -> None:
    """Draws the part, and again by itself every so many seconds without the rest of the page."""
    found = visit()

    def drawn() -> None:
        part()
        if found.identity is None:
            st.rerun()

    st.fragment(drawn, run_every=found.settings.refresh_seconds)()


def screen(draw: Screen) -> None:
    """The body of a screen: the last reading, with a banner if it could not be renewed, or why there is none."""
    found = visit()

    def body() -> None:
        if found.snapshot is None and found.failure is None:
            with st.spinner("Reading from the cluster…"):
                found.read()
        else:
            found.read()
        if found.identity is None:
            return
        # In a place of its own, there or not: what moves on the screen loses what is being typed in it.
        with st.container():
            _banner(found)
        if found.snapshot is not None:
            draw(found, found.snapshot)

    refreshed(body)


def writable(found: Visit) -> bool:
    """Whether there is any point in a button: one pressed after the sign-in ended keeps what was written with it."""
    return found.identity is not None and (found.failure is None or found.failure.ended)


def _banner(found: Visit) -> None:
    failure, snapshot = found.failure, found.snapshot
    if failure is not None and failure.refused:
        drawing.note(Tone.DOUBT, "The cluster does not show you this", failure.cause)
        _other_namespace(found)
    elif failure is not None and failure.ended:
        told = "Sign in again to go on; what you wrote is kept. What stands below is what you saw last."
        drawing.note(Tone.DOUBT, "Your sign-in has ended", told)
        st.button("Sign in again", key="again", type="primary", on_click=found.sign_out)
    elif failure is not None:
        told = f"{failure.cause}. The page tries again every {found.settings.refresh_seconds} seconds."
        if snapshot is not None:
            told += (
                f" What stands below was read at {snapshot.at:%H:%M:%S} UTC; buttons are off until the cluster answers."
            )
        drawing.note(Tone.BAD, "The cluster can not be reached", told)
    for one in snapshot.unreadable if snapshot is not None else ():
        drawing.note(Tone.DOUBT, "One object could not be read", one)


def _other_namespace(found: Visit) -> None:
    with st.form("namespace", border=False):
        name = st.text_input("Namespace that you work in", value=found.namespace or "", max_chars=63)
        sent = st.form_submit_button("Show it", type="primary")
    if sent and NAME.fullmatch(name.strip()):
        found.namespace = name.strip()
        found.forget()
        st.rerun()
    elif sent:
        drawing.note(Tone.DOUBT, "That can not be a namespace", "A name has a-z, 0-9 and dashes.")
