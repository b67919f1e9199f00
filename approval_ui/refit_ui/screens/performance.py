"""Model performance: the champion's metrics beside those of the champion before it."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from refit.api.confusion import CONFUSION_FILE
from refit.api.deploymentstatus import VersionRecord
from refit.api.modeldeployment import Task
from refit.api.objects import Model
from refit_ui import charts, drawing
from refit_ui.inference import median_seconds
from refit_ui.live import screen
from refit_ui.screens import choosing
from refit_ui.session import Visit
from refit_ui.tracking import AwayError
from refit_ui.views.confusions import matrix
from refit_ui.views.performance import latency, more, previous_champion, recorded, tiles
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import Tone

MATRIX = "confusion_matrix"
PICTURES = {
    Task.CLASSIFICATION: (
        (MATRIX, "Confusion matrix: true classes down, predicted ones across, on held-out rows"),
        ("roc", "ROC: true against false positive rate on held-out rows"),
        ("calibration", "Calibration: how often a class came true that was given a probability"),
        ("feature_importance", "Importance: how much worse the model is without a column"),
    ),
    Task.REGRESSION: (
        ("predicted_and_actual", "Predicted against true values on held-out rows"),
        ("residuals", "Residuals: how far off each prediction was"),
        ("residual_histogram", "How often a prediction was how far off"),
        ("feature_importance", "Importance: how much worse the model is without a column"),
    ),
}


def draw() -> None:
    drawing.heading("Model performance", "The version that serves, measured on rows it never learned from.")
    screen(_body)


def _body(found: Visit, snapshot: Snapshot) -> None:
    model = choosing.model(found, snapshot, "performance")
    if model is None:
        return
    serving = model.serving
    if serving is None:
        drawing.empty(
            "No version serves yet", "Its numbers appear here as soon as a version passed its gate and answers."
        )
        return
    before = previous_champion(model)
    now_metrics, away = choosing.metrics(found, serving.run_id)
    old_metrics, _ = choosing.metrics(found, before.run_id if before is not None else None)
    now_metrics, old_metrics = recorded(serving) | now_metrics, recorded(before) | old_metrics
    prometheus = found.settings.prometheus_url
    seconds = median_seconds(prometheus, model, serving.version)
    earlier = median_seconds(prometheus, model, before.version) if before is not None and seconds is not None else None
    drawing.tiles((*tiles(model, now_metrics, old_metrics, before), latency(seconds, earlier, before)))
    _who(serving, before)
    if away:
        drawing.note(Tone.CALM, "Only what the model's history keeps is shown", f"{away}.")
    rows = more(model, now_metrics, old_metrics)
    if rows:
        drawing.section("All metrics")
        old = f"v{before.version}" if before is not None else "before"
        drawing.table("All metrics", ("Metric", f"v{serving.version}", old), rows, wide=False)
    _held_out(found, model, serving)


def _who(serving: VersionRecord, before: VersionRecord | None) -> None:
    old = f"Before it: version {before.version}, {before.algorithm}." if before is not None else "It is the first."
    drawing.draw(
        Markup('<p class="rf-small">Version {}, {}, serves since {}. {}</p>').format(
            serving.version, serving.algorithm, serving.since or "just now", old
        )
    )


def _held_out(found: Visit, model: Model, serving: VersionRecord) -> None:
    drawing.section("On held-out rows")
    drawn = model.spec.task == Task.CLASSIFICATION and _confusions(found, serving)
    _pictures(found, model, serving, without=MATRIX if drawn else "")


def _confusions(found: Visit, serving: VersionRecord) -> bool:
    """The matrix of the stored counts; versions from before these were stored have a picture of it alone."""
    try:
        shown = matrix(choosing.artifact(found.settings.tracking_uri, serving.run_id, CONFUSION_FILE))
    except AwayError:
        return False
    if shown is None:
        return False
    with st.container(border=True, key="confusions"):
        st.altair_chart(
            charts.confusion(shown, dark=st.context.theme.type == "dark"),
            key="confusion-matrix",
            alt="How often each class was taken for which; the table below says the same",
        )
        drawing.table(
            "Confusion matrix",
            ("True class", *(f"taken for {one}" for one in shown.labels), "rows"),
            shown.rows,
            wide=False,
        )
        drawing.draw(
            Markup(
                '<p class="rf-small">Confusion matrix: a row is a true class, and a colour is the share of it; {}.</p>'
            ).format(f"version {serving.version}")
        )
    return True


def _pictures(found: Visit, model: Model, serving: VersionRecord, *, without: str) -> None:
    """As the training drew them. A missing one is left out; if all are, that is said."""
    there: list[tuple[bytes, str]] = []
    why = ""
    for name, text in PICTURES[model.spec.task]:
        if name == without:
            continue
        try:
            there.append((choosing.artifact(found.settings.tracking_uri, serving.run_id, f"plots/{name}.png"), text))
        except AwayError as error:
            why = str(error)
    if not there and not without:
        drawing.empty("No pictures of this version", f"{why[:1].upper()}{why[1:]}.")
        return
    for pair in (there[place : place + 2] for place in range(0, len(there), 2)):
        for place, (picture, text) in zip(st.columns(2, gap="medium"), pair, strict=False):
            with place, st.container(border=True):
                st.image(picture, caption=drawing.plain(text), width="stretch")
