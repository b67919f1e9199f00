"""RemediationRequests as seen, and the answers written onto them, so that none is met with silence."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from refit.api import meta, traces
from refit.api.conditions import find
from refit.api.entries import EntryKind
from refit.api.reasons import ConditionType
from refit.api.remediationrequest import RemediationRequestSpec, RemediationRequestStatus, RequestPhase
from refit.audit.ledger import Ledger, LedgerError, Row
from refit.core.answers import Answer, is_news, unrecorded
from refit.core.notes import Note
from refit.core.observed import RequestSeen, Standing
from refit.kube import cluster as kinds
from refit.kube.cluster import Cluster, ConflictError, Manifest, NotFoundError
from refit.shell.recorder import Subject, record
from refit.shell.statuses import status_manifest

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""Namespace and name of a ModelDeployment."""


class Keys:
    """Models of which the watch has told something: that they are there, or that somebody made a request about them.

    The watch begins with all there are, and each of them adds its model to the queue; so nothing is missed for long.
    """

    def __init__(self) -> None:
        self._keys: set[Key] = set()

    def add(self, key: Key) -> None:
        self._keys.add(key)

    def forget(self, key: Key) -> None:
        self._keys.discard(key)

    def __contains__(self, key: Key) -> bool:
        return key in self._keys


async def requests_about(cluster: Cluster, key: Key) -> tuple[RequestSeen, ...]:
    """The requests about a model, the oldest first. One that does not fit our types is logged and left alone."""
    namespace, name = key
    found = []
    for manifest in await cluster.list(kinds.REMEDIATION_REQUEST, namespace, ""):
        if manifest["spec"]["targetRef"]["name"] != name or manifest["metadata"].get("deletionTimestamp"):
            continue
        if manifest["metadata"]["name"] == meta.GUARD_CANARY:
            continue
        try:
            found.append(_parsed(manifest))
        except ValidationError as error:
            log.error("remediationrequest %s/%s cannot be read: %s", namespace, manifest["metadata"]["name"], error)  # noqa: TRY400  # no traceback for what somebody else wrote
    return tuple(sorted(found, key=lambda request: (request.created, request.name)))


def _parsed(manifest: Manifest) -> RequestSeen:
    metadata = manifest["metadata"]
    return RequestSeen(
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        ours=(metadata.get("labels") or {}).get(meta.LABEL_MANAGED_BY) == meta.MANAGED_BY,
        spec=RemediationRequestSpec.model_validate(manifest["spec"]),
        status=RemediationRequestStatus.model_validate(manifest.get("status") or {}),
        trace=traces.of_object(metadata),
    )


def standings(rows: Iterable[Row]) -> dict[str, Standing]:
    """By the uid of a request, what the audit holds of it."""
    found: dict[str, Standing] = {}
    for row in rows:
        before = found.get(row.request_uid, Standing())
        if row.kind is EntryKind.INTENT:
            found[row.request_uid] = replace(before, intent=row.digest)
        else:
            found[row.request_uid] = replace(before, ended=True)
    return found


async def write_answer(
    cluster: Cluster, ledger: Ledger, namespace: str, answer: Answer, now: datetime
) -> RemediationRequestStatus | None:
    """Writes the status of a request, and before it what the audit must hold; returns what was written.

    One that changed meanwhile is answered after its next event."""
    if answer.entry is not None:
        try:
            await ledger.write(answer.entry)
        except LedgerError as error:
            log.error("remediationrequest %s/%s: %s", namespace, answer.request.name, error)  # noqa: TRY400  # the message says it all
            if answer.entry.kind is EntryKind.IMPACT:
                return None  # it is over: what it brought is told once it can be recorded
            answer = unrecorded(answer, str(error), now)
            if not is_news(answer):
                return None
    request, status = answer.request, answer.status
    manifest = status_manifest(
        kinds.REMEDIATION_REQUEST, namespace, request.name, request.resource_version, status.wire()
    )
    ready = find(status.conditions, ConditionType.READY)
    try:
        await cluster.apply_status(manifest)
    except (NotFoundError, ConflictError):
        return None
    if ready is None or ready == find(request.status.conditions, ConditionType.READY):
        return status
    told = (namespace, request.name, status.phase, ready.reason, ready.message)
    log.info("remediationrequest %s/%s: %s: %s: %s", *told, extra={"trace_id": request.trace})
    if status.phase != request.status.phase:
        warning = status.phase in (RequestPhase.FAILED, RequestPhase.REJECTED, RequestPhase.EXPIRED)
        subject = Subject(
            kind=meta.REQUEST_KIND, namespace=namespace, name=request.name, uid=request.uid, trace=request.trace
        )
        await record(cluster, subject, Note(reason=ready.reason, message=ready.message, warning=warning), now)
    return status
