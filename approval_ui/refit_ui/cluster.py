"""The cluster as the signed-in person may see and change it: every request carries their token, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from refit.api import meta
from refit.api.guard import APPROVE, subresource_of
from refit.api.objects import Model, Request, UnreadableError, model_of, request_of
from refit.api.proposal import ApprovalRule
from refit.api.remediationrequest import Action, ApprovalEntry, Decision
from refit.api.wanted import Wanted, manifest
from refit.kube import decisions
from refit.kube.answers import Me, RefusalError
from refit.kube.cluster import MODEL_DEPLOYMENT, REMEDIATION_REQUEST, ClusterError, Kind, UnreachableError
from refit.kube.person import Person
from refit_ui import collector
from refit_ui.identity import Identity
from refit_ui.settings import Settings
from refit_ui.views.snapshot import Snapshot

AGENT = "refit-ui"
AT_ONCE = 8
"""Questions about rights that are asked at the same time."""
UNAUTHENTICATED = 401
MOST_READ = 4000
_READ: dict[tuple[str, str], Any] = {}
"""Objects of late, by uid and resourceVersion, under which one never changes."""
T = TypeVar("T")


class SignedOutError(ClusterError):
    """The API server no longer takes the token."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The API server, asked with one token."""

    settings: Settings
    token: str = field(repr=False)

    def me(self) -> Me:
        """Who the API server takes the token's bearer for."""
        return self._ask(lambda person: person.me())

    def snapshot(self, namespace: str | None, *, fresh: bool = False) -> Snapshot:
        """Everything of a namespace, or of all; after a decision `fresh`, or what was just written may not be in it."""
        return self._ask(lambda person: _snapshot(person, namespace, fresh=fresh))

    def measurement(self, model: Model, key: str) -> dict[str, Any]:
        """The whole of that measurement; raises NotShownError."""
        return self._ask(
            lambda person: collector.measurement(person, self.settings.collector_url, model.namespace, model.name, key)
        )

    def may_ask(self, namespace: str) -> bool:
        """Whether the person may make requests there."""
        return self._ask(
            lambda person: _may(person, {"verb": "create", "resource": meta.REQUESTS, "namespace": namespace})
        )

    def decide(self, shown: Request, identity: Identity, decision: Decision, reason: str) -> Request:
        """Writes the person's decision on what they were shown; raises ChangedError if it is another thing by now."""
        proposal = shown.status.proposal
        if proposal is None:
            raise decisions.ChangedError(shown, shown)
        me = Me(name=identity.name, groups=identity.groups)
        entry = ApprovalEntry(
            decision=decision,
            proposal_digest=proposal.digest,
            reason=reason.strip() or None,
            groups=decisions.groups_that_matter(me, proposal.approval or ApprovalRule()) or None,
        )
        return self._ask(lambda person: decisions.decide(person, shown, me, entry))

    def create(self, model: Model, wanted: Wanted, identity: Identity, note: str) -> Request:
        """A request in the person's own name."""
        body = manifest(model, wanted, identity.name, note)
        path = REMEDIATION_REQUEST.path(model.namespace)
        return self._ask(lambda person: _created(person, path, body))

    def _ask(self, act: Callable[[Person], Awaitable[T]]) -> T:
        """One visit to the API server. Raises SignedOutError, RefusalError, UnreachableError."""

        async def visit() -> T:
            async with Person.bearing(
                self.token,
                server=self.settings.api_server,
                ca_file=self.settings.api_ca_file,
                namespace="default",
                agent=AGENT,
            ) as person:
                return await act(person)

        try:
            return asyncio.run(visit())
        except RefusalError as error:
            if error.code == UNAUTHENTICATED:
                raise SignedOutError("the cluster does not take this sign-in, or no longer") from error
            raise
        except OSError as error:
            raise UnreachableError(f"the authority of the API server can not be read: {error.strerror}") from error


async def _snapshot(person: Person, namespace: str | None, *, fresh: bool) -> Snapshot:
    models, requests = await asyncio.gather(
        *(_listed(person, kind, namespace, fresh=fresh) for kind in (MODEL_DEPLOYMENT, REMEDIATION_REQUEST))
    )
    unreadable: list[str] = []
    found = Snapshot(
        models=tuple(_read(models, model_of, unreadable)),
        requests=tuple(
            _read((one for one in requests if one["metadata"]["name"] != meta.GUARD_CANARY), request_of, unreadable)
        ),
        at=datetime.now(UTC),
    )
    return replace(
        found,
        requests=tuple(sorted(found.requests, key=lambda one: one.created, reverse=True)),
        granted=await _granted(person, found.waiting),
        unreadable=tuple(unreadable),
    )


async def _listed(person: Person, kind: Kind, namespace: str | None, *, fresh: bool) -> list[dict[str, Any]]:
    """As the API server has them in memory, which may be a moment old and spares it the reading of all from etcd."""
    if fresh:
        return await person.list(kind, namespace)
    answer = await person.ask("GET", kind.path(namespace), query={"resourceVersion": "0"})
    if not answer.ok:
        raise RefusalError(answer)
    return [{"apiVersion": kind.api_version, "kind": kind.kind, **one} for one in answer.json().get("items") or []]


def _read(found: Iterable[dict[str, Any]], read: Callable[[dict[str, Any]], T], unreadable: list[str]) -> Iterable[T]:
    """One object that can not be read must not hide the others.

    One that was read before, for whomever, is not read again: what the person may see was just listed for them.
    """
    for one in found:
        key = (one["metadata"]["uid"], one["metadata"]["resourceVersion"])
        known: T | None = _READ.get(key)
        if known is None:
            try:
                known = read(one)
            except UnreadableError as error:
                unreadable.append(str(error))
                continue
            if len(_READ) >= MOST_READ:
                _READ.clear()
            _READ[key] = known
        yield known


async def _granted(person: Person, waiting: tuple[Request, ...]) -> frozenset[str]:
    """Asked once for each model and action."""
    few = asyncio.Semaphore(AT_ONCE)

    async def ask(about: tuple[str, str, Action]) -> bool:
        namespace, name, action = about
        async with few:
            return await _may(
                person,
                {
                    "verb": APPROVE,
                    "resource": meta.DEPLOYMENTS,
                    "subresource": subresource_of(action),
                    "namespace": namespace,
                    "name": name,
                },
            )

    keys = {one.uid: (one.namespace, one.spec.target_ref.name, one.spec.action) for one in waiting}
    questions = sorted(set(keys.values()))
    answers = dict(zip(questions, await asyncio.gather(*map(ask, questions)), strict=True))
    return frozenset(uid for uid, key in keys.items() if answers[key])


async def _may(person: Person, attributes: dict[str, str]) -> bool:
    kind = Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
    body = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "spec": {"resourceAttributes": {"group": meta.GROUP, **attributes}},
    }
    found = await person.review(kind.group, kind.plural, body)
    return bool((found.get("status") or {}).get("allowed"))


async def _created(person: Person, path: str, body: dict[str, Any]) -> Request:
    return request_of(await person.create(path, body))
