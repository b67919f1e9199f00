"""The deployment report: which version answers now, why, and by how much it is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from refit.api.deploymentstatus import VersionRecord
from refit.api.orders import ReportOrder
from refit.report.charts import Chart
from refit.report.measured import Measured
from refit.report.parts import (
    TEXT,
    Fact,
    Table,
    Tile,
    approvals_table,
    comparison_chart,
    comparison_table,
    decided,
    metrics_table,
    order_facts,
    version_facts,
    versions_table,
)
from refit.report.wording import count, digest, metric, number, percent, when

VERSIONS = 10


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What the template draws."""

    title: str
    lead: str
    tiles: tuple[Tile, ...]
    beside: Table
    comparison: Table | None
    difference: Chart | None
    verdict: str
    metrics: Table | None
    checks: tuple[Fact, ...]
    approval: str
    approvals: Table | None
    versions: Table
    evidence: tuple[Fact, ...]


def deployment(order: ReportOrder, _: Measured | None) -> Deployment:
    champion = next((record for record in order.versions if record.version == order.serving), None)
    if champion is None:
        raise ValueError("a deployment report needs the version that serves")
    before = _before(order, champion)
    training = order.training
    compared = training.comparison if training is not None else None
    name = metric(champion.metric)
    change = "" if before is None else f" It takes the place of version {before.version}."
    return Deployment(
        title=f"Version {champion.version} is in service",
        lead=(
            f"{champion.algorithm} answers all requests since {when(champion.since)}.{change} "
            f"It came because of: {champion.reason or 'what its spec declares'}."
        ),
        tiles=(
            Tile(label="In service", value=f"Version {champion.version}", tone="good"),
            Tile(label=f"{name}, held-out rows", value=number(champion.value), hint=_delta(champion, before)),
            Tile(label="Algorithm", value=champion.algorithm),
            Tile(label="Training rows", value=count(training.rows) if training and training.rows else "—"),
        ),
        beside=_beside(champion, before),
        comparison=comparison_table(compared) if compared else None,
        difference=comparison_chart(compared) if compared else None,
        verdict=_verdict(compared.better) if compared else "",
        metrics=metrics_table(training, champion.version) if training else None,
        checks=_checks(order),
        approval=_approval(order),
        approvals=approvals_table(order.request) if order.request else None,
        versions=versions_table(order.versions, VERSIONS),
        evidence=(*version_facts(champion), *order_facts(order)),
    )


def _before(order: ReportOrder, champion: VersionRecord) -> VersionRecord | None:
    """The version that served before this one: the last that was taken out of service."""
    retired = [record for record in order.versions if record.until and record.version != champion.version]
    return max(retired, key=lambda record: record.until or "", default=None)


def _delta(champion: VersionRecord, before: VersionRecord | None) -> str:
    if before is None or before.metric != champion.metric:
        return "the first version" if before is None else ""
    return f"version {before.version} had {number(before.value)}"


def _beside(champion: VersionRecord, before: VersionRecord | None) -> Table:
    """The new version beside the one before it."""
    pairs: list[tuple[str, Callable[[VersionRecord], str]]] = [
        ("Algorithm", lambda record: record.algorithm),
        ("Metric on held-out rows", lambda record: f"{metric(record.metric)} {number(record.value)}"),
        ("Registered", lambda record: when(record.create_time)),
        ("In service from", lambda record: when(record.since)),
        ("In service until", lambda record: when(record.until) if record.until else "now"),
        ("Why it came", lambda record: record.reason or "—"),
        ("Model file", lambda record: digest(record.artifact.sha256)),
        ("Training data", lambda record: digest(record.data_sha256)),
    ]
    records = [record for record in (before, champion) if record is not None]
    heads = (f"Version {before.version}, before",) if before is not None else ()
    return Table(
        caption="The version in service" + (" and the one before it" if before is not None else ""),
        columns=("", *heads, f"Version {champion.version}, in service"),
        kinds=(TEXT,) * (1 + len(records)),
        widths=(26, *((37,) * len(records) if len(records) > 1 else (74,))),
        rows=tuple((name, *(told(record) for record in records)) for name, told in pairs),
    )


def _verdict(better: bool) -> str:
    if better:
        return "The challenger is better beyond chance: the interval of the difference does not hold zero."
    return "The challenger is not better beyond chance."


def _checks(order: ReportOrder) -> tuple[Fact, ...]:
    """What the version passed before it answered everybody."""
    training, canary, found = order.training, order.canary, []
    if training is not None:
        valid = training.data_message or ("all checks passed" if training.data_valid else "not told")
        found.append(Fact(term="Training data", value=valid))
        if training.shadow is not None:
            shadow = training.shadow
            share = percent(shadow.differing / shadow.requests) if shadow.requests else "none"
            found.append(
                Fact(
                    term="Replay of logged requests",
                    value=f"{count(shadow.requests)} requests, {count(shadow.differing)} answered differently ({share}), "
                    f"{count(shadow.failed)} failed",
                )
            )
    if canary is not None:
        told = f"{canary.phase}: {count(canary.requests)} requests, {count(canary.errors)} errors"
        found.append(Fact(term=f"Canary at {canary.weight} %" if canary.weight else "Canary", value=told))
    found.append(Fact(term="Roll-out", value="the endpoint answered its golden request with this very model file"))
    return tuple(found)


def _approval(order: ReportOrder) -> str:
    request = order.request
    if request is None:
        return "It was trained and deployed as its spec asks; that needs nobody's approval."
    who = decided(request)
    moment = f" on {when(who.since)}" if who.since else ""
    return f"{who.told}{moment}: request {request.name}, asked for by {request.spec.requested_by}."
