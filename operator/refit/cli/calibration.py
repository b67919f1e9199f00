"""`report calibration`: how well predicted impacts held, over all requests that were carried out and measured after."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from statistics import fmean

from refit.api.objects import Request
from refit.api.summaries import action, predicted
from refit.cli.session import Result, Session
from refit.cli.terminal import table

LEVEL = "90 %"
"""What the intervals promise: refit.api.proposal says so of each."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """One prediction beside what came of it."""

    request: str
    action: str
    predicted: str
    metric: str
    value: float
    realised: float
    inside: bool

    @property
    def error(self) -> float:
        """Positive: it came out higher than predicted."""
        return self.realised - self.value


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Of one metric."""

    metric: str
    count: int
    held: int
    mean_error: float
    mean_absolute_error: float


async def report(session: Session, _: Namespace) -> Result:
    rows = measured(await session.requests())
    found = summaries(rows)
    if not rows:
        return Result(text="no request was both predicted and measured after", data={"requests": [], "metrics": []})
    each = table(
        ("REQUEST", "ACTION", "PREDICTED", "REALISED", "ERROR", "INSIDE"),
        [
            (
                one.request,
                one.action,
                one.predicted,
                f"{one.realised:.4g}",
                f"{one.error:+.4g}",
                "yes" if one.inside else "no",
            )
            for one in rows
        ],
        coloured=session.terminal.colours,
    )
    metrics = table(
        ("METRIC", "REQUESTS", "INSIDE", "SHARE", "MEAN ERROR", "MEAN ABSOLUTE ERROR"),
        [
            (
                one.metric,
                one.count,
                one.held,
                f"{one.held / one.count:.0%}",
                f"{one.mean_error:+.4g}",
                f"{one.mean_absolute_error:.4g}",
            )
            for one in found
        ],
    )
    text = f"{each}\n\n{metrics}\n\nthe intervals promise {LEVEL}"
    return Result(text=text, data={"requests": [vars(one) for one in rows], "metrics": [vars(one) for one in found]})


def measured(requests: list[Request]) -> list[Held]:
    """The requests with both numbers, as they come; where nobody said whether it was inside, the numbers do."""
    rows = []
    for one in requests:
        impact = one.status.proposal.predicted_impact if one.status.proposal is not None else None
        real = one.status.outcome.realised_impact if one.status.outcome is not None else None
        if impact is None or real is None or impact.metric != real.metric:
            continue
        within = float(impact.low) <= float(real.after) <= float(impact.high)
        rows.append(
            Held(
                request=one.name,
                action=action(one),
                predicted=predicted(impact),
                metric=impact.metric,
                value=float(impact.predicted),
                realised=float(real.after),
                inside=within if real.inside is None else real.inside,
            )
        )
    return rows


def summaries(rows: list[Held]) -> list[Summary]:
    """One for each metric: errors of different metrics have no common mean."""
    return [
        Summary(
            metric=metric,
            count=len(of),
            held=sum(one.inside for one in of),
            mean_error=fmean(one.error for one in of),
            mean_absolute_error=fmean(abs(one.error) for one in of),
        )
        for metric in sorted({one.metric for one in rows})
        for of in [[one for one in rows if one.metric == metric]]
    ]
