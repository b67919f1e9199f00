"""The self-test: is the approval guard there, is it ours, and does it bite?

It is read and compared, and then tried: the operator decides on a request of its own, in a rehearsal that the API
server must refuse by name.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from refit.api import guard as shipped
from refit.api import meta
from refit.core.guard import GuardState, canary, difference, forbidden, home, refusal, version
from refit.kube import cluster as kinds
from refit.kube.cluster import (
    Cluster,
    ClusterError,
    ConflictError,
    Manifest,
    NotFoundError,
    RefusedError,
    UnreachableError,
)

log = logging.getLogger(__name__)

GOOD_FOR = timedelta(minutes=5)
DOUBTED_FOR = timedelta(seconds=15)
"""What is not well is looked at again soon: a guard that was just installed takes some seconds."""


@dataclass(kw_only=True)
class Guard:
    """The guard as last tested, for an operator with that user name."""

    cluster: Cluster
    identity: str
    _state: GuardState | None = None
    _tested: datetime | None = None
    _begun: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def state(self, now: datetime, fresh: bool = False) -> GuardState:
        """Whether an approval means something; tested now if `fresh`, or if the last test is too old.

        A test that began after it was asked for is fresh for all who asked before: many approvals at once are one test.
        """
        asked_after = self._begun
        async with self._lock:
            if self._state is not None and self._begun > asked_after:
                return self._state
            if self._state is None or fresh or not self._holds(self._state, now):
                self._begun += 1
                before, self._state, self._tested = self._state, await self._test(), now
                _tell(before, self._state)
            return self._state

    def _holds(self, state: GuardState, now: datetime) -> bool:
        age = now - self._tested if self._tested is not None else GOOD_FOR
        return timedelta(0) <= age < (GOOD_FOR if state.ok else DOUBTED_FOR)

    async def _test(self) -> GuardState:
        if not home(self.identity):
            return _doubt(f"REFIT_IDENTITY is {self.identity!r}, and not system:serviceaccount:NAMESPACE:NAME")
        try:
            there: list[Manifest] = []
            for wanted in shipped.objects(self.identity):
                found = await self.cluster.get(kinds.kind_of(wanted), None, wanted["metadata"]["name"])
                problem = difference(wanted, found)
                if problem or found is None:
                    return _doubt(problem)
                there.append(found)
            problem = refusal(self.identity, await self._try())
        except UnreachableError as error:
            return _doubt(f"the API server gave no answer about the guard: {error}")
        except ClusterError as error:
            return _doubt(
                f"the guard may not be looked at: {error}; compare the operator's rights with manifests/rbac.yaml"
            )
        if problem:
            return _doubt(problem)
        return GuardState(ok=True, message="the approval guard is in place", version=version(tuple(there)))

    async def _try(self) -> str:
        """What the API server answers when the operator decides; empty if it would take that."""
        where = home(self.identity)
        for _ in range(2):
            try:
                await self.cluster.rehearse_status(
                    kinds.REMEDIATION_REQUEST, where, meta.GUARD_CANARY, forbidden(self.identity)
                )
            except RefusedError as error:
                return str(error)
            except NotFoundError:
                await self._create()
            else:
                return ""
        return f"{meta.GUARD_CANARY} was deleted meanwhile"

    async def _create(self) -> None:
        try:
            await self.cluster.create(canary(self.identity))
        except ConflictError:
            log.debug("somebody created %s meanwhile", meta.GUARD_CANARY)


def _doubt(problem: str) -> GuardState:
    return GuardState(ok=False, message=problem[:1024])


def _tell(before: GuardState | None, after: GuardState) -> None:
    """One line when it changes."""
    if before == after:
        return
    if after.ok:
        log.info("approval guard: %s", after.message)
    else:
        log.error("approval guard: %s; nothing that needs approval is carried out", after.message)
