"""Attacks on the approval guard, one test each, on a live API server. First those on a guard that is in place, then those on the guard itself.

Where admission is not what stops an attack, the test says what admission does, and whose the rest is: the operator's gate
looks at the clock, the request's uid, the recomputed digest and the world right before it acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from guarded import (
    DIGEST,
    OLDER,
    OPERATOR,
    PLURALS,
    RBAC,
    REQUESTS,
    SYSTEM,
    TEAM,
    Guarded,
    approvals,
    awaiting,
    guarded,
    no,
    request,
    shipped,
    yes,
)
from refit.api import guard, meta
from refit.core.guard import GuardState
from refit.kube.live import LiveCluster, connect
from refit.shell.guard import Guard
from refit_cluster.client import Answer
from refit_cluster.shell import wait_until

pytestmark = pytest.mark.contract

Manifest = dict[str, Any]
POLICY = f"{PLURALS[guard.POLICY_KIND]}/{guard.APPROVAL}"
BINDING = f"{PLURALS[guard.BINDING_KIND]}/{guard.APPROVAL}"
REQUESTER_POLICY = f"{PLURALS[guard.POLICY_KIND]}/{guard.REQUESTER}"
REQUESTER_BINDING = f"{PLURALS[guard.BINDING_KIND]}/{guard.REQUESTER}"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WRITE: dict[str, Callable[[Guarded, str, str, Manifest], Answer]] = {
    "merge patch": lambda plane, user, path, status: plane.who(user).merge(f"{path}/status", {"status": status}),
    "server-side apply": lambda plane, user, path, status: plane.who(user).apply(
        f"{path}/status", {**addressed(path), "status": status}, "page"
    ),
    "apply as the operator's field manager": lambda plane, user, path, status: plane.who(user).apply(
        f"{path}/status", {**addressed(path), "status": status}, meta.FIELD_MANAGER
    ),
    "replacing it": lambda plane, user, path, status: plane.who(user).replace(
        f"{path}/status", merged(plane.admin.get(path).accepted(), status)
    ),
    "through the main resource": lambda plane, user, path, status: plane.who(user).merge(path, {"status": status}),
}
"""The ways in which a status can be written."""


def addressed(path: str) -> Manifest:
    name = {"name": path.rsplit("/", 1)[1], "namespace": TEAM}
    return {"apiVersion": meta.API_VERSION, "kind": meta.REQUEST_KIND, "metadata": name}


def merged(there: Manifest, status: Manifest) -> Manifest:
    return {**there, "status": {**there["status"], **status}}


def approve(plane: Guarded, user: str, path: str, digest: str = DIGEST) -> Answer:
    return plane.who(user).merge(f"{path}/status", approvals({user: yes(digest)}))


def denied(answer: Answer, says: str) -> bool:
    return answer.code in (403, 422) and says in answer.message


# A guard that is in place


@pytest.mark.parametrize("way", WRITE)
def test_t1_the_right_to_write_statuses_is_no_right_to_approve(guarded_plane: Guarded, way: str) -> None:
    path = guarded_plane.asked()
    WRITE[way](guarded_plane, "mallory", path, {"approvals": {"mallory": yes()}})
    assert guarded_plane.decided(path) == {}


@pytest.mark.parametrize("way", WRITE)
@pytest.mark.parametrize("user", ["mallory", "bob", "root", OPERATOR])
def test_t2_nobody_decides_in_the_name_of_another(guarded_plane: Guarded, user: str, way: str) -> None:
    path = guarded_plane.asked()
    WRITE[way](guarded_plane, user, path, {"approvals": {"alice": yes()}})
    assert guarded_plane.decided(path) == {}


@pytest.mark.parametrize("way", WRITE)
@pytest.mark.parametrize(
    "forged",
    [
        pytest.param({"phase": "Executing"}, id="the phase"),
        pytest.param({"proposal": {"digest": OLDER, "text": "worse"}}, id="the proposal"),
        pytest.param({"execution": {"startTime": "2026-11-21T12:00:00Z"}}, id="the execution"),
        pytest.param({"observedGeneration": 7}, id="what was looked at"),
        pytest.param({"reports": ["https://example.org/evil"]}, id="the reports"),
    ],
)
def test_t3_an_approver_writes_nothing_else(guarded_plane: Guarded, forged: Manifest, way: str) -> None:
    path = guarded_plane.asked()
    before = guarded_plane.admin.get(path).accepted()["status"]
    for status in (forged, {**forged, "approvals": {"root": yes()}}):
        WRITE[way](guarded_plane, "root", path, status)
    assert guarded_plane.admin.get(path).accepted()["status"] == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"action": "Rollback", "parameters": {"toVersion": 1}}, id="the action"),
        pytest.param({"targetRef": {"name": "lung"}}, id="the target"),
        pytest.param({"requestedBy": "mallory"}, id="who asked"),
        pytest.param({"expiresAt": "2030-01-01T00:00:00Z"}, id="the time it has"),
    ],
)
def test_t4_what_is_asked_does_not_change_once_approved(guarded_plane: Guarded, change: Manifest) -> None:
    path = guarded_plane.asked(decided={"alice": yes()})
    assert denied(guarded_plane.who("root").merge(path, {"spec": change}), "spec is immutable")


def test_t5_a_request_made_again_under_its_name_starts_without_decisions(guarded_plane: Guarded) -> None:
    """And is another by its uid, which the operator's digest covers."""
    path = guarded_plane.asked("mallory", decided={"alice": yes()})
    before = guarded_plane.admin.get(path).accepted()
    guarded_plane.who("mallory").delete(path).accepted()
    again = {**request(before["metadata"]["name"], "mallory"), "status": before["status"]}
    made = guarded_plane.who("mallory").create(REQUESTS, again).accepted()
    assert made["status"] == {"alerts": [], "conditions": [], "observedGeneration": -1, "reports": []}
    assert made["metadata"]["uid"] != before["metadata"]["uid"]
    late = guarded_plane.who("mallory").merge(f"{path}/status", {"status": before["status"]})
    assert denied(late, "you may decide only under your own user name")
    assert guarded_plane.decided(path) == {}


def test_t6_an_approval_of_an_older_proposal_is_not_taken_and_one_that_stands_names_its_own(
    guarded_plane: Guarded,
) -> None:
    """Which of the entries that stand count is the operator's to say: those that name the digest that stands."""
    path = guarded_plane.asked(status=awaiting(OLDER), decided={"alice": yes(OLDER)})
    guarded_plane.write_status(path, awaiting(DIGEST))
    assert denied(approve(guarded_plane, "bob", path, OLDER), "proposalDigest differs from the current proposal")
    assert denied(approve(guarded_plane, "alice", path, DIGEST), "a decision is final")
    assert guarded_plane.decided(path) == {"alice": yes(OLDER)}


@pytest.mark.parametrize("phase", ["Executing", "Executed", "Rejected", "Expired", "Superseded", "Failed"])
def test_t6_an_approval_sent_again_later_is_not_taken(guarded_plane: Guarded, phase: str) -> None:
    path = guarded_plane.asked(status=awaiting(phase=phase))
    assert denied(approve(guarded_plane, "bob", path), f"not awaiting approval: the request is {phase}")


@pytest.mark.parametrize("way", WRITE)
def test_t7_who_asked_does_not_approve(guarded_plane: Guarded, way: str) -> None:
    path = guarded_plane.asked("rita")
    WRITE[way](guarded_plane, "rita", path, {"approvals": {"rita": yes()}})
    assert guarded_plane.decided(path) == {}


def test_t7_who_asked_can_not_allow_it_themselves(guarded_plane: Guarded) -> None:
    path = guarded_plane.asked("rita")
    own = {"proposal": {"approval": {"requesterMayApprove": True}}, "approvals": {"rita": yes()}}
    answer = guarded_plane.who("rita").merge(f"{path}/status", {"status": own})
    assert denied(answer, "requester and approver must differ")


def test_t7_nor_ask_in_the_name_of_another(guarded_plane: Guarded) -> None:
    made = request(guarded_plane.name(), "alice")
    assert denied(guarded_plane.who("rita").create(REQUESTS, made), "spec.requestedBy must be your own user name")


@pytest.mark.parametrize("way", WRITE)
@pytest.mark.parametrize("user", ["alice", "bob", "mallory", "root", OPERATOR])
def test_t8_a_decision_is_neither_turned_nor_removed(guarded_plane: Guarded, user: str, way: str) -> None:
    path = guarded_plane.asked(decided={"alice": no()})
    for entries in ({"alice": yes()}, {"alice": None}, {"alice": {"reason": "changed"}}, None, {}):
        WRITE[way](guarded_plane, user, path, {"approvals": entries})
    assert guarded_plane.decided(path) == {"alice": no()}


@pytest.mark.parametrize("way", WRITE)
@pytest.mark.parametrize("name", [OPERATOR, "alice"])
def test_t9_the_operator_does_not_decide(guarded_plane: Guarded, name: str, way: str) -> None:
    path = guarded_plane.asked("rita")
    WRITE[way](guarded_plane, OPERATOR, path, {"approvals": {name: yes()}})
    assert guarded_plane.decided(path) == {}


def test_t9_not_even_with_every_right(guarded_plane: Guarded) -> None:
    path = guarded_plane.asked("rita")
    almighty = guarded_plane.person(OPERATOR, "system:masters")
    answer = almighty.merge(f"{path}/status", approvals({OPERATOR: yes()}))
    assert denied(answer, guard.OPERATOR_MAY_NOT_DECIDE)


def impersonating(plane: Guarded, account: str, rules: list[Manifest]) -> None:
    """Lets an account act for others, as far as these rules say, and write statuses itself."""
    name = account.replace(":", "-")
    role = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}
    bound = {
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": account}],
    }
    plane.put(role, bound)
    plane.bind("status-writer", account, kind="Role")


def test_t11_a_pages_account_decides_neither_for_itself_nor_for_anybody(guarded_plane: Guarded) -> None:
    account = "system:serviceaccount:refit-system:page"
    guarded_plane.bind("status-writer", account, kind="Role")
    page = guarded_plane.person(account, "system:serviceaccounts")
    path = guarded_plane.asked()
    wait_until(lambda: page.get(path).code == 200, what="the account's role", within=30, pause=0.05)
    own, other = (page.merge(f"{path}/status", approvals({user: yes()})) for user in (account, "alice"))
    assert denied(own, f"{account} may not approve Retrain of heart")
    assert denied(other, "you may decide only under your own user name")


def test_t11_an_account_that_may_act_for_some_decides_for_none_who_may_not(guarded_plane: Guarded) -> None:
    """Who may act for alice is alice to the guard; that the audit log tells them apart is why it is to be kept."""
    account = "system:serviceaccount:refit-system:some"
    some = [{"apiGroups": [""], "resources": ["users"], "resourceNames": ["mallory"], "verbs": ["impersonate"]}]
    impersonating(guarded_plane, account, some)
    page = guarded_plane.person(account)
    path = guarded_plane.asked()
    wait_until(lambda: page.acting("mallory").get(path).code == 200, what="the role", within=30, pause=0.05)
    as_mallory = page.acting("mallory").merge(f"{path}/status", approvals({"mallory": yes()}))
    as_alice = page.acting("alice").merge(f"{path}/status", approvals({"alice": yes()}))
    as_root = page.acting("mallory", "system:masters").merge(f"{path}/status", approvals({"mallory": yes()}))
    assert denied(as_mallory, "mallory may not approve Retrain of heart")
    assert denied(as_alice, 'cannot impersonate resource "users"')
    assert denied(as_root, 'cannot impersonate resource "groups"')
    assert guarded_plane.decided(path) == {}


def test_t11_who_acts_for_the_operator_does_not_decide(guarded_plane: Guarded) -> None:
    account = "system:serviceaccount:refit-system:thief"
    impersonating(
        guarded_plane, account, [{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]}]
    )
    thief = guarded_plane.person(account).acting(OPERATOR)
    path = guarded_plane.asked()
    wait_until(
        lambda: thief.merge(f"{path}/status", {}).code == 200, what="the role to be known", within=30, pause=0.05
    )
    for name in (OPERATOR, account, "alice"):
        answer = thief.merge(f"{path}/status", approvals({name: yes()}))
        assert denied(answer, guard.OPERATOR_MAY_NOT_DECIDE)


def test_t12_a_yes_to_a_world_that_has_changed_is_not_taken_once_the_operator_saw_it(guarded_plane: Guarded) -> None:
    """Between the change and the next pass it is; then the digest, computed anew before acting, is another."""
    path = guarded_plane.asked()
    guarded_plane.write_status(path, awaiting(OLDER))
    assert denied(approve(guarded_plane, "alice", path), "proposalDigest differs from the current proposal")
    guarded_plane.write_status(path, awaiting(phase="Superseded"))
    assert denied(approve(guarded_plane, "alice", path), "not awaiting approval: the request is Superseded")


@pytest.mark.parametrize("user", ["mallory", "bob", OPERATOR, "root"])
def test_a_decision_is_not_copied_from_another_request(guarded_plane: Guarded, user: str) -> None:
    """Two requests for the same: their proposals may well have the same digest."""
    source = guarded_plane.asked(decided={"alice": yes()})
    other = guarded_plane.asked()
    copied = guarded_plane.admin.get(source).accepted()["status"]
    answer = guarded_plane.who(user).merge(f"{other}/status", {"status": copied})
    assert denied(answer, "")
    assert guarded_plane.decided(other) == {}


# The guard itself


@pytest.fixture(scope="module")
def breakable() -> Iterator[Guarded]:
    """A plane whose guard may be broken."""
    with guarded() as found:
        yield found


@asynccontextmanager
async def guard_of(plane: Guarded, user: str = OPERATOR, identity: str = OPERATOR) -> AsyncIterator[Guard]:
    """The operator's self-test, as that user."""
    async with await connect(str(plane.plane.kubeconfig_for(user)), None) as api:
        yield Guard(cluster=LiveCluster(api), identity=identity)


async def state_of(plane: Guarded, user: str = OPERATOR, identity: str = OPERATOR) -> GuardState:
    async with guard_of(plane, user, identity) as found:
        return await found.state(NOW, fresh=True)


def says(state: GuardState, words: str) -> bool:
    return not state.ok and state.version == "" and words in state.message


async def test_a_guard_that_is_in_place_is_found_well_and_the_same_each_time(guarded_plane: Guarded) -> None:
    async with guard_of(guarded_plane) as found:
        states = [await found.state(NOW, fresh=True) for _ in range(3)]
    assert {(state.ok, state.message) for state in states} == {(True, "the approval guard is in place")}
    assert len({state.version for state in states}) == 1
    canary = f"/apis/{meta.API_VERSION}/namespaces/{SYSTEM}/{meta.REQUESTS}/{meta.GUARD_CANARY}"
    assert guarded_plane.decided(canary) == {}


async def test_the_request_it_is_tested_on_comes_again(guarded_plane: Guarded) -> None:
    canary = f"/apis/{meta.API_VERSION}/namespaces/{SYSTEM}/{meta.REQUESTS}/{meta.GUARD_CANARY}"
    async with guard_of(guarded_plane) as found:
        await found.state(NOW)
        guarded_plane.admin.delete(canary).accepted()
        assert (await found.state(NOW, fresh=True)).ok
    assert guarded_plane.admin.get(canary).accepted()["spec"]["requestedBy"] == OPERATOR


GONE = [
    pytest.param(POLICY, f"{guard.POLICY_KIND} {guard.APPROVAL} is missing", id="the policy of approvals"),
    pytest.param(BINDING, f"{guard.BINDING_KIND} {guard.APPROVAL} is missing", id="its binding"),
    pytest.param(REQUESTER_POLICY, f"{guard.POLICY_KIND} {guard.REQUESTER} is missing", id="the policy of requesters"),
    pytest.param(REQUESTER_BINDING, f"{guard.BINDING_KIND} {guard.REQUESTER} is missing", id="its binding"),
]


@pytest.mark.parametrize(("path", "words"), GONE)
async def test_t10_a_part_of_the_guard_that_is_gone_is_noticed(breakable: Guarded, path: str, words: str) -> None:
    async with guard_of(breakable) as found:
        before = await found.state(NOW, fresh=True)
        with breakable.without(path):
            away = await found.state(NOW, fresh=True)
        await asyncio.to_thread(breakable.await_enforced)
        after = await found.state(NOW, fresh=True)
    assert (before.ok, says(away, words), "manifests/guard.yaml" in away.message, after.ok) == (True,) * 4
    assert before.version != after.version, "an approval given meanwhile can be told by it"


async def test_t10_what_is_forged_while_the_guard_is_away_and_how_it_can_be_told(breakable: Guarded) -> None:
    """The schema alone lets mallory approve as alice. The operator asks for decisions anew where the guard's version changed."""
    path = breakable.asked()
    before = await state_of(breakable)
    with breakable.without(BINDING):
        await asyncio.to_thread(breakable.await_unenforced)
        forged = breakable.who("mallory").merge(f"{path}/status", approvals({"alice": yes()}))
        changed = breakable.who("mallory").merge(f"{path}/status", approvals({"alice": None}))
    await asyncio.to_thread(breakable.await_enforced)
    after = await state_of(breakable)
    assert (forged.code, denied(changed, "a decision is final")) == (200, True)
    assert (before.ok, after.ok, before.version != after.version) == (True, True, True)


APPROVAL_RULES = shipped("manifests/guard.yaml")[0]["spec"]["validations"]
REQUESTER_RULES = shipped("manifests/guard.yaml")[2]["spec"]["validations"]
Change = Callable[[Manifest], object]


def without_rule(number: int) -> Change:
    return lambda spec: spec["validations"].pop(number)


def with_rule(number: int, expression: str) -> Change:
    return lambda spec: spec["validations"][number].update(expression=expression)


def rule(**changes: Any) -> Change:
    return lambda spec: spec["matchConstraints"]["resourceRules"][0].update(changes)


NEVER = {"matchLabels": {"guarded": "yes"}}
WEAKER = [
    *(pytest.param(POLICY, without_rule(number), "validations", id=f"without: {each.get('message') or each['messageExpression']}") for number, each in enumerate(APPROVAL_RULES)),
    *(pytest.param(REQUESTER_POLICY, without_rule(number), "validations", id=f"without: {each['message']}") for number, each in enumerate(REQUESTER_RULES)),
    pytest.param(POLICY, with_rule(3, "true"), "validations", id="a rule that is always true"),
    pytest.param(POLICY, lambda spec: spec["validations"].reverse(), "validations", id="the rules in another order"),
    pytest.param(POLICY, lambda spec: spec["variables"][2].update(expression="false"), "variables", id="nobody is the operator"),
    pytest.param(POLICY, lambda spec: spec.update(failurePolicy="Ignore"), "failurePolicy", id="errors are let through"),
    pytest.param(POLICY, lambda spec: spec.update(matchConditions=[{"name": "not-mallory", "expression": "request.userInfo.username != 'mallory'"}]), "matchConditions", id="somebody is exempt"),
    pytest.param(POLICY, lambda spec: spec["matchConstraints"].update(namespaceSelector=NEVER), "matchConstraints", id="some namespaces alone"),
    pytest.param(POLICY, lambda spec: spec["matchConstraints"].update(objectSelector=NEVER), "matchConstraints", id="some requests alone"),
    pytest.param(POLICY, lambda spec: spec["matchConstraints"].update(matchPolicy="Exact"), "matchConstraints", id="this version alone"),
    pytest.param(POLICY, lambda spec: spec["matchConstraints"].update(excludeResourceRules=[{"apiGroups": ["refit.dev"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}]), "matchConstraints", id="with an exception"),
    pytest.param(POLICY, rule(resources=["remediationrequests"]), "matchConstraints", id="another resource"),
    pytest.param(POLICY, rule(operations=["CREATE"]), "matchConstraints", id="another operation"),
    pytest.param(POLICY, rule(apiVersions=["v1"]), "matchConstraints", id="another version"),
    pytest.param(POLICY, lambda spec: spec.pop("auditAnnotations"), "auditAnnotations", id="nothing for the audit log"),
    pytest.param(BINDING, lambda spec: spec.update(validationActions=["Warn"]), "validationActions", id="a binding that warns"),
    pytest.param(BINDING, lambda spec: spec.update(validationActions=["Audit"]), "validationActions", id="a binding that takes notes"),
    pytest.param(BINDING, lambda spec: spec.update(validationActions=["Deny"]), "validationActions", id="a binding that takes no notes"),
    pytest.param(BINDING, lambda spec: spec.update(matchResources={"namespaceSelector": NEVER}), "matchResources", id="a binding for some namespaces"),
    pytest.param(REQUESTER_POLICY, lambda spec: spec.update(failurePolicy="Ignore"), "failurePolicy", id="errors about requesters are let through"),
    pytest.param(REQUESTER_BINDING, lambda spec: spec.update(validationActions=["Warn"]), "validationActions", id="a binding that warns about requesters"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "change", "part"), WEAKER)
async def test_a_weaker_guard_is_noticed_to_the_letter(
    breakable: Guarded, path: str, change: Change, part: str
) -> None:
    with breakable.changed(path, change):
        state = await state_of(breakable)
    assert says(state, f"spec.{part} differs"), state
    assert says(state, f"{path.rsplit('/', 1)[1]} is not the one that belongs to this version")


async def test_a_guard_that_is_all_there_and_not_enforced_is_noticed() -> None:
    with guarded("--disable-admission-plugins=ServiceAccount,ValidatingAdmissionPolicy", enforced=False) as plane:
        state = await state_of(plane)
    assert says(state, f"the API server does not enforce {guard.APPROVAL}"), state


@pytest.mark.parametrize(
    ("user", "identity", "words"),
    [
        pytest.param("olga", OPERATOR, "the guard may not be looked at", id="without the right to look at it"),
        pytest.param(OPERATOR, "refit", "REFIT_IDENTITY is 'refit', and not system:serviceaccount:", id="under a name that is no service account's"),
        pytest.param(OPERATOR, "system:serviceaccount:refit-system:other", "spec.variables differs", id="under a name that the guard does not know"),
        pytest.param("impostor", OPERATOR, f"the API server does not know the operator as {OPERATOR}", id="under a name that the API server does not know it by"),
    ],
)  # fmt: skip
async def test_an_operator_that_can_not_tell_is_in_doubt(
    breakable: Guarded, user: str, identity: str, words: str
) -> None:
    impostor = {"apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": {"name": "impostor"}}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "refit-operator"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "impostor"}
    breakable.put({**impostor, "roleRef": role, "subjects": [subject]})
    reads = breakable.person("impostor")
    wait_until(lambda: reads.get(POLICY).code == 200, what="the impostor's role", within=30, pause=0.05)
    state = await state_of(breakable, user, identity)
    assert says(state, words), state


async def test_an_api_server_that_does_not_answer_is_a_doubt(breakable: Guarded) -> None:
    async with await connect(str(breakable.plane.kubeconfig_for(OPERATOR)), None) as api:
        found = Guard(cluster=LiveCluster(api), identity=OPERATOR)
        there, api.configuration.host = api.configuration.host, "https://127.0.0.1:1"
        away = await found.state(NOW)
        api.configuration.host = there
        after = await found.state(NOW, fresh=True)
    assert (says(away, "the API server gave no answer about the guard"), after.ok) == (True, True), away
