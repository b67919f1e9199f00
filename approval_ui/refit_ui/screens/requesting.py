"""Request a repair: a retraining or a rollback in the person's own name. Somebody else then decides on it."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from refit.api.deploymentstatus import VersionRecord, VersionState
from refit.api.objects import Model
from refit.api.remediationrequest import Action
from refit.api.wanted import NOTE_LIMIT, Impossible, Wanted, rolling_back, then
from refit.kube.answers import RefusalError
from refit.kube.cluster import ClusterError
from refit_ui import drawing
from refit_ui.cluster import SignedOutError
from refit_ui.deciding import BY_POLICY
from refit_ui.live import screen, writable
from refit_ui.screens import choosing
from refit_ui.session import Visit
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import Tone

RETRAIN, ROLL_BACK = "Retrain on new data", "Roll back to an earlier version"


def draw() -> None:
    drawing.heading("Request a repair", "You ask; Refit works out what it would bring; somebody who may then decides.")
    screen(_body)


def _body(found: Visit, snapshot: Snapshot) -> None:
    model = choosing.model(found, snapshot, "request")
    if model is None or found.identity is None:
        return
    if not _may_ask(found, model.namespace):
        drawing.empty(
            "You may not ask for repairs here",
            f"That needs the role refit-requester in namespace {model.namespace}. Whoever runs the cluster can give it.",
        )
        return
    said = st.session_state.get("asked")
    if said is not None:
        drawing.note(Tone(said[0]), said[1], said[2])
    kind = st.segmented_control("What should be done?", (RETRAIN, ROLL_BACK), default=RETRAIN, key="asked-kind")
    wanted: Wanted | Impossible = Wanted(action=Action.RETRAIN)
    if kind == ROLL_BACK:
        wanted = _to_version(model)
    if isinstance(wanted, Impossible):
        drawing.empty("There is no version to go back to", wanted.why)
        return
    drawing.draw(Markup('<p class="rf-reason">{}.</p>').format(_sentence(then(model, wanted.action))))
    with st.form("request", clear_on_submit=False, enter_to_submit=False):
        note = st.text_area(
            "Why",
            key="asked-note",
            max_chars=NOTE_LIMIT,
            height=100,
            placeholder="What made you ask? Whoever decides reads this.",
        )
        sent = st.form_submit_button("Ask for it", type="primary", disabled=not writable(found))
    if sent:
        st.session_state["asked"] = _send(found, model, wanted, note.strip())
        st.rerun()


def _may_ask(found: Visit, namespace: str) -> bool:
    """Asked once a session; if it can not be asked, the click will tell."""
    if namespace not in found.may_ask:
        try:
            found.may_ask[namespace] = found.cluster.may_ask(namespace)
        except ClusterError:
            return True
    return found.may_ask[namespace]


def _to_version(model: Model) -> Wanted | Impossible:
    default = rolling_back(model, None)
    if isinstance(default, Impossible):
        return default
    there = [one for one in model.status.history if one.state == VersionState.RETIRED and one.since is not None]
    there.sort(key=lambda one: one.version != default.parameters.to_version)
    chosen = st.selectbox("Version", there, format_func=_named, key=f"asked-version-{model.uid}")
    return rolling_back(model, chosen.version)


def _named(one: VersionRecord) -> str:
    return f"v{one.version} · {one.algorithm} · {one.metric} {float(one.value):.3f} · served until {(one.until or 'now')[:10]}"


def _send(found: Visit, model: Model, wanted: Wanted, note: str) -> tuple[str, str, str]:
    """What to tell: tone, title, text."""
    identity = found.identity
    if identity is None:
        return Tone.DOUBT, "Sign in first", ""
    try:
        made = found.cluster.create(model, wanted, identity, note)
    except SignedOutError:
        found.sign_out("The cluster no longer takes your sign-in; nothing was asked for. Sign in again.")
        return Tone.DOUBT, "Nothing was asked for", "Your sign-in had ended."
    except RefusalError as error:
        return Tone.BAD, "The cluster refused this", str(error).rpartition(BY_POLICY)[2]
    except ClusterError as error:
        return Tone.BAD, "The cluster can not be reached", str(error)
    found.read(fresh=True)
    return (
        Tone.GOOD,
        "Asked for",
        f"{made.name}. It appears under Approvals once Refit has worked out what it would bring.",
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
