"""The drift report: which inputs are no longer as they were in training, and by how much."""

from __future__ import annotations

from dataclasses import dataclass

from refit.api.orders import ReportOrder
from refit.report.charts import Bar, Chart, Mark, band, bars, intervals
from refit.report.measured import Bound, Column, Measured
from refit.report.parts import CODE, NUMBER, TEXT, Fact, Table, Tile, order_facts
from refit.report.wording import count, listed, metric, number, p_value, percent, when

SHOWN_BARS = 16
SHOWN_COLUMNS = 60
PROBLEMS = 12


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What the template draws."""

    title: str
    lead: str
    tiles: tuple[Tile, ...]
    window: tuple[Fact, ...]
    chart: Chart | None
    omitted: str
    columns: Table | None
    answers: Table | None
    quality: Chart | None
    quality_told: str
    faults: tuple[str, ...]
    faults_told: str
    queries: Table | None
    evidence: tuple[Fact, ...]


def drift(order: ReportOrder, found: Measured | None) -> Drift:
    if found is None:
        raise ValueError("a drift report needs a measurement")
    names = [column.column for column in found.ordered if column.drifted]
    largest = max((column.effect for column in found.drifted), default=0.0)
    verb = "has" if len(names) == 1 else "have"
    title = f"{listed(names, limit=24)} {verb} drifted" if names else "The answers have drifted"
    faults = found.data_quality
    return Drift(
        title=title,
        lead=(
            f"Requests to version {found.version or '—'} are no longer distributed as its training data was. "
            f"{count(found.flagged)} of {count(found.counted)} inputs passed their threshold, and the evidence holds "
            "after correction for looking at all of them."
        ),
        tiles=(
            Tile(label="Verdict", value=_verdict(found.verdict), tone="bad" if found.verdict == "Drift" else ""),
            Tile(label="Inputs drifted", value=f"{found.flagged} of {found.counted}"),
            Tile(label="Largest effect", value=f"{largest:.2f}", hint=f"{band(largest)} band"),
            Tile(label="Requests compared", value=count(found.rows)),
        ),
        window=(
            Fact(
                term="Requests", value=f"of version {found.version or '—'}, {when(found.since)} to {when(found.until)}"
            ),
            Fact(term="Measured", value=when(found.time)),
        ),
        chart=effects_chart(found),
        omitted=omitted(found),
        columns=columns_table(found),
        answers=_answers(found.prediction),
        quality=_quality_chart(found),
        quality_told=_quality_told(found),
        faults=tuple(faults.problems[:PROBLEMS]) if faults is not None else (),
        faults_told=_faults_told(found),
        queries=_queries(order),
        evidence=_evidence(order, found),
    )


def effects_chart(found: Measured) -> Chart | None:
    """A bar for each input, the drifted ones first."""
    shown = found.ordered[:SHOWN_BARS]
    if not shown:
        return None
    told = ", ".join(f"{column.column} {column.effect:.2f}" for column in shown[:8])
    return bars(
        [
            Bar(name=column.column, value=column.effect, threshold=column.threshold, flagged=column.drifted)
            for column in shown
        ],
        f"Effect of each input on a scale from 0 to 1, the largest first: {told}"
        + (f" and {len(shown) - 8} more." if len(shown) > 8 else "."),  # noqa: PLR2004  # eight, as said
    )


def omitted(found: Measured) -> str:
    """What of the columns is not shown, and why."""
    if not found.whole:
        shown = len(found.columns)
        return (
            f"The collector did not give this measurement. Shown are the {shown} largest of {found.flagged} drifted "
            "inputs, as the model's status holds them; thresholds and inputs that did not drift are not there."
        )
    more = len(found.columns) - SHOWN_BARS
    return f"The chart shows the first {SHOWN_BARS} of {len(found.columns)} inputs." if more > 0 else ""


def columns_table(found: Measured, most: int = SHOWN_COLUMNS) -> Table | None:
    if not found.columns:
        return None
    return Table(
        caption="Each input against the training data",
        columns=("Input", "Method", "Effect", "Threshold", "p, corrected", "Missing", "PSI", "Drifted"),
        kinds=(TEXT, TEXT, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, TEXT),
        widths=(27, 10, 10, 12, 13, 10, 9, 9),
        rows=tuple(_row(column, whole=found.whole) for column in found.ordered),
    ).first(most, "inputs")


def _row(column: Column, *, whole: bool) -> tuple[str, ...]:
    psi = column.statistics.get("psi")
    return (
        column.column,
        column.method,
        f"{column.effect:.3f}",
        f"{column.threshold:.2f}" if column.threshold is not None else "—",
        p_value(column.p_adjusted),
        percent(column.missing) if whole else "—",
        f"{psi:.2f}" if psi is not None else "—",
        "yes" if column.drifted else column.note or "no",
    )


def _answers(columns: tuple[Column, ...]) -> Table | None:
    if not columns:
        return None
    return Table(
        caption="The model's answers against those on its training data",
        columns=("Answer", "Method", "Effect", "p, corrected", "Drifted"),
        kinds=(CODE, TEXT, NUMBER, NUMBER, TEXT),
        widths=(40, 15, 15, 18, 12),
        rows=tuple(
            (
                column.column,
                column.method,
                f"{column.effect:.3f}",
                p_value(column.p_adjusted),
                "yes" if column.drifted else "no",
            )
            for column in columns
        ),
    ).first(12, "answers")


def _quality_chart(found: Measured) -> Chart | None:
    if found.quality is None or not found.quality.bounds:
        return None
    marks = []
    for bound in found.quality.bounds[:6]:
        asked = bound.minimum if bound.minimum is not None else bound.maximum
        tone = "bad" if bound.missed else "realised"
        marks.append(
            Mark(name=metric(bound.metric), value=bound.value, low=bound.low, high=bound.high, bound=asked, tone=tone)
        )
    told = "; ".join(_bound_told(bound) for bound in found.quality.bounds[:6])
    return intervals(marks, f"Quality on labelled requests with its interval, and the declared bounds: {told}.")


def _bound_told(bound: Bound) -> str:
    least = f"at least {number(bound.minimum)}" if bound.minimum is not None else ""
    most = f"at most {number(bound.maximum)}" if bound.maximum is not None else ""
    asked = " and ".join(word for word in (least, most) if word)
    name = metric(bound.metric)
    held = f"{name} is {number(bound.value)}, from {number(bound.low)} to {number(bound.high)}"
    return f"{held}, where {asked} is declared: {'missed' if bound.missed else 'kept'}"


def _quality_told(found: Measured) -> str:
    quality = found.quality
    if quality is None or not quality.labelled:
        return "No labels have come for this window, so nothing is known of the model's quality in it."
    values = ", ".join(f"{metric(name)} {number(value)}" for name, value in sorted(quality.metrics.items()))
    bounds = " ".join(f"{_bound_told(bound)}." for bound in quality.bounds[:6])
    bounds += " A black line is a declared bound." if bounds else ""
    return f"On {count(quality.labelled)} labelled requests: {values or 'no metric'}. {bounds}".strip()


def _evidence(order: ReportOrder, found: Measured) -> tuple[Fact, ...]:
    facts = order_facts(order)
    return (*facts, Fact(term="Charts of every column", value=found.report, code=True)) if found.report else facts


def _faults_told(found: Measured) -> str:
    faults = found.data_quality
    if faults is None:
        return "The requests themselves were not judged."
    if faults.valid:
        return f"The requests are what the model was made for: {faults.score:.0f} of 100."
    return f"The requests themselves are at fault: {faults.score:.0f} of 100. Nothing should be learned from them."


def _queries(order: ReportOrder) -> Table | None:
    asked = order.measurement.queries if order.measurement is not None else ()
    if not asked or order.measurement is None or order.measurement.key != order.evidence:
        return None
    return Table(
        caption="As spec.monitoring.queries declares them",
        columns=("Query", "Value", "Breached", "Remark"),
        kinds=(TEXT, NUMBER, TEXT, TEXT),
        widths=(30, 15, 12, 43),
        rows=tuple(
            (each.name, number(each.value) if each.value else "—", "yes" if each.breached else "no", each.message)
            for each in asked
        ),
    )


def _verdict(verdict: str) -> str:
    return {"NoDrift": "No drift", "Drift": "Drift"}.get(verdict, verdict)
