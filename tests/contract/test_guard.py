"""The approval guard as shipped, on a live API server: who may decide, on what, and in whose name a request is made.

Every user here is known to the API server by a certificate, and has the roles that are shipped. Nearly all of it is tried in
rehearsals (dryRun=All), which go through authorization, schema and admission like the real thing.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from guarded import (
    DIGEST,
    OLDER,
    OPERATOR,
    PEOPLE,
    PLURALS,
    RBAC,
    REQUESTS,
    TEAM,
    Guarded,
    approvals,
    awaiting,
    no,
    place,
    request,
    shipped,
    type_checked,
    yes,
)
from refit.api import guard, meta
from refit.kube.live import LiveCluster, connect
from refit_cluster.client import Answer
from refit_cluster.shell import wait_until

pytestmark = pytest.mark.contract

Manifest = dict[str, Any]
ROLE_SETS = int(os.environ.get("REFIT_TEST_ROLE_SETS", "150"))
"""How many random sets of roles are tried; 1,000 take about a minute."""


# The truth table: everybody, on every request as it stands, with every decision.

OLD: dict[str, Callable[[Guarded], str]] = {
    "retrain heart": lambda plane: plane.asked(),
    "roll heart back": lambda plane: plane.asked(action="Rollback"),
    "retrain lung": lambda plane: plane.asked(target="lung"),
    "made by rita": lambda plane: plane.asked("rita"),
    "made by rita, who may approve her own": lambda plane: plane.asked(
        "rita", status=awaiting(requesterMayApprove=True)
    ),
    "for the release-board": lambda plane: plane.asked(status=awaiting(requiredGroup="release-board")),
    "needs two": lambda plane: plane.asked(status=awaiting(approvals=2)),
    "approved by alice": lambda plane: plane.asked(decided={"alice": yes()}),
    "pending": lambda plane: plane.asked(status=awaiting(phase="Pending")),
    "executing": lambda plane: plane.asked(status=awaiting(phase="Executing")),
    "expired": lambda plane: plane.asked(status=awaiting(phase="Expired")),
    "without a proposal": lambda plane: plane.asked(status={"status": {"phase": "AwaitingApproval"}}),
    "not looked at yet": lambda plane: plane.asked(status={}),
}
NEW: dict[str, Callable[[str], Manifest]] = {
    "yes": lambda user: approvals({user: yes()}),
    "no": lambda user: approvals({user: no()}),
    "yes, as one of ml-approvers": lambda user: approvals({user: yes(groups=["ml-approvers"])}),
    "yes, as one of two groups": lambda user: approvals({user: yes(groups=["ml-approvers", "release-board"])}),
    "yes by zoe": lambda _: approvals({"zoe": yes()}),
    "yes by both": lambda user: approvals({user: yes(), "zoe": yes()}),
    "yes to an older proposal": lambda user: approvals({user: yes(OLDER)}),
    "yes, and the phase": lambda user: {"status": {"phase": "Executing", "approvals": {user: yes()}}},
    "the phase alone": lambda _: {"status": {"phase": "Superseded"}},
    "a proposal": lambda _: {"status": {"proposal": {"digest": OLDER, "text": "worse"}}},
    "nothing": lambda _: {},
}
GROUPED = "yes, as one of ml-approvers"
DECIDERS = {"alice", "bob", "carol", "grace", "rita", "hugo", "root"}
WRITERS = {*DECIDERS, "mallory", OPERATOR}
"""Whom RBAC lets write the status of requests in that namespace at all."""


def answers(deciders: set[str], *, in_group: bool = True) -> dict[str, set[str]]:
    """What is taken where these may decide: their own yes or no, and from the operator what is its own."""
    found = {"yes": deciders, "no": deciders} if deciders else {}
    if in_group:
        found[GROUPED] = {"carol"}
    return {**found, "the phase alone": {OPERATOR}, "a proposal": {OPERATOR}, "nothing": WRITERS}


TAKEN: dict[str, dict[str, set[str]]] = {
    "retrain heart": answers(DECIDERS),
    "roll heart back": answers(DECIDERS - {"alice", "hugo"}),
    "retrain lung": answers(DECIDERS - {"hugo"}),
    "made by rita": answers(DECIDERS - {"rita"}),
    "made by rita, who may approve her own": answers(DECIDERS),
    "for the release-board": answers({"grace"}, in_group=False),
    "needs two": answers(DECIDERS),
    # Alice's yes once more changes nothing, and so is nothing; her no would be another decision.
    "approved by alice": {**answers(DECIDERS), "no": DECIDERS - {"alice"}},
    "pending": answers(set(), in_group=False),
    "executing": answers(set(), in_group=False),
    "expired": answers(set(), in_group=False),
    "without a proposal": answers(set(), in_group=False),
    "not looked at yet": answers(set(), in_group=False),
}


def rehearse(plane: Guarded, user: str, path: str, patch: Mapping[str, Any]) -> Answer:
    return plane.who(user).merge(f"{path}/status", patch, dryRun="All")


@pytest.mark.parametrize("old", OLD)
def test_exactly_these_are_taken(guarded_plane: Guarded, old: str) -> None:
    path = OLD[old](guarded_plane)
    codes = {
        (new, user): rehearse(guarded_plane, user, path, patch(user)).code
        for new, patch in NEW.items()
        for user in PEOPLE
    }
    taken = {new: {user for user in PEOPLE if codes[new, user] == 200} for new in NEW}
    assert {new: users for new, users in taken.items() if users} == TAKEN[old]
    assert {code for code in codes.values() if code != 200} <= {403, 422}


def test_the_table_is_as_large_as_it_should_be() -> None:
    assert (len(OLD) * len(NEW) * len(PEOPLE), set(OLD) == set(TAKEN)) == (1573, True)


@pytest.mark.parametrize(
    ("old", "user", "patch", "code", "says"),
    [
        pytest.param("retrain heart", "mallory", NEW["yes"], 403, "mallory may not approve Retrain of heart", id="who may write statuses, and lacks the verb"),
        pytest.param("roll heart back", "alice", NEW["yes"], 403, "alice may not approve Rollback of heart", id="who may approve another action"),
        pytest.param("retrain lung", "hugo", NEW["yes"], 403, "hugo may not approve Retrain of lung", id="who may approve for another model"),
        pytest.param("retrain heart", "erin", NEW["yes"], 403, 'User "erin" cannot patch resource "remediationrequests/status"', id="who may approve in another namespace"),
        pytest.param("retrain heart", "olga", NEW["yes"], 403, 'User "olga" cannot patch resource "remediationrequests/status"', id="who may look"),
        pytest.param("made by rita", "rita", NEW["yes"], 422, "requester and approver must differ", id="who made the request"),
        pytest.param("for the release-board", "bob", NEW["yes"], 403, "only members of release-board may decide on this proposal", id="who is not of the group that must decide"),
        pytest.param("for the release-board", "bob", lambda user: approvals({user: yes(groups=["release-board"])}), 403, "only members of release-board may decide", id="who says to be of the group that must decide"),
        pytest.param("retrain heart", "bob", NEW[GROUPED], 422, "groups may name only groups that you are in", id="a group of others"),
        pytest.param("retrain heart", "carol", NEW["yes, as one of two groups"], 422, "groups may name only groups that you are in", id="a group of one's own and one of others"),
        pytest.param("retrain heart", "alice", NEW["yes by zoe"], 422, "you may decide only under your own user name", id="in the name of another"),
        pytest.param("retrain heart", "alice", NEW["yes by both"], 422, "you may decide only under your own user name", id="for oneself and another at once"),
        pytest.param("retrain heart", "root", NEW["yes by zoe"], 422, "you may decide only under your own user name", id="an administrator in the name of another"),
        pytest.param("retrain heart", "root", lambda _: approvals({"Root": yes()}), 422, "you may decide only under your own user name", id="one's own name in capitals"),
        pytest.param("retrain heart", "root", lambda _: approvals({"root ": yes()}), 422, "you may decide only under your own user name", id="one's own name and a blank"),
        pytest.param("retrain heart", "root", lambda _: approvals({"r\u043e\u043et": yes()}), 422, "you may decide only under your own user name", id="one's own name in look-alike letters"),
        pytest.param("retrain heart", "alice", NEW["yes to an older proposal"], 422, "proposalDigest differs from the current proposal; review again", id="another proposal's digest"),
        pytest.param("without a proposal", "alice", NEW["yes"], 422, "proposalDigest differs from the current proposal; review again", id="no proposal to approve"),
        pytest.param("pending", "alice", NEW["yes"], 422, "not awaiting approval: the request is Pending", id="before it is asked"),
        pytest.param("executing", "alice", NEW["no"], 422, "not awaiting approval: the request is Executing", id="once it is carried out"),
        pytest.param("expired", "alice", NEW["yes"], 422, "not awaiting approval: the request is Expired", id="too late"),
        pytest.param("not looked at yet", "alice", NEW["yes"], 422, "not awaiting approval: the request is not looked at yet", id="too early"),
        pytest.param("retrain heart", "alice", NEW["yes, and the phase"], 422, "you may change only status.approvals", id="a decision and the phase at once"),
        pytest.param("retrain heart", "alice", NEW["the phase alone"], 422, "you may change only status.approvals", id="the phase"),
        pytest.param("retrain heart", "root", NEW["a proposal"], 422, "you may change only status.approvals", id="another proposal, by an administrator"),
        pytest.param("retrain heart", "alice", lambda _: {"status": {"proposal": {"approval": {"requesterMayApprove": True}}}}, 422, "you may change only status.approvals", id="other rules for the approval"),
        pytest.param("retrain heart", "alice", lambda _: {"status": {"decisionsSeen": {"alice": "2026-11-21T12:00:00Z"}}}, 422, "you may change only status.approvals", id="when a decision was seen"),
        pytest.param("retrain heart", "alice", lambda _: {"status": None}, 422, "you may change only status.approvals", id="dropping the status"),
        pytest.param("retrain heart", OPERATOR, NEW["yes"], 422, guard.OPERATOR_MAY_NOT_DECIDE, id="the operator under its own name"),
        pytest.param("retrain heart", OPERATOR, NEW["yes by zoe"], 422, guard.OPERATOR_MAY_NOT_DECIDE, id="the operator under another's"),
        pytest.param("executing", OPERATOR, NEW["yes by zoe"], 422, guard.OPERATOR_MAY_NOT_DECIDE, id="the operator, at any time"),
        pytest.param("approved by alice", "alice", NEW["no"], 422, "a decision is final", id="turning it round"),
        pytest.param("approved by alice", "alice", lambda _: approvals({"alice": None}), 422, "a decision is final", id="taking it back"),
        pytest.param("approved by alice", "bob", lambda _: approvals(None), 422, "a decision is final", id="taking another's away"),
        pytest.param("approved by alice", OPERATOR, lambda _: approvals(None), 422, "a decision is final", id="taking all away, by the operator"),
        pytest.param("approved by alice", "root", lambda _: approvals({"alice": None, "root": yes()}), 422, "a decision is final", id="taking another's place"),
    ],
)  # fmt: skip
def test_a_refusal_says_why(
    guarded_plane: Guarded, old: str, user: str, patch: Callable[[str], Manifest], code: int, says: str
) -> None:
    path = OLD[old](guarded_plane)
    before = guarded_plane.admin.get(path).accepted()
    answer = guarded_plane.who(user).merge(f"{path}/status", patch(user))
    assert (answer.code, says in answer.message) == (code, True), answer.message
    assert guarded_plane.admin.get(path).accepted() == before


ENTRY = {"approvals": {"alice": yes()}}


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(lambda who, path, _: who.merge(path, {"status": ENTRY}), id="merge patch, which is kubectl's"),
        pytest.param(lambda who, path, there: who.apply(path, {**there, "status": ENTRY}, "alice"), id="server-side apply"),
    ],
)  # fmt: skip
def test_a_decision_is_taken_however_it_is_written_and_the_operators_passes_leave_it(
    guarded_plane: Guarded, written: Callable[..., Answer]
) -> None:
    path = guarded_plane.asked()
    there = {
        "apiVersion": meta.API_VERSION,
        "kind": meta.REQUEST_KIND,
        "metadata": {"name": path.rsplit("/", 1)[1], "namespace": TEAM},
    }
    written(guarded_plane.who("alice"), f"{path}/status", there).accepted()
    guarded_plane.write_status(path, awaiting(phase="Executing"))
    assert guarded_plane.decided(path) == {"alice": yes()}


def test_people_decide_beside_each_other_each_once(guarded_plane: Guarded) -> None:
    path = guarded_plane.asked(status=awaiting(approvals=3))
    expected = {"alice": yes(), "bob": no(), "carol": yes(groups=["ml-approvers"])}
    for user, entry in expected.items():
        guarded_plane.who(user).merge(f"{path}/status", approvals({user: entry})).accepted()
    assert guarded_plane.decided(path) == expected


def test_a_status_that_was_read_before_another_decided_can_not_undo_that(guarded_plane: Guarded) -> None:
    path = guarded_plane.asked()
    root = guarded_plane.who("root")
    stale = root.get(path).accepted()
    guarded_plane.who("alice").merge(f"{path}/status", approvals({"alice": yes()})).accepted()
    stale["status"]["approvals"] = {"root": yes()}
    assert root.replace(f"{path}/status", stale).code == 409
    del stale["metadata"]["resourceVersion"]
    assert root.replace(f"{path}/status", stale).code == 422
    assert guarded_plane.decided(path) == {"alice": yes()}


# In whose name a request is made, and what else of it is whose.

OURS: Manifest = {"labels": {meta.LABEL_MANAGED_BY: meta.MANAGED_BY}}
OWNED: Manifest = {
    "ownerReferences": [
        {"apiVersion": meta.API_VERSION, "kind": meta.DEPLOYMENT_KIND, "name": "heart", "uid": "1", "controller": True}
    ]
}
OTHER_OWNER: Manifest = {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "plan", "uid": "2"}]}


@pytest.mark.parametrize(
    ("user", "by", "metadata", "says"),
    [
        pytest.param("rita", "rita", {}, "", id="one's own"),
        pytest.param("rita", "alice", {}, "spec.requestedBy must be your own user name", id="in the name of another"),
        pytest.param("rita", OPERATOR, {}, "spec.requestedBy must be your own user name", id="in the name of the operator"),
        pytest.param("root", "alice", {}, "spec.requestedBy must be your own user name", id="an administrator in the name of another"),
        pytest.param("rita", "Rita", {}, "spec.requestedBy must be your own user name", id="one's own name in capitals"),
        pytest.param(OPERATOR, OPERATOR, {**OURS, **OWNED}, "", id="the operator's own, marked as its own"),
        pytest.param(OPERATOR, "rita", {}, "spec.requestedBy must be your own user name", id="the operator in the name of another"),
        pytest.param("rita", "rita", OURS, "is the operator's to give and to take", id="marked as the operator's"),
        pytest.param("root", "root", OURS, "is the operator's to give and to take", id="marked as the operator's by an administrator"),
        pytest.param("rita", "rita", {"labels": {meta.LABEL_MANAGED_BY: "Helm"}}, "", id="marked as another's"),
        pytest.param("rita", "rita", {"labels": {"team": "a"}}, "", id="with another label"),
        pytest.param("rita", "rita", OWNED, "owner reference to a ModelDeployment", id="as the child of a model"),
        pytest.param("rita", "rita", OTHER_OWNER, "", id="as the child of something else"),
        pytest.param("olga", "olga", {}, 'User "olga" cannot create resource', id="without the right to"),
    ],
)  # fmt: skip
def test_making_a_request(guarded_plane: Guarded, user: str, by: str, metadata: Manifest, says: str) -> None:
    made = request(guarded_plane.name(), by, **metadata)
    answer = guarded_plane.who(user).create(REQUESTS, made, dryRun="All")
    assert (answer.code in (403, 422), says in answer.message) == (bool(says), True), answer.message


def relabelled(value: str | None) -> Manifest:
    return {"metadata": {"labels": {meta.LABEL_MANAGED_BY: value}}}


@pytest.mark.parametrize(
    ("ours", "user", "patch", "says"),
    [
        pytest.param(True, "mallory", relabelled(None), "is the operator's to give and to take", id="taking our mark away"),
        pytest.param(True, "root", relabelled("me"), "is the operator's to give and to take", id="exchanging it, by an administrator"),
        pytest.param(True, "mallory", {"metadata": {"labels": None}}, "is the operator's to give and to take", id="taking all labels away"),
        pytest.param(False, "mallory", relabelled(meta.MANAGED_BY), "is the operator's to give and to take", id="giving our mark to another's"),
        pytest.param(True, OPERATOR, relabelled(None), "cannot patch resource", id="the operator, which has no right to"),
        pytest.param(True, "mallory", {"metadata": {"ownerReferences": None}}, "owner reference to a ModelDeployment", id="cutting it off its model"),
        pytest.param(True, "mallory", {"metadata": OTHER_OWNER}, "owner reference to a ModelDeployment", id="giving it to something else, to be collected"),
        pytest.param(False, "mallory", {"metadata": OWNED}, "owner reference to a ModelDeployment", id="giving another's to a model"),
        pytest.param(True, "mallory", {"metadata": {"annotations": {"ticket": "17"}}}, "", id="a note of one's own"),
        pytest.param(True, "mallory", {"metadata": {"labels": {"ticket": "17"}}}, "", id="a label of one's own"),
        pytest.param(False, "mallory", {"metadata": OTHER_OWNER}, "", id="another owner for another's"),
        pytest.param(False, "mallory", {"status": {"phase": "Executed", "approvals": {"mallory": yes()}}}, "", id="a status where none is read from"),
    ],
)  # fmt: skip
def test_changing_what_stands_around_a_request(
    guarded_plane: Guarded, *, ours: bool, user: str, patch: Manifest, says: str
) -> None:
    by = OPERATOR if ours else "rita"
    made = request(guarded_plane.name(), by, **({**OURS, **OWNED} if ours else {}))
    before = guarded_plane.who(by).create(REQUESTS, made).accepted()
    answer = guarded_plane.who(user).merge(f"{REQUESTS}/{made['metadata']['name']}", patch)
    assert (answer.code in (403, 422), says in answer.message) == (bool(says), True), answer.message
    after = guarded_plane.admin.get(f"{REQUESTS}/{made['metadata']['name']}").accepted()
    assert (after["spec"], after["status"]) == (before["spec"], before["status"])


@pytest.mark.parametrize("collector", guard.COLLECTORS)
def test_kubernetes_own_collector_may_tidy_owner_references_and_take_no_mark(
    guarded_plane: Guarded, collector: str
) -> None:
    made = request(guarded_plane.name(), OPERATOR, **OURS, **OWNED)
    guarded_plane.operator.create(REQUESTS, made).accepted()
    path = f"{REQUESTS}/{made['metadata']['name']}"
    tidy = guarded_plane.person(collector, "system:masters")
    assert tidy.merge(path, relabelled(None)).code == 422
    assert "ownerReferences" not in tidy.merge(path, {"metadata": {"ownerReferences": None}}).accepted()["metadata"]


def test_whoever_may_delete_may_withdraw_an_open_request(guarded_plane: Guarded) -> None:
    path = guarded_plane.asked()
    assert guarded_plane.who("mallory").delete(path).code == 200


# The policies themselves.


def test_the_policies_are_read_back_as_they_were_sent(guarded_plane: Guarded) -> None:
    for manifest in shipped("manifests/guard.yaml"):
        assert guarded_plane.admin.get(place(manifest)).accepted()["spec"] == manifest["spec"]


def checked(plane: Guarded, path: str) -> list[Manifest]:
    """What the type checker warns of, once it has looked at that generation."""

    def looked_at() -> bool:
        found = plane.admin.get(path).accepted()
        return bool(found["metadata"]["generation"] == (found.get("status") or {}).get("observedGeneration"))

    wait_until(looked_at, what=f"a check of {path}", within=60, pause=0.1)
    status = plane.admin.get(path).accepted()["status"]
    return list((status.get("typeChecking") or {}).get("expressionWarnings") or [])


def test_the_type_checker_has_nothing_to_warn_of_and_would_find_a_slip(guarded_plane: Guarded) -> None:
    """On the main resource: of policies for a subresource the API server knows no types, and so finds nothing wrong."""
    policies = [each for each in shipped("manifests/guard.yaml") if each["kind"] == guard.POLICY_KIND]
    slip = copy.deepcopy(policies[0])
    slip["spec"]["validations"] = [{"expression": "oldObject.status.phaze == 'AwaitingApproval'"}]
    for number, policy in enumerate([*policies, slip]):
        policy["metadata"]["name"] = f"checked-{number}.refit.dev"
        policy["spec"]["matchConstraints"]["resourceRules"][0]["resources"] = [meta.REQUESTS]
        guarded_plane.put(policy)
    with type_checked(guarded_plane):
        found = [checked(guarded_plane, place(policy)) for policy in (*policies, slip)]
        shipped_ones = [checked(guarded_plane, f"{PLURALS[guard.POLICY_KIND]}/{name}") for name in guard.POLICIES]
    for policy in (*policies, slip):
        guarded_plane.admin.delete(place(policy)).accepted()
    assert "undefined field 'phaze'" in found.pop()[0]["warning"]
    assert (found, shipped_ones) == ([[], []], [[], []])


def test_what_the_audit_log_says_of_a_decision(guarded_plane: Guarded) -> None:
    path = guarded_plane.asked()
    guarded_plane.who("alice").merge(f"{path}/status", approvals({"alice": yes()})).accepted()
    name = path.rsplit("/", 1)[1]
    lines = [line for line in guarded_plane.plane.audit_log.read_text().splitlines() if f'"{name}"' in line]
    assert [line for line in lines if f'"{guard.APPROVAL}/decision":"alice Approved {DIGEST}"' in line] != []


# Rights, as the operator asks about them once more before it acts.


@pytest.mark.parametrize(
    ("user", "groups", "action", "target", "expected"),
    [
        pytest.param("alice", (), "retrain", "heart", True, id="by name"),
        pytest.param("alice", (), "rollback", "heart", False, id="another action"),
        pytest.param("hugo", (), "retrain", "heart", True, id="for this model"),
        pytest.param("hugo", (), "retrain", "lung", False, id="not for another"),
        pytest.param("carol", ("ml-approvers",), "rollback", "heart", True, id="through a group that is named"),
        pytest.param("carol", (), "rollback", "heart", False, id="through a group that is not"),
        pytest.param("mallory", (), "retrain", "heart", False, id="writing statuses is not approving"),
        pytest.param("erin", (), "retrain", "heart", False, id="in another namespace"),
        pytest.param(OPERATOR, (), "retrain", "heart", False, id="the operator"),
    ],
)
async def test_whether_somebody_may_approve(
    guarded_plane: Guarded, user: str, groups: tuple[str, ...], action: str, target: str, *, expected: bool
) -> None:
    async with await connect(str(guarded_plane.plane.kubeconfig_for(OPERATOR)), None) as api:
        may = LiveCluster(api).may
        found = await may(
            user,
            groups,
            verb=guard.APPROVE,
            group=meta.GROUP,
            resource=meta.DEPLOYMENTS,
            subresource=action,
            namespace=TEAM,
            name=target,
        )
    assert found is expected


# Random roles: however rights are strewn, no decision without the verb.

GROUPS = ("", meta.GROUP, "refit.dev.", "apps")
VERBS = ("get", "patch", "update", "create", "approve", "Approve", "sign", "impersonate", "bind", "escalate")
RESOURCES = (
    meta.DEPLOYMENTS,
    meta.REQUESTS,
    f"{meta.DEPLOYMENTS}/status",
    f"{meta.DEPLOYMENTS}/retrain",
    f"{meta.DEPLOYMENTS}/rollback",
    f"{meta.DEPLOYMENTS}/*",
    f"{meta.REQUESTS}/retrain",
    f"{meta.REQUESTS}/approve",
    "*/retrain",
    "*",
)
STREWN = "strewn"
NAMES = ("heart", "lung", "hear", "case-1")


def strewn(draw: random.Random) -> list[Manifest]:
    """A few rules at random, of words that are near the right ones."""
    found: list[Manifest] = []
    for _ in range(draw.randint(1, 5)):
        rule: Manifest = {
            "apiGroups": draw.sample((*GROUPS, meta.GROUP, "*"), draw.randint(1, 3)),
            "resources": draw.sample(RESOURCES, draw.randint(1, 3)),
            "verbs": draw.sample((*VERBS, "*") if draw.random() < 0.1 else VERBS, draw.randint(1, 4)),
        }
        if draw.random() < 0.3:
            rule["resourceNames"] = draw.sample(NAMES, draw.randint(1, 2))
        found.append(rule)
    return found


def grants(rules: list[Manifest]) -> bool:
    """RBAC, as far as it matters here: whether these rules let one approve retraining of heart."""
    return any(
        {meta.GROUP, "*"} & set(rule["apiGroups"])
        and {f"{meta.DEPLOYMENTS}/retrain", "*/retrain", "*"} & set(rule["resources"])
        and {guard.APPROVE, "*"} & set(rule["verbs"])
        and "heart" in rule.get("resourceNames", ("heart",))
        for rule in rules
    )


@pytest.fixture
def strewn_roles(guarded_plane: Guarded) -> Iterator[dict[str, list[Manifest]]]:
    """A user for each set of rules, who may besides write the status of requests; gone afterwards."""
    draw = random.Random(20261121)  # noqa: S311  # a test that can be run again
    sets = {f"user-{number}": strewn(draw) for number in range(ROLE_SETS)}
    kept = []
    guarded_plane.bind("status-writer", STREWN, kind="Role", group=True)
    for user, rules in sets.items():
        name = {"name": user, "namespace": TEAM}
        role = {"apiVersion": RBAC, "kind": "Role", "metadata": name, "rules": rules}
        guarded_plane.put(role)
        guarded_plane.bind(user, user, kind="Role")
        kept.append(role)
    yield sets
    for role in kept:
        guarded_plane.admin.delete(place(role)).accepted()


def test_no_decision_is_taken_from_a_user_without_the_verb(
    guarded_plane: Guarded, strewn_roles: dict[str, list[Manifest]]
) -> None:
    path = guarded_plane.asked()
    expected = {user for user, rules in strewn_roles.items() if grants(rules)}
    last = next(user for user in reversed(strewn_roles) if user in expected)
    wait_until(
        lambda: decides(guarded_plane, last, path), what="the API server to know the roles", within=30, pause=0.05
    )
    taken = {user for user in strewn_roles if decides(guarded_plane, user, path)}
    assert taken - expected == set()
    assert taken == expected
    assert 0.02 < len(taken) / len(strewn_roles) < 0.6, "the rules are strewn too thin, or too thick"


def decides(plane: Guarded, user: str, path: str) -> bool:
    """Whether a yes of that user is taken; in their name, since a thousand certificates would take minutes."""
    answer = plane.impersonator.acting(user, STREWN).merge(f"{path}/status", approvals({user: yes()}), dryRun="All")
    return answer.code == 200
