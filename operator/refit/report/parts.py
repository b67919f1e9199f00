"""Parts of a page: tables, tiles and facts, and those that several kinds of report share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from refit.api.conditions import ConditionStatus, find
from refit.api.deploymentstatus import TrainingStatus, VersionRecord
from refit.api.orders import ReportedRequest, ReportOrder
from refit.api.outcome import Comparison
from refit.api.proposal import PredictedImpact
from refit.api.reasons import ConditionType
from refit.api.remediationrequest import Decision
from refit.api.summaries import counted, decisions
from refit.report.charts import Chart, Mark, intervals
from refit.report.wording import count, cut, digest, metric, number, signed, when

TEXT, NUMBER, CODE = "text", "number", "code"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under headings. `kinds` says of each column how its cells are set; `cut` what was left out."""

    caption: str
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...] = ()
    cut: str = ""

    def first(self, most: int, what: str) -> Table:
        """The first rows of it, and how many there are."""
        if len(self.rows) <= most:
            return self
        return replace(self, rows=self.rows[:most], cut=f"The first {most} of {len(self.rows)} {what}.")


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A figure that one should not miss. `tone` is good, bad, wait or empty."""

    label: str
    value: str
    hint: str = ""
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A term and what it is; `code` for what a machine made."""

    term: str
    value: str
    code: bool = False


def version_facts(record: VersionRecord) -> tuple[Fact, ...]:
    """By what a version is known, in full."""
    found = [
        Fact(term="Model file", value=f"sha256:{record.artifact.sha256}", code=True),
        Fact(term="Training data", value=f"sha256:{record.data_sha256}", code=True),
        Fact(term="MLflow run", value=record.run_id, code=True),
        Fact(term="Address of the file", value=record.artifact.uri, code=True),
    ]
    return tuple(found)


def request_facts(request: ReportedRequest) -> tuple[Fact, ...]:
    """By what a request is known, in full."""
    found = [Fact(term="Request", value=request.name, code=True), Fact(term="Its uid", value=request.uid, code=True)]
    if request.status.proposal is not None:
        found.append(Fact(term="Digest of the proposal", value=request.status.proposal.digest, code=True))
    if request.status.execution is not None:
        found.append(Fact(term="Digest carried out", value=request.status.execution.digest, code=True))
    return tuple(found)


def order_facts(order: ReportOrder) -> tuple[Fact, ...]:
    """By what the report itself is known."""
    found = [Fact(term="Trace", value=order.trace, code=True)] if order.trace else []
    found.append(Fact(term="Report", value=order.key, code=True))
    if order.evidence:
        found.append(Fact(term="Measurement", value=order.evidence, code=True))
    return tuple(found)


def versions_table(records: Sequence[VersionRecord], most: int) -> Table:
    """The versions, the newest first."""
    rows = tuple(
        (
            str(record.version),
            str(record.state),
            record.algorithm,
            f"{metric(record.metric)} {number(record.value)}",
            when(record.since),
            when(record.until) if record.until else "",
            record.reason,
        )
        for record in sorted(records, key=lambda record: -record.version)
    )
    return Table(
        caption="Versions of this model, the newest first",
        columns=("Version", "State", "Algorithm", "When trained", "Served from", "until", "Why it came"),
        kinds=(TEXT,) * 7,
        widths=(8, 11, 18, 13, 14, 14, 22),
        rows=rows,
    ).first(most, "versions")


def approvals_table(request: ReportedRequest) -> Table | None:
    """Who decided what and when, each with the digest of what they were shown."""
    found = decisions(request.status)
    if not found:
        return None
    return Table(
        caption="Decisions, each by one person for one proposal",
        columns=("Person", "Decision", "First seen", "For the proposal", "Through the groups", "Reason given"),
        kinds=(TEXT, TEXT, TEXT, CODE, TEXT, TEXT),
        widths=(20, 11, 14, 15, 15, 25),
        rows=tuple(
            (
                user,
                str(entry.decision),
                when(seen),
                digest(entry.proposal_digest),
                ", ".join(entry.groups or ()),
                entry.reason or "",
            )
            for user, entry, seen in found
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What was decided, by whom, and when that came into force, as far as the status tells."""

    word: str
    by: str = ""
    since: str | None = None

    @property
    def told(self) -> str:
        return f"{self.word} {self.by}".strip()


def decided(request: ReportedRequest) -> Decided:
    """What came of asking."""
    approved = find(request.status.conditions, ConditionType.APPROVED)
    entries = sorted((request.status.approvals or {}).items())
    yes = [user for user, entry in entries if entry.decision == Decision.APPROVED]
    no = [user for user, entry in entries if entry.decision == Decision.REJECTED]
    if no:
        return Decided(word="Rejected", by=f"by {people(no)}")
    if request.status.proposal is not None and request.status.proposal.automatic:
        return Decided(word="Automatic", by="as it carries no risk")
    if approved is not None and approved.status == ConditionStatus.TRUE:
        return Decided(word="Approved", by=f"by {people(yes)}", since=approved.last_transition_time)
    return Decided(word="Not decided", by=f"though approved by {people(yes)}" if yes else "")


def people(names: Iterable[str]) -> str:
    """Two names, or the first two of many."""
    found = [cut(name, 48) for name in names]
    if len(found) > 2:  # noqa: PLR2004  # more than a pair
        return f"{found[0]}, {found[1]} and {len(found) - 2} more"
    return " and ".join(found) or "nobody"


def changes_table(request: ReportedRequest, most: int) -> Table | None:
    """What would be, or was, different."""
    proposal = request.status.proposal
    if proposal is None or not proposal.change:
        return None
    return Table(
        caption="What it changes",
        columns=("What", "From", "To"),
        kinds=(TEXT, TEXT, TEXT),
        widths=(34, 33, 33),
        rows=tuple((change.what, change.before, change.after) for change in proposal.change),
    ).first(most, "changes")


def impact_chart(predicted: PredictedImpact, realised: str | None, rows: int = 0) -> Chart:
    """The metric now, as predicted with its interval, and as it came."""
    name = metric(predicted.metric)
    low, high = float(predicted.low), float(predicted.high)
    marks = [
        Mark(name="Before", value=float(predicted.now), tone="now"),
        Mark(name="Predicted", value=float(predicted.predicted), low=low, high=high, tone="predicted"),
    ]
    told = (
        f"{name}: {number(predicted.now)} before, {number(predicted.predicted)} predicted, with an interval from "
        f"{number(predicted.low)} to {number(predicted.high)}"
    )
    if realised is not None:
        marks.append(Mark(name="Realised", value=float(realised), tone="realised"))
        told += f", {number(realised)} realised on {counted(predicted.metric, rows)}"
    return intervals(marks, f"{told}.")


def comparison_table(comparison: Comparison) -> Table:
    """Champion against challenger, on the same rows."""
    name = metric(comparison.metric)
    return Table(
        caption=f"On the same {count(comparison.rows)} rows, by {comparison.method}",
        columns=("", "Champion", "Challenger", "Difference", "90 % interval"),
        kinds=(TEXT, NUMBER, NUMBER, NUMBER, NUMBER),
        widths=(20, 20, 20, 18, 22),
        rows=(
            (
                name,
                number(comparison.champion),
                number(comparison.challenger),
                signed(float(comparison.challenger) - float(comparison.champion)),
                f"{signed(comparison.low)} to {signed(comparison.high)}",
            ),
        ),
    )


def comparison_chart(comparison: Comparison) -> Chart:
    """The difference with its interval, beside zero."""
    difference = float(comparison.challenger) - float(comparison.champion)
    mark = Mark(
        name=f"{metric(comparison.metric)}, difference",
        value=difference,
        low=float(comparison.low),
        high=float(comparison.high),
        tone="realised" if comparison.better else "now",
        note=signed(difference),
    )
    alt = (
        f"The challenger's {metric(comparison.metric)} less the champion's: {signed(difference)}, with an interval from "
        f"{signed(comparison.low)} to {signed(comparison.high)}."
    )
    return intervals([mark], alt, zero=True)


def metrics_table(training: TrainingStatus, version: int) -> Table | None:
    """All metrics of the new version on the rows held out."""
    found = training.metrics.wire()
    if not found:
        return None
    return Table(
        caption="The new version on the rows held out from its training",
        columns=("", *(metric(name) for name in found)),
        kinds=(TEXT, *(NUMBER,) * len(found)),
        rows=((f"Version {version}", *(number(value) for value in found.values())),),
    )
