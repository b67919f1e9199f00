"""Which model a screen is about. The choice goes along from screen to screen."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from refit.api.objects import Model
from refit_ui import drawing
from refit_ui.session import Visit, asked_for
from refit_ui.tracking import AwayError, Tracking
from refit_ui.views.runs import Run
from refit_ui.views.snapshot import Snapshot

KEPT_SECONDS, KEPT = 300, 512


def model(found: Visit, snapshot: Snapshot, screen: str) -> Model | None:
    """The chosen one, or None and a word about why there is none."""
    if not snapshot.models:
        drawing.empty("No models yet", "There is no ModelDeployment that you may see here.")
        return None
    names = {f"{one.namespace}/{one.name}": one for one in snapshot.models}
    options = sorted(names)
    named = asked_for("model")
    wanted = found.chosen or next((key for key in options if named and key.endswith(f"/{named}")), "")
    key = st.selectbox(
        "Model",
        options,
        index=options.index(wanted) if wanted in options else 0,
        key=f"model-{screen}-{found.namespace}",
    )
    found.chosen = str(key)
    return names.get(found.chosen)


# What a finished run says never changes; only runs of models that the person could read just now are asked for.
@st.cache_data(ttl=KEPT_SECONDS, max_entries=KEPT, show_spinner=False)
def run(uri: str, run_id: str) -> Run:
    """Raises AwayError."""
    return Tracking(uri).run(run_id)


@st.cache_data(ttl=KEPT_SECONDS, max_entries=64, show_spinner=False)
def artifact(uri: str, run_id: str, path: str) -> bytes:
    """Raises AwayError."""
    tracking = Tracking(uri)
    return tracking.artifact(run(uri, run_id), path)


@st.cache_data(ttl=60, max_entries=KEPT, show_spinner=False)
def trainings(uri: str, experiment: str, since: datetime) -> tuple[Run, ...]:
    """Raises AwayError. `since` is of a whole day, or nothing would ever be found again."""
    return Tracking(uri).trainings(experiment, since)


def metrics(found: Visit, run_id: str | None) -> tuple[dict[str, float], str]:
    """A run's metrics, or none and why."""
    if run_id is None:
        return {}, ""
    try:
        return dict(run(found.settings.tracking_uri, run_id).metrics), ""
    except AwayError as error:
        return {}, str(error)
