"""Approvals: what waits for a person, one card each, with all that a decision needs and the two buttons."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st
from markupsafe import Markup

from refit.api.objects import Model, Request
from refit.kube.decisions import covered
from refit_ui import charts, deciding, drawing
from refit_ui.live import screen, writable
from refit_ui.session import Visit, asked_for, drafts
from refit_ui.views.activity import status
from refit_ui.views.proposals import Card, card, differences, title
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import Tone

LONGEST_REASON = 1024


def draw() -> None:
    drawing.heading("Approvals", "What Refit would do, what that would bring, and what it needs: your yes or no.")
    screen(_body)


def _body(found: Visit, snapshot: Snapshot) -> None:
    waiting = snapshot.waiting
    with (
        st.container()
    ):  # a place of its own, as all that comes and goes has here: what moves loses what is typed in it
        _done(found, snapshot)
    if not waiting:
        drawing.empty(
            "Nothing waits for a decision",
            "When a model drifts or gets worse, what Refit proposes appears here by itself. Nothing risky happens without somebody's yes.",
        )
        return
    named = asked_for("request")
    first = sorted(waiting, key=lambda one: (one.name != named, one.uid not in snapshot.granted, one.created))
    for place, request in enumerate(first):
        _card(found, snapshot, request, unfolded=place == 0 and len(first) == 1)


def _card(found: Visit, snapshot: Snapshot, request: Request, *, unfolded: bool) -> None:
    identity = found.identity
    if identity is None:
        return
    opened = found.opened.setdefault(request.uid, request)
    model = snapshot.model_for(request)
    shown = card(
        request,
        model,
        me=identity.name,
        groups=identity.groups,
        granted=request.uid in snapshot.granted,
        now=datetime.now(UTC),
    )
    changed = covered(opened) != covered(request)
    with st.container(border=True, key=f"card-{request.uid}"):
        _head(shown)
        with st.container():
            if changed:
                _changed(found, opened, request)
            said = found.told.get(request.uid)
            if said is not None:
                drawing.note(Tone(said[0]), *said[1].split("\n", 1))
        left, right = st.columns([1, 1], gap="large")
        with left:
            there = (
                drawing.impact(shown.impact)
                if shown.impact is not None
                else Markup('<p class="rf-reason">Not known.</p><p class="rf-small">{}</p>').format(shown.no_impact)
            )
            drawing.draw(Markup('<p class="rf-label">Predicted impact</p>{}').format(there))
        with right:
            drawing.draw(
                Markup('<p class="rf-label">Exact change</p>{}').format(
                    drawing.changes(shown.changes) if shown.changes else Markup("<p>Nothing of the model's spec.</p>")
                )
            )
        drawing.draw(
            Markup('<p class="rf-small">{}: {}. Needs {}. {} Asked by {}.</p>').format(
                shown.risk.word, shown.risk_why, shown.needs, shown.expires, shown.asked
            )
        )
        _buttons(found, request, shown, changed=changed)
        with st.expander("Details", expanded=unfolded):
            _details(shown, model)


def _head(shown: Card) -> None:
    chips = Markup().join(drawing.chip(one) for one in (shown.severity, shown.risk) if one is not None)
    said = Markup().join(Markup('<p class="rf-small">{}</p>').format(line) for line in shown.said)
    drawing.draw(
        Markup(
            '<div class="rf-cardhead"><h2>{}</h2><div class="rf-chips">{}</div></div><p class="rf-reason">{}</p>{}'
        ).format(shown.title, chips, shown.reason, said)
    )


def _changed(found: Visit, opened: Request, request: Request) -> None:
    rows = differences(opened, request)
    drawing.note(
        Tone.DOUBT,
        "Changed since you opened it",
        Markup("Nothing was decided. This is what differs: {}").format(drawing.changes(rows)),
    )
    st.button(
        "I have looked at it",
        key=f"seen-{request.uid}-{request.resource_version}",
        on_click=deciding.look,
        args=(found, request),
    )


def _buttons(found: Visit, request: Request, shown: Card, *, changed: bool) -> None:
    """The buttons' keys hold the digest: a click on what was drawn before can not become one on what is drawn now."""
    identity, proposal = found.identity, request.status.proposal
    if identity is None or proposal is None:
        return
    if shown.why_not:
        drawing.draw(Markup('<p class="rf-small" role="note"><strong>{}</strong></p>').format(shown.why_not))
        return
    key, off = f"{request.uid}-{proposal.digest[7:19]}", changed or not writable(found)
    field = f"reason-{key}"
    st.text_area(
        "Reason",
        value=drafts().get((identity.name, request.uid), ""),
        key=field,
        placeholder="Needed to reject; welcome when you approve. Others will read it.",
        max_chars=LONGEST_REASON,
        height=80,
        on_change=deciding.keep,
        args=(found, request, field),
    )
    yes, no, _ = st.columns([1, 1, 3])
    for place, (word, decision, kind) in zip((yes, no), deciding.BUTTONS, strict=False):
        place.button(
            word,
            key=f"{word}-{key}",
            type=kind,
            width="stretch",
            disabled=off,
            on_click=deciding.decide,
            args=(found, request, decision, field),
        )
    drawing.draw(
        Markup('<p class="rf-small">You decide as {} on digest {}. A decision is final.</p>').format(
            identity.name, proposal.digest[:19]
        )
    )


def _details(shown: Card, model: Model | None) -> None:
    if shown.evidence:
        drawing.section("Evidence", "How far each column's requests are from what the model learned from.")
        st.altair_chart(
            charts.effects(shown.evidence),
            key=f"evidence-{shown.uid}",
            alt="A bar per drifted column; the table below says the same",
        )
        drawing.table(
            "Drifted columns",
            ("Column", "Effect", "p-value, corrected"),
            [(one.column, one.chip, one.p_value) for one in shown.evidence],
            wide=False,
        )
    elif model is None:
        drawing.note(
            Tone.DOUBT, "There is no such model", f"{shown.model} is not in {shown.namespace}, or you may not see it."
        )
    else:
        drawing.draw(
            Markup(
                '<p class="rf-small">The measurement behind it is no longer the model\'s last one, so its columns are not shown.</p>'
            )
        )
    if shown.ranking:
        drawing.section("Versions that one could return to", "As they would have answered the same requests.")
        drawing.table("Versions", ("Version", "Value", "90 % interval"), shown.ranking, wide=False)
    drawing.section("For the record")
    drawing.facts(shown.facts)


def _done(found: Visit, snapshot: Snapshot) -> None:
    """What this person decided in this session and what has come of it, since it leaves the list of what waits."""
    waiting = {one.uid for one in snapshot.waiting}
    for request in snapshot.requests:
        said = found.told.get(request.uid)
        if said is None or request.uid in waiting:
            continue
        outcome = request.status.outcome
        came = f" {outcome.result}: {outcome.before} → {outcome.after}." if outcome is not None else ""
        text = Markup("{} {} {}{}").format(said[1].split("\n", 1)[0], drawing.chip(status(request)), request.name, came)
        drawing.note(Tone(said[0]), title(request), text)
