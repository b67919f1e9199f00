"""A person's decision, written under their own name on exactly what they were shown.

The decision names the digest that was shown. If the request is no longer what was shown, nothing is sent, or the API
server refuses it: uid and resourceVersion go with the patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.api.objects import Manifest, Request, request_of
from refit.api.proposal import ApprovalRule
from refit.api.remediationrequest import ApprovalEntry
from refit.kube.answers import CONFLICT, Me, RefusalError
from refit.kube.cluster import REMEDIATION_REQUEST, ClusterError

if TYPE_CHECKING:
    from refit.kube.person import Person  # it takes seconds to load

MOST_GROUPS = 16
LONGEST_GROUP = 256
EVERYBODY = "system:authenticated"
TRIES = 3


class ChangedError(ClusterError):
    """The request is no longer what was shown; `now` is what it is, None if it is gone."""

    def __init__(self, shown: Request, now: Request | None) -> None:
        super().__init__(f"{shown.name} changed since you looked, and nothing was decided")
        self.now = now


async def decide(person: Person, shown: Request, me: Me, entry: ApprovalEntry) -> Request:
    """Writes the entry; the request as it then is. Raises ChangedError, RefusalError.

    Whatever else was written meanwhile is no hindrance as long as it is nothing that was shown.
    """
    seen: Request | None = shown
    for _ in range(TRIES):
        if seen is None or covered(seen) != covered(shown):
            break
        patch = {
            "metadata": {"uid": seen.uid, "resourceVersion": seen.resource_version},
            "status": {"approvals": {me.name: entry.wire()}},
        }
        try:
            return request_of(await person.merge(REMEDIATION_REQUEST.path(seen.namespace, seen.name, "status"), patch))
        except RefusalError as error:
            if error.code != CONFLICT:
                raise
        seen = await find(person, shown.namespace, shown.name)
    raise ChangedError(shown, seen)


def covered(request: Request) -> tuple[object, ...]:
    """All that a decision is about."""
    status = request.status
    return request.uid, status.phase, status.proposal, status.approvals


async def find(person: Person, namespace: str, name: str) -> Request | None:
    """The request as it is now; None if it is not there."""
    found: Manifest | None = await person.get(REMEDIATION_REQUEST, namespace, name)
    return request_of(found) if found is not None else None


def groups_that_matter(me: Me, rule: ApprovalRule) -> tuple[str, ...]:
    """The person's groups without that of everybody, the required one first: the right is checked by them again."""
    own = [group for group in me.groups if group != EVERYBODY and 0 < len(group) <= LONGEST_GROUP]
    own.sort(key=lambda group: (group != rule.required_group, group))
    return tuple(dict.fromkeys(own))[:MOST_GROUPS]
