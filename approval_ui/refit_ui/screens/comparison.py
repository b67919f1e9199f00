"""Compare versions: what differs between two of them, in the history's words, their parameters and their metrics."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from refit.api.deploymentstatus import VersionRecord
from refit.api.differences import between, differences
from refit.api.summaries import short
from refit_ui import drawing
from refit_ui.live import screen
from refit_ui.screens import choosing
from refit_ui.session import Visit
from refit_ui.tracking import AwayError
from refit_ui.views.performance import NAMES, previous_champion
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import Tone

TWO = 2


def draw() -> None:
    drawing.heading("Compare versions", "Two versions of a model side by side.")
    screen(_body)


def _body(found: Visit, snapshot: Snapshot) -> None:
    model = choosing.model(found, snapshot, "compare")
    if model is None:
        return
    records = {
        f"v{one.version} · {one.algorithm} · {one.state}": one
        for one in sorted(model.status.history, key=lambda one: -one.version)
    }
    if len(records) < TWO:
        drawing.empty("Nothing to compare", "This model has fewer than two versions.")
        return
    names, (left, right) = list(records), st.columns(2)
    first = records[
        left.selectbox("First", names, index=_place(records, previous_champion(model), 1), key=f"first-{found.chosen}")
    ]
    second = records[
        right.selectbox("Second", names, index=_place(records, model.serving, 0), key=f"second-{found.chosen}")
    ]
    if first.version == second.version:
        drawing.empty("The same version twice", "Choose another one on either side.")
        return
    heads = ("", f"v{first.version}", f"v{second.version}")
    try:
        runs = [choosing.run(found.settings.tracking_uri, one.run_id) for one in (first, second)]
    except AwayError as error:
        runs = []
        drawing.note(Tone.CALM, "Parameters and metrics were not compared", f"{error}.")
    if runs:
        _metrics(heads, runs[0].metrics, runs[1].metrics)
        rows = [
            (name.removeprefix("parameter "), one, two)
            for name, one, two in between(dict(runs[0].parameters), dict(runs[1].parameters))
        ]
        drawing.section("Parameters that differ")
        drawing.table("Parameters", heads, rows or [("all", "the same", "the same")], wide=False)
    drawing.section("What else differs")
    drawing.table("Differences", heads, _told(first, second), wide=False)


def _place(records: Mapping[str, VersionRecord], wanted: VersionRecord | None, otherwise: int) -> int:
    versions = [one.version for one in records.values()]
    return versions.index(wanted.version) if wanted is not None else otherwise


def _metrics(heads: tuple[str, ...], first: Mapping[str, float], second: Mapping[str, float]) -> None:
    rows = [
        (name, *(short(str(one[metric])) if metric in one else "not known" for one in (first, second)))
        for metric, name in NAMES.items()
        if metric in first or metric in second
    ]
    if rows:
        drawing.section("Metrics on held-out rows")
        drawing.table("Metrics", heads, rows, wide=False)


def _told(first: VersionRecord, second: VersionRecord) -> list[tuple[str, str, str]]:
    return [(what.capitalize(), one, two) for what, one, two in differences(first, second)]
