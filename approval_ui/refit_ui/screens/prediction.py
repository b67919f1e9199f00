"""Try a prediction: a form made from the model's own inputs, answered by the version that serves."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup
from pydantic import ValidationError

from refit.api.objects import Model
from refit.api.signature import Signature
from refit_ui import charts, drawing
from refit_ui.inference import PredictError, predict
from refit_ui.live import screen
from refit_ui.screens import choosing
from refit_ui.session import Visit
from refit_ui.tracking import AwayError
from refit_ui.views.prediction import AnswerError, Field, body, fields, missing, predicted
from refit_ui.views.snapshot import Snapshot
from refit_ui.views.tones import Tone

ACROSS = 3


def draw() -> None:
    drawing.heading(
        "Try a prediction",
        "One row of your own, answered by the version that serves. It counts as a request like any other.",
    )
    screen(_body)


def _body(found: Visit, snapshot: Snapshot) -> None:
    model = choosing.model(found, snapshot, "predict")
    if model is None:
        return
    if model.serving is None or not model.status.url:
        drawing.empty(
            "No version serves yet", "There is nobody to ask. The form appears here as soon as a version answers."
        )
        return
    signature = _signature(found, model)
    form = fields(model.spec, signature)
    if not form:
        drawing.empty(
            "Its inputs are not known",
            "The spec declares no columns, and MLflow does not tell what the version learned from.",
        )
        return
    name = f"predict-{found.chosen}"
    with st.form(name):
        values: dict[str, float | str | None] = {}
        for at in range(0, len(form), ACROSS):  # by rows, so that a narrow screen has the same order
            for place, one in zip(st.columns(ACROSS), form[at : at + ACROSS], strict=False):
                values[one.name] = _asked(place, one, f"{name}-{one.name}")
        sent = st.form_submit_button("Predict", type="primary")
    if sent:
        st.session_state[f"{name}-answer"] = _answer(model, form, values, signature)
    answer = st.session_state.get(f"{name}-answer")
    if isinstance(answer, str):
        drawing.note(Tone.DOUBT, "No prediction", answer)
    elif answer is not None:
        drawing.section("Answer")
        version = f"by version {answer.version}" if answer.version else ""
        drawing.draw(
            Markup('<p class="rf-value">{}</p><p class="rf-small">{} of {} {}</p>').format(
                answer.text, model.spec.data.target.column, found.chosen, version
            )
        )
        if answer.probabilities:
            st.altair_chart(
                charts.chances(answer.probabilities[:12]), key=f"{name}-chances", alt="The probability of each class"
            )


def _answer(
    model: Model, form: tuple[Field, ...], values: dict[str, float | str | None], signature: Signature | None
) -> object:
    """The prediction, or why there is none."""
    lacking = missing(form, values)
    if lacking:
        return f"Fill in {', '.join(lacking)}."
    if all(value in {None, ""} for value in values.values()):
        return "Fill in at least one field."
    try:
        return predicted(predict(model, body(form, values)), signature.classes if signature is not None else ())
    except (PredictError, AnswerError) as error:
        return f"{str(error)[:1].upper()}{str(error)[1:]}."


def _asked(place: object, one: Field, key: str) -> float | str | None:
    label = drawing.plain(one.name)
    with place:  # type: ignore[attr-defined]  # a column of Streamlit, which names no type for it
        if one.number:
            ends = f"{one.least:g} to {one.most:g}" if one.least is not None and one.most is not None else "a number"
            found: float | None = st.number_input(label, value=None, placeholder=ends, key=key)
            return found
        if one.choices:
            return st.selectbox(label, one.choices, index=None, placeholder="choose", key=key, accept_new_options=True)
        return st.text_input(label, max_chars=64, key=key)


def _signature(found: Visit, model: Model) -> Signature | None:
    """The inputs of the version that serves, as its training wrote them down."""
    if model.serving is None:
        return None
    try:
        told = choosing.artifact(found.settings.tracking_uri, model.serving.run_id, "signature.json")
        return Signature.model_validate_json(told)
    except (AwayError, ValidationError):
        return None
