"""Every report that somebody may want to read: of measurements, and those that requests link."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from refit.api.objects import Model
from refit.api.reports import Report as Stored
from refit.api.reports import ReportPhase
from refit_ui.views.snapshot import Snapshot

LINKED = ("http", "https")
"""Schemes that become a link; any other stays text, since a click on it could run something."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One report; `linked` says that its address may be a link. Without a `uri` there is no file, and `of` says why."""

    namespace: str
    model: str
    of: str
    time: str
    name: str
    uri: str
    linked: bool
    sha256: str = ""
    """Of the file as it was stored; empty where nobody wrote it down."""


def reports(snapshot: Snapshot) -> tuple[Report, ...]:
    """The newest first; what a model's status tells of a file is said once, with its digest."""
    found = [_stored(model, one) for model in snapshot.models for one in model.status.reports or ()]
    for model in snapshot.models:
        last = model.status.last_measurement
        if last is not None and last.report:
            found.append(_report(model.namespace, model.name, "last measurement", last.time, last.report))
    for request in snapshot.requests:
        found += [
            _report(request.namespace, request.spec.target_ref.name, request.name, request.created, uri)
            for uri in request.status.reports
        ]
    told: dict[str, Report] = {}
    for one in found:
        told.setdefault(one.uri or f"{one.namespace}/{one.model}/{one.name}", one)
    return tuple(sorted(told.values(), key=lambda one: (one.time, one.uri), reverse=True))


def is_as_stored(report: Report, content: bytes) -> bool:
    """Whether a file is the one that was stored; one without a digest can not be another."""
    return not report.sha256 or hashlib.sha256(content).hexdigest() == report.sha256


def _stored(model: Model, found: Stored) -> Report:
    """A PDF that Refit made, is making, or could not make."""
    pages = f", {found.pages} {'page' if found.pages == 1 else 'pages'}" if found.pages else ""
    about = f" of {found.about}" if found.about else ""
    if found.phase == ReportPhase.STORED and found.uri:
        told = f"{found.kind} report{about}{pages}"
        return replace(_report(model.namespace, model.name, told, found.time, found.uri), sha256=found.sha256 or "")
    told = (
        "is being made"
        if found.phase == ReportPhase.RUNNING
        else f"could not be made: {found.message or 'no reason is known'}"
    )
    name = f"{found.kind} report {found.key}"
    return Report(
        namespace=model.namespace,
        model=model.name,
        of=f"{told}{about}",
        time=found.time,
        name=name,
        uri="",
        linked=False,
    )


def _report(namespace: str, model: str, of: str, time: str, uri: str) -> Report:
    parts = urlsplit(uri)
    name = parts.path.rpartition("/")[2] or uri
    linked = parts.scheme in LINKED and bool(parts.hostname)
    return Report(namespace=namespace, model=model, of=of, time=time, name=name, uri=uri, linked=linked)
