"""Signing in and out: by the organisation's OpenID Connect, or with a pasted token. The API server has the last word."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from refit.kube.answers import RefusalError
from refit.kube.cluster import ClusterError
from refit_ui import drawing
from refit_ui.cluster import SignedOutError
from refit_ui.identity import TokenError, cleaned, expiry
from refit_ui.session import Visit
from refit_ui.views.tones import Tone

REJECTED = "The cluster does not take this token. It may have ended, or be meant for another cluster."
NOT_EXPOSED = (
    "Your organisation knows you, but this page was given no ID token to pass on to the cluster. "
    'Whoever runs it must set expose_tokens = ["id"] in the section [auth] of its secrets.'
)


def from_oidc(found: Visit) -> None:
    """Takes over the sign-in that Streamlit holds. Its cookie outlives the token, so the token's own end counts."""
    if not _has_oidc() or not st.user.is_logged_in:
        if found.identity is not None and found.identity.by_oidc:
            found.sign_out()
        return
    token = str(st.user.tokens.get("id", ""))
    if not token:
        found.notice = found.notice or NOT_EXPOSED
        return
    if token == st.session_state.get("oidc_refused"):
        return
    if found.identity is not None and found.identity.token == token:
        return
    try:
        found.sign_in(token, by_oidc=True)
    except SignedOutError:
        st.session_state["oidc_refused"] = token
        ended = expiry(token)
        when = f" It ended at {ended:%H:%M} UTC." if ended is not None else ""
        found.notice = f"The cluster does not take your sign-in.{when} Sign in again; what you wrote is kept."
    except ClusterError as error:
        found.notice = f"The cluster can not be reached: {error}"


def draw(found: Visit) -> None:
    """The sign-in, in the middle of an otherwise empty page."""
    _, middle, _ = st.columns([1, 2, 1])
    with middle:
        drawing.heading("Sign in to Refit", "See how your models are, and decide on what is proposed for them.")
        if found.notice:
            drawing.note(Tone.DOUBT, "Please sign in again", found.notice)
        if _has_oidc():
            st.button("Sign in with your organisation", type="primary", width="stretch", on_click=_log_in)
            drawing.draw(Markup('<p class="rf-small">or with a token:</p>'))
        with st.form("sign-in"):
            text = st.text_input(
                "Token",
                type="password",
                autocomplete="off",
                help="Your own token for the Kubernetes API. It stays in the memory of this session and is never stored.",
            )
            sent = st.form_submit_button("Sign in", type="primary", width="stretch", disabled=False)
        if sent:
            _with_token(found, text)
        with st.expander("Where do I get a token?"):
            drawing.draw(
                Markup(
                    "<p>Ask whoever runs your cluster, or, if you have kubectl and a service account of your own:</p>"
                    "<pre><code>kubectl create token NAME --namespace NAMESPACE --duration 1h</code></pre>"
                    '<p class="rf-small">The page has no rights of its own: whatever you do here, you do as yourself, '
                    "and the cluster records it under your name.</p>"
                )
            )


def sign_out(found: Visit) -> None:
    by_oidc = found.identity is not None and found.identity.by_oidc
    found.sign_out()
    if by_oidc:
        st.logout()


def _with_token(found: Visit, text: str) -> None:
    try:
        found.sign_in(cleaned(text))
    except TokenError as error:
        drawing.note(Tone.DOUBT, "No token", str(error))
    except SignedOutError:
        drawing.note(Tone.BAD, "Not signed in", REJECTED)
    except RefusalError as error:
        drawing.note(Tone.BAD, "Not signed in", str(error))
    except ClusterError as error:
        drawing.note(Tone.BAD, "The cluster can not be reached", str(error))
    else:
        st.rerun()


def _log_in() -> None:
    st.session_state.pop("oidc_refused", None)
    st.login()


def _has_oidc() -> bool:
    """Whether an [auth] section is there; without one `st.user` has no such attribute."""
    return hasattr(st.user, "is_logged_in")
