"""What is around every screen: sign-in, navigation, who and where one is, and how much waits."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import streamlit as st
from markupsafe import Markup
from streamlit.navigation.page import StreamlitPage

from refit_ui import drawing, signing
from refit_ui.live import refreshed
from refit_ui.screens import (
    activity,
    approvals,
    comparison,
    drift,
    overview,
    performance,
    prediction,
    reports,
    requesting,
    trends,
)
from refit_ui.session import NAME, Visit, visit
from refit_ui.views.tones import Tone

MARK, ICON = (Path(__file__).with_name(name) for name in ("mark.svg", "icon.svg"))
ALL = "All namespaces"
FIRST = "home"
SCREENS = {
    "Decide": (
        ("Approvals", FIRST, ":material/fact_check:", approvals.draw),
        ("Overview", "overview", ":material/grid_view:", overview.draw),
    ),
    "Look": (
        ("Model performance", "performance", ":material/speed:", performance.draw),
        ("Drift analysis", "drift", ":material/water:", drift.draw),
        ("Historical trends", "trends", ":material/timeline:", trends.draw),
        ("Agent activity", "activity", ":material/history:", activity.draw),
        ("Compare versions", "compare", ":material/difference:", comparison.draw),
        ("Reports", "reports", ":material/description:", reports.draw),
    ),
    "Do": (
        ("Try a prediction", "predict", ":material/play_circle:", prediction.draw),
        ("Request a repair", "request", ":material/build:", requesting.draw),
    ),
}


def draw() -> None:
    """One run of the page."""
    found = visit()
    signing.from_oidc(found)
    found.read()
    waiting = len(found.snapshot.waiting) if found.snapshot is not None else 0
    st.set_page_config(
        page_title=f"({waiting}) Refit" if waiting else "Refit",
        page_icon=str(ICON),
        layout="wide",
        menu_items={"Get help": None, "Report a bug": None, "About": None},
    )
    st.html(drawing.STYLE)
    st.logo(str(MARK), size="large")
    pages = _pages()
    if found.identity is None:
        st.navigation(pages, position="hidden")
        signing.draw(found)
        return
    page = st.navigation(pages)
    with st.sidebar:
        refreshed(partial(_badge, found))
        _place(found)
        _person(found)
    page.run()


def _pages() -> dict[str, list[StreamlitPage]]:
    """The first screen is at /, as the first one always is; that it also answers to its name is for people's links."""
    found = {
        group: [
            st.Page(screen, title=title, url_path=path, icon=icon, default=path == FIRST)
            for title, path, icon, screen in screens
        ]
        for group, screens in SCREENS.items()
    }
    home = found["Decide"][0]

    def lead_on() -> None:
        st.switch_page(home, query_params=st.query_params.to_dict())

    found["Decide"].append(st.Page(lead_on, title="Approvals", url_path="approvals", visibility="hidden"))
    return found


def _badge(found: Visit) -> None:
    found.read()
    waiting = found.snapshot.waiting if found.snapshot is not None else ()
    own = sum(one.uid in found.snapshot.granted for one in waiting) if found.snapshot is not None else 0
    words = "waits for a decision" if len(waiting) == 1 else "wait for a decision"
    drawing.draw(
        Markup('<div class="rf-badge rf-{}" role="status"><b>{}</b><span>{}</span></div>').format(
            Tone.DOUBT if own else Tone.CALM, len(waiting), words if waiting else "Nothing waits for a decision"
        )
    )


def _place(found: Visit) -> None:
    seen = {one.namespace for one in found.snapshot.models} if found.snapshot is not None else set()
    offered = sorted(seen | set(found.settings.namespaces) | ({found.namespace} if found.namespace else set()))
    options = [ALL, *offered]
    chosen = st.selectbox(
        "Namespace",
        options,
        index=options.index(found.namespace) if found.namespace in options else 0,
        accept_new_options=True,
        help="Type the name of a namespace that is not listed.",
    )
    wanted = None if chosen in {None, ALL} else str(chosen).strip()
    if wanted is not None and not NAME.fullmatch(wanted):
        drawing.note(Tone.DOUBT, "That can not be a namespace", "A name has a-z, 0-9 and dashes.")
    elif wanted != found.namespace:
        found.namespace = wanted
        found.forget()
        st.rerun()


def _person(found: Visit) -> None:
    identity = found.identity
    if identity is None:
        return
    cluster = Markup("at {}").format(found.settings.cluster_name) if found.settings.cluster_name else Markup()
    drawing.draw(Markup('<p class="rf-who">Signed in as<b>{}</b>{}</p>').format(identity.name, cluster))
    if identity.ends_soon(datetime.now(UTC)):
        drawing.note(Tone.DOUBT, "Your sign-in ends soon", f"at {identity.expires:%H:%M} UTC")
    st.button("Sign out", on_click=partial(signing.sign_out, found), width="stretch")
