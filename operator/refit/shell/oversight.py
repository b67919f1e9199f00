"""Oversight: what bears on whether a request may be carried out, asked of those who know it.

The API server is asked who may still approve, and whether the guard holds; the audit, what was begun; and the
ConfigMap that stops the line, whether it is there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from refit.api import meta
from refit.api.proposal import EstimatePhase
from refit.api.remediation import RemediationMode
from refit.api.remediationrequest import ApprovalEntry, Decision, RequestPhase
from refit.audit.ledger import Ledger, LedgerError
from refit.core.guard import GuardState, home
from refit.core.job import CONTAINER
from refit.core.observed import Deployment, JobSeen, RequestSeen
from refit.kube import cluster as kinds
from refit.kube.cluster import Cluster
from refit.shell.jobs_seen import own_job
from refit.shell.requests import standings


class Guarded(Protocol):
    """The approval guard, as far as a pass needs it."""

    async def state(self, now: datetime, fresh: bool = False) -> GuardState:
        """Whether an approval means something."""


@dataclass(frozen=True, kw_only=True)
class Oversight:
    """The requests with all that bears on them; the other fields say what is wrong, and are empty where nothing is."""

    requests: tuple[RequestSeen, ...]
    guard: str = ""
    guard_version: str = ""
    switch: str = ""
    ledger: str = ""


@dataclass(frozen=True, kw_only=True)
class Overseer:
    """Asks, for an operator of that user name."""

    cluster: Cluster
    ledger: Ledger
    guard: Guarded
    identity: str

    async def look(self, deployment: Deployment, requests: tuple[RequestSeen, ...], now: datetime) -> Oversight:
        """What bears on these requests now. Where nothing could be carried out anyway, little is asked."""
        remediation = deployment.spec.remediation
        acts = remediation is not None and remediation.mode == RemediationMode.ACT
        opened = [request for request in requests if request.open]
        held, problem = {}, ""
        if opened:
            try:
                held = standings(await self.ledger.of_requests(request.uid for request in opened))
            except LedgerError as error:
                problem = str(error)
        seen = [
            replace(
                request,
                standing=held.get(request.uid, request.standing),
                confirmed=await self._confirmed(deployment, request),
                job=await self._job(deployment, request),
            )
            if request.open
            else request
            for request in requests
        ]
        decided = any(request.confirmed for request in seen)
        state = await self.guard.state(now, fresh=decided) if acts else None
        return Oversight(
            requests=tuple(seen),
            guard=state.message if state is not None and not state.ok else "",
            guard_version=state.version if state is not None and state.ok else "",
            switch=await self._switch(deployment.namespace) if acts and opened else "",
            ledger=problem,
        )

    async def _confirmed(self, deployment: Deployment, request: RequestSeen) -> frozenset[str]:
        """Those who approved what stands there, and have the right to now."""
        proposal = request.status.proposal
        if request.status.phase != RequestPhase.AWAITING_APPROVAL or proposal is None:
            return frozenset()
        group = proposal.approval.required_group if proposal.approval is not None else None
        found = set()
        for user, entry in (request.status.approvals or {}).items():
            if entry.decision != Decision.APPROVED or entry.proposal_digest != proposal.digest:
                continue
            if await self.cluster.may(
                user,
                groups_of(user, entry, group),
                "approve",
                meta.GROUP,
                meta.DEPLOYMENTS,
                request.spec.action.lower(),
                deployment.namespace,
                deployment.name,
            ):
                found.add(user)
        return frozenset(found)

    async def _job(self, deployment: Deployment, request: RequestSeen) -> JobSeen | None:
        estimate = request.status.estimate
        if estimate is None or estimate.job is None or estimate.phase != EstimatePhase.RUNNING:
            return None
        return await own_job(self.cluster, deployment.namespace, estimate.job, deployment.uid, CONTAINER)

    async def _switch(self, namespace: str) -> str:
        """Who stopped the line, and why: for all models in the operator's namespace, else for this one's."""
        for where in dict.fromkeys((home(self.identity), namespace)):
            found = await self.cluster.get(kinds.CONFIG_MAP, where, meta.FREEZE) if where else None
            if found is not None:
                told = found.get("data") or {}
                by = f" by {told['by'][:256]}" if told.get("by") else ""
                return (
                    f"ConfigMap {where}/{meta.FREEZE} stops the line{by}: {told.get('reason', 'no reason given')[:512]}"
                )
        return ""


def groups_of(user: str, entry: ApprovalEntry, required: str | None) -> tuple[str, ...]:
    """The groups that the API server is asked about: those that admission has checked, and those everyone is in."""
    groups = ["system:authenticated", *(entry.groups or ()), *((required,) if required else ())]
    if user.startswith("system:serviceaccount:"):
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}"]
    return tuple(dict.fromkeys(groups))
