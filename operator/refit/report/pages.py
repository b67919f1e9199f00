"""Pages: from an order and what was measured to one page of HTML, inert whatever people wrote into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from refit.api.orders import ReportOrder
from refit.api.reports import ReportKind
from refit.report.approval import approval
from refit.report.deployment import deployment
from refit.report.drift import drift
from refit.report.incident import incident
from refit.report.measured import Measured
from refit.report.wording import plain, when

Seen = Callable[[ReportOrder, Measured | None], Any]
PAGES: dict[ReportKind, tuple[str, Seen]] = {
    ReportKind.DEPLOYMENT: ("Deployment report", deployment),
    ReportKind.DRIFT: ("Drift report", drift),
    ReportKind.INCIDENT: ("Incident report", incident),
    ReportKind.APPROVAL: ("Approval summary", approval),
}


def html(order: ReportOrder, found: Measured | None) -> str:
    """The page; raises ValueError if the order lacks what its kind tells of."""
    kind, seen = PAGES[order.kind]
    template = _environment().get_template(f"{order.kind.lower()}.html.j2")
    return template.render(kind=kind, order=order, page=seen(order, found))


def _environment() -> Environment:
    # Autoescape for every name: a template is HTML here, whatever its suffix.
    found = Environment(
        loader=PackageLoader("refit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    found.filters["when"] = when
    found.filters["plain"] = plain
    return found


def _shown(value: Any) -> Any:
    """What comes of every expression: text is stripped of characters that have no shape or turn others around."""
    return plain(value) if type(value) is str else value
