"""Answers to RemediationRequests, so that none is met with silence.

This version of Refit records a request and does not carry it out; it says so on the request itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from refit.api.conditions import Condition, ConditionStatus
from refit.api.reasons import ConditionType, Reason
from refit.api.times import stamp
from refit.kube import cluster as kinds
from refit.kube.cluster import Cluster, ConflictError, Manifest, NotFoundError
from refit.shell.observe import Key
from refit.shell.statuses import status_manifest

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RequestAnswerer:
    """One pass over one RemediationRequest."""

    cluster: Cluster
    clock: Callable[[], datetime]

    async def __call__(self, key: Key) -> None:
        """Writes what will become of the request, once."""
        request = await self.cluster.get(kinds.REMEDIATION_REQUEST, *key)
        if request is None or request["metadata"].get("deletionTimestamp"):
            return
        target = request["spec"]["targetRef"]["name"]
        found = await self.cluster.get(kinds.MODEL_DEPLOYMENT, key[0], target)
        reason, message = answer(target, there=found is not None)
        told = {item["type"]: item["reason"] for item in (request.get("status") or {}).get("conditions") or []}
        if told.get(ConditionType.READY) == reason:
            return
        log.info("remediationrequest %s/%s: %s: %s", *key, reason, message)
        try:
            await self.cluster.apply_status(_status(request, reason, message, self.clock()))
        except (NotFoundError, ConflictError):  # deleted or changed meanwhile; then there is another event
            return


def answer(target: str, *, there: bool) -> tuple[Reason, str]:
    """Reason and message for a request about that ModelDeployment."""
    if not there:
        return Reason.TARGET_NOT_FOUND, f"there is no ModelDeployment {target} in this namespace"
    return Reason.NOT_IMPLEMENTED, "this version of Refit records requests and does not carry them out yet"


def _status(request: Manifest, reason: Reason, message: str, now: datetime) -> Manifest:
    metadata = request["metadata"]
    condition = Condition(
        type=ConditionType.READY,
        status=ConditionStatus.FALSE,
        reason=reason,
        message=message,
        observed_generation=metadata["generation"],
        last_transition_time=stamp(now),
    )
    status = {"observedGeneration": metadata["generation"], "conditions": [condition.wire()]}
    place = (metadata["namespace"], metadata["name"], metadata["resourceVersion"])
    return status_manifest(kinds.REMEDIATION_REQUEST, *place, status)
