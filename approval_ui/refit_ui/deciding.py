"""What a click on Approve or Reject does: one decision at most, on what was drawn, or a sentence on why there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal

import streamlit as st

from refit.api.objects import Request
from refit.api.remediationrequest import Decision
from refit.kube.answers import RefusalError
from refit.kube.cluster import ClusterError
from refit.kube.decisions import ChangedError
from refit_ui.cluster import SignedOutError
from refit_ui.session import Visit, keep_draft
from refit_ui.views.tones import Tone

BUTTONS: Final[tuple[tuple[str, Decision, Literal["primary", "secondary"]], ...]] = (
    ("Approve", Decision.APPROVED, "primary"),
    ("Reject", Decision.REJECTED, "secondary"),
)
DONE = {Decision.APPROVED: "You approved this.", Decision.REJECTED: "You rejected this."}
BY_POLICY = "denied request: "
"""What stands before a policy's own words; they are enough."""


def decide(found: Visit, shown: Request, decision: Decision, reason_key: str) -> None:
    """The click. `shown` is the request as it was drawn: its uid, digest and resourceVersion go with the decision."""
    identity = found.identity
    reason = str(st.session_state.get(reason_key) or "")
    if identity is None or _is_decided(found, shown):
        return
    keep_draft(identity.name, shown.uid, reason)
    if identity.is_over(datetime.now(UTC)):
        found.sign_out("Your sign-in has ended; nothing was decided. Sign in again; what you wrote is kept.")
        return
    if decision == Decision.REJECTED and not reason.strip():
        _tell(found, shown, Tone.DOUBT, "A rejection needs a reason", "Say in a sentence why not; nothing was decided.")
        return
    try:
        after = found.cluster.decide(shown, identity, decision, reason)
    except ChangedError as error:
        _stale(found, shown, error.now, identity.name)
    except SignedOutError:
        found.sign_out(
            "The cluster no longer takes your sign-in; nothing was decided. Sign in again; what you wrote is kept."
        )
    except RefusalError as error:
        _tell(found, shown, Tone.BAD, "The cluster refused this", str(error).rpartition(BY_POLICY)[2])
    except ClusterError as error:
        told = f"{error}. Whether your decision arrived is not known; it shows here as soon as the cluster answers."
        _tell(found, shown, Tone.BAD, "The cluster can not be reached", told)
        found.read(fresh=True)
    else:
        keep_draft(identity.name, shown.uid, "")
        found.opened[shown.uid] = after
        _tell(found, shown, Tone.GOOD, DONE[decision], f"Stored under your name, {identity.name}.")
        found.read(fresh=True)


def keep(found: Visit, request: Request, reason_key: str) -> None:
    """What is written outlives the sign-in, sent or not."""
    if found.identity is not None:
        keep_draft(found.identity.name, request.uid, str(st.session_state.get(reason_key) or ""))


def look(found: Visit, request: Request) -> None:
    """The person has seen what changed; from here on that is what they decide on."""
    found.opened[request.uid] = request
    found.told.pop(request.uid, None)


def _stale(found: Visit, shown: Request, now: Request | None, name: str) -> None:
    if now is None:
        _tell(found, shown, Tone.DOUBT, "It is gone", "Somebody deleted this request; nothing was decided.")
    elif name in (now.status.approvals or {}):
        found.opened[shown.uid] = now
        _tell(
            found,
            shown,
            Tone.DOUBT,
            "You have decided on this already",
            "In another window, it seems. That decision stands.",
        )
    else:
        found.told.pop(shown.uid, None)
    found.read(fresh=True)


def _is_decided(found: Visit, shown: Request) -> bool:
    """A second click on the same button, before the page was drawn again."""
    return found.told.get(shown.uid, ("", ""))[0] == Tone.GOOD


def _tell(found: Visit, shown: Request, tone: Tone, title: str, text: str) -> None:
    found.told[shown.uid] = (tone, f"{title}\n{text}")
