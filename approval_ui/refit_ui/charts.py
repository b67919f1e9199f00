"""Charts of view models. Each has a table beside it that says the same, for who can not see it."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from refit_ui.views.confusions import Matrix
from refit_ui.views.drift import Bar
from refit_ui.views.proposals import Evidence
from refit_ui.views.tones import HIGH_ABOVE, MEDIUM_FROM, Band, band
from refit_ui.views.trends import Point, Span

Chart = alt.LayerChart | alt.FacetChart
COLOURS = {Band.LOW: "#2f9e6b", Band.MEDIUM: "#d08b00", Band.HIGH: "#d6493c"}
"""Middle tones, to be seen on light and on dark."""
ACCENT, QUIET = "#2a8f88", "#8a9491"
ON_LIGHT, ON_DARK = "#10201e", "#f1f5f4"
"""Words on coloured squares."""
BAR, GAP = 26, 12
FLAT = 6
"""So many names of classes stand beside each other without being turned."""


def effects(found: Sequence[Bar] | Sequence[Evidence]) -> Chart:
    """A bar per column from 0 to 1, coloured by its band, with the borders of the bands."""
    data = pd.DataFrame(
        [
            {"column": one.column, "effect": one.effect, "band": str(band(one.effect)), "said": one.chip.word}
            for one in found
        ]
    )
    order = [one.column for one in found]
    across = alt.X("effect:Q", scale=alt.Scale(domain=[0, 1]), title=None, axis=alt.Axis(tickCount=5, format=".1f"))
    down = alt.Y("column:N", sort=order, title=None, axis=alt.Axis(labelLimit=180, ticks=False, domain=False))
    colour = alt.Color(
        "band:N",
        scale=alt.Scale(domain=[str(one) for one in COLOURS], range=list(COLOURS.values())),
        legend=None,
    )
    tips = [alt.Tooltip("column:N"), alt.Tooltip("effect:Q", format=".3f"), alt.Tooltip("band:N")]
    base = alt.Chart(data)
    bars = base.mark_bar(cornerRadiusEnd=4, height=16).encode(x=across, y=down, color=colour, tooltip=tips)
    words = base.mark_text(align="left", dx=6, fontSize=13, color=QUIET).encode(x=across, y=down, text="said:N")
    borders = (
        alt.Chart(pd.DataFrame({"at": [MEDIUM_FROM, HIGH_ABOVE]}))
        .mark_rule(strokeDash=[4, 4], color=QUIET, opacity=0.7)
        .encode(x=alt.X("at:Q", title=None))
    )
    return alt.layer(borders, bars, words).properties(height=len(order) * (BAR + GAP) + 50)


def trend(points: Sequence[Point], spans: Sequence[Span], metric: str) -> Chart:
    """Trainings as points, and what served as a line that steps."""
    trained = pd.DataFrame([{"time": one.time, "value": one.value, "what": one.what} for one in points])
    served = pd.DataFrame(
        [
            {
                "since": one.since,
                "until": one.until,
                "value": one.value,
                "version": one.version,
                "algorithm": one.algorithm,
            }
            for one in spans
        ]
    )
    values = [one.value for one in points] + [one.value for one in spans]
    least, most = min(values), max(values)
    room = (most - least) * 0.2 or 0.02
    across = alt.Axis(format="%d %b", tickCount=6, grid=False)
    up = alt.Y("value:Q", title=metric, scale=alt.Scale(domain=[least - room, most + room]))
    layers: list[alt.Chart] = []
    if len(served):
        layers.append(
            alt.Chart(served)
            .mark_rule(size=4, color=ACCENT, strokeCap="round")
            .encode(
                x=alt.X("since:T", title=None, axis=across),
                x2="until:T",
                y=up,
                tooltip=["version:N", "algorithm:N", alt.Tooltip("value:Q", format=".4f")],
            )
        )
        layers.append(
            alt.Chart(served)
            .mark_text(align="left", dy=-10, color=QUIET, fontSize=13)
            .encode(x="since:T", y=up, text="version:N")
        )
    if len(trained):
        layers.append(
            alt.Chart(trained)
            .mark_circle(size=70, color=QUIET, opacity=0.9)
            .encode(
                x=alt.X("time:T", title=None, axis=across),
                y=up,
                tooltip=[alt.Tooltip("what:N", title="training"), alt.Tooltip("value:Q", format=".4f"), "time:T"],
            )
        )
    return alt.layer(*layers).properties(height=320)


def chances(found: Sequence[tuple[str, float]]) -> Chart:
    """The probability of each class."""
    data = pd.DataFrame([{"class": name, "probability": value, "said": f"{value:.1%}"} for name, value in found])
    order = [name for name, _ in found]
    across = alt.X("probability:Q", scale=alt.Scale(domain=[0, 1]), title=None, axis=alt.Axis(format="%"))
    down = alt.Y("class:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False))
    base = alt.Chart(data)
    bars = base.mark_bar(cornerRadiusEnd=4, height=16, color=ACCENT).encode(x=across, y=down)
    words = base.mark_text(align="left", dx=6, fontSize=13, color=QUIET).encode(x=across, y=down, text="said:N")
    return alt.layer(bars, words).properties(height=len(order) * (BAR + GAP) + 40)


def confusion(found: Matrix, *, dark: bool) -> Chart:
    """The matrix as a heat map of shares, with the counts as text: a rare class is as visible as a frequent one."""
    data = pd.DataFrame(
        [
            {
                "true": one.true,
                "predicted": one.predicted,
                "rows": one.count,
                "share": one.share,
                "right": one.true == one.predicted,
            }
            for one in found.cells
        ]
    )
    order = list(found.labels)
    axis = alt.Axis(labelLimit=120, labelAngle=0 if len(order) <= FLAT else -45, ticks=False, domain=False)
    across = alt.X("predicted:N", sort=order, title="predicted", axis=axis, scale=alt.Scale(paddingInner=0.02))
    beside = alt.Axis(labelLimit=120, ticks=False, domain=False)
    down = alt.Y("true:N", sort=order, title="true", axis=beside, scale=alt.Scale(paddingInner=0.06))
    tips = [
        alt.Tooltip("true:N", title="true class"),
        alt.Tooltip("predicted:N", title="taken for"),
        alt.Tooltip("rows:Q", format=",d"),
        alt.Tooltip("share:Q", title="share of the true class", format=".1%"),
    ]
    base = alt.Chart(data)
    squares = base.mark_rect(cornerRadius=4, stroke=QUIET, strokeWidth=0.5).encode(
        x=across,
        y=down,
        color=alt.condition(alt.datum.right, alt.value(ACCENT), alt.value(COLOURS[Band.HIGH])),
        opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.06, 0.85]), legend=None),
        tooltip=tips,
    )
    words = base.mark_text(fontSize=14, fontWeight="bold").encode(
        x=across,
        y=down,
        text=alt.Text("rows:Q", format=",d"),
        color=alt.value(ON_DARK if dark else ON_LIGHT),
        tooltip=tips,
    )
    return alt.layer(squares, words).properties(height=max(220, min(560, len(order) * 44 + 90)))
