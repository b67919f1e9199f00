"""Every report that somebody may want to read: of measurements, and those that requests link."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from refit_ui.views.snapshot import Snapshot

LINKED = ("http", "https")
"""Schemes that become a link; any other stays text, since a click on it could run something."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One report; `linked` says that its address may be a link."""

    namespace: str
    model: str
    of: str
    time: str
    name: str
    uri: str
    linked: bool


def reports(snapshot: Snapshot) -> tuple[Report, ...]:
    """The newest first."""
    found = []
    for model in snapshot.models:
        last = model.status.last_measurement
        if last is not None and last.report:
            found.append(_report(model.namespace, model.name, "last measurement", last.time, last.report))
    for request in snapshot.requests:
        found += [
            _report(request.namespace, request.spec.target_ref.name, request.name, request.created, uri)
            for uri in request.status.reports
        ]
    return tuple(sorted(found, key=lambda one: (one.time, one.uri), reverse=True))


def _report(namespace: str, model: str, of: str, time: str, uri: str) -> Report:
    parts = urlsplit(uri)
    name = parts.path.rpartition("/")[2] or uri
    linked = parts.scheme in LINKED and bool(parts.hostname)
    return Report(namespace=namespace, model=model, of=of, time=time, name=name, uri=uri, linked=linked)
