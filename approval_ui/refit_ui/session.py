"""What one browser session remembers: who it is, which namespace, what was read last, and what was shown when.

Nothing of it is written down. What a person wrote as a reason outlives their sign-in, so it is kept by their name.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import streamlit as st

from refit.api.objects import Request
from refit.kube.answers import RefusalError
from refit.kube.cluster import ClusterError
from refit_ui.cluster import Cluster, SignedOutError
from refit_ui.identity import Identity, expiry
from refit_ui.settings import Settings
from refit_ui.views.drift import Whole
from refit_ui.views.snapshot import Snapshot

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
FRESH = timedelta(seconds=4)
"""How old a reading may be that another part of the same page made."""
MOST_DRAFTS = 1000


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why nothing could be read, since when: the person may not, their sign-in has ended, or the cluster is away."""

    cause: str
    at: datetime
    refused: bool = False
    ended: bool = False


@dataclass(kw_only=True)
class Visit:
    """The session's memory. `opened` is each request as the person first saw it; `told` what was last said of one."""

    settings: Settings
    identity: Identity | None = None
    namespace: str | None = None
    snapshot: Snapshot | None = None
    failure: Failure | None = None
    notice: str = ""
    chosen: str = ""
    opened: dict[str, Request] = field(default_factory=dict)
    told: dict[str, tuple[str, str]] = field(default_factory=dict)
    may_ask: dict[str, bool] = field(default_factory=dict)
    measured: dict[tuple[str, str, str], Whole] = field(default_factory=dict)
    """Whole measurements by namespace, model and key."""

    @property
    def cluster(self) -> Cluster:
        return Cluster(settings=self.settings, token=self.identity.token if self.identity is not None else "")

    def sign_in(self, token: str, *, by_oidc: bool = False) -> None:
        """Raises ClusterError if the API server does not take it."""
        me = Cluster(settings=self.settings, token=token).me()
        if me.name == "system:anonymous":
            raise SignedOutError("the cluster does not take this sign-in")
        if self.identity is None or self.identity.name != me.name:
            self.forget()
        self.identity = Identity(token=token, name=me.name, groups=me.groups, expires=expiry(token), by_oidc=by_oidc)
        self.notice = ""

    def sign_out(self, notice: str = "") -> None:
        """What was read goes, too: the next person must not see it."""
        self.identity, self.notice = None, notice
        self.forget()

    def forget(self) -> None:
        self.snapshot, self.failure, self.chosen = None, None, ""
        self.opened.clear()
        self.told.clear()
        self.may_ask.clear()
        self.measured.clear()

    def read(self, *, fresh: bool = False) -> None:
        """Reads the cluster unless that was just done. A failure leaves the last reading where it is."""
        now = datetime.now(UTC)
        if self.identity is None:
            return
        if self.failure is not None and self.failure.ended:
            return
        if self.identity.is_over(now):
            self._end(now)
            return
        recent = (self.snapshot.at if self.snapshot is not None else None, self.failure.at if self.failure else None)
        if not fresh and any(at is not None and now - at < FRESH for at in recent):
            return
        try:
            self.snapshot = self.cluster.snapshot(self.namespace, fresh=fresh)
            self.failure = None
        except SignedOutError:
            self._end(now)
        except RefusalError as error:
            self.snapshot = None
            self.failure = Failure(cause=str(error), at=datetime.now(UTC), refused=True)
        except ClusterError as error:
            self.failure = Failure(cause=str(error), at=datetime.now(UTC))

    def _end(self, now: datetime) -> None:
        """What is on the screen stays, or a reason that is being written would go with it."""
        if self.snapshot is None:
            self.sign_out("Your sign-in has ended. Sign in again.")
        else:
            self.failure = Failure(cause="Your sign-in has ended", at=now, ended=True)


def visit() -> Visit:
    """The session's own."""
    found = st.session_state.get("visit")
    if found is None:
        found = st.session_state["visit"] = Visit(settings=settings())
        found.namespace = asked_for("namespace") or (found.settings.namespaces or (None,))[0]
    result: Visit = found
    return result


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Of the process; its start has checked them."""
    return Settings.of(os.environ)


def asked_for(name: str) -> str:
    """What the address's query names, if it can be the name of an object; anything else is as if it were not there."""
    value = st.query_params.get(name, "")
    return value if NAME.fullmatch(value) else ""


@lru_cache(maxsize=1)
def drafts() -> OrderedDict[tuple[str, str], str]:
    """Reasons that were written and not yet sent, by person and request, for all sessions of this process."""
    return OrderedDict()


def keep_draft(person: str, uid: str, text: str) -> None:
    found = drafts()
    found.pop((person, uid), None)
    if text.strip():
        found[person, uid] = text
    while len(found) > MOST_DRAFTS:
        found.popitem(last=False)
