"""How often the guard is tested, and what it does for that; what it finds on a live API server is proved in tests/contract."""

from __future__ import annotations

import asyncio
import copy
from datetime import datetime, timedelta

import pytest

from fake_cluster import FakeCluster
from refit.api import guard as shipped
from refit.api import meta
from refit.core.guard import canary, home, refusal
from refit.kube import cluster as kinds
from refit.shell.guard import Guard
from worlds import CONFIG, NOW

NAMESPACE = home(CONFIG.identity)


@pytest.fixture
def cluster() -> FakeCluster:
    """With the guard as shipped."""
    found = FakeCluster()
    for manifest in shipped.objects(CONFIG.identity):
        found.put(copy.deepcopy(manifest))
    return found


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("unguarded", "seconds", "fresh", "noticed"),
    [
        pytest.param(True, 299, False, False, id="for five minutes a good answer holds"),
        pytest.param(True, 300, False, True, id="and then it is asked again"),
        pytest.param(True, 1, True, True, id="before something risky it is asked again at once"),
        pytest.param(True, -1, False, True, id="a clock that was set back makes no answer hold for longer"),
        pytest.param(False, 14, False, False, id="a doubt holds for some seconds"),
        pytest.param(False, 15, False, True, id="and then it is asked again too"),
    ],
)
async def test_how_long_an_answer_holds(
    cluster: FakeCluster, *, unguarded: bool, seconds: float, fresh: bool, noticed: bool
) -> None:
    guard = Guard(cluster=cluster, identity=CONFIG.identity)
    cluster.unguarded = not unguarded
    before = await guard.state(NOW)
    cluster.unguarded = unguarded
    now = await guard.state(after(seconds), fresh=fresh)
    assert (before.ok, now.ok) == (unguarded, unguarded is not noticed)


async def test_the_request_it_is_tested_on_is_made_once_however_many_ask(cluster: FakeCluster) -> None:
    guard = Guard(cluster=cluster, identity=CONFIG.identity)
    states = await asyncio.gather(*(guard.state(NOW, fresh=True) for _ in range(10)))
    assert {state.ok for state in states} == {True}
    assert cluster.journal == [("create", "RemediationRequest", meta.GUARD_CANARY)]
    made = cluster.objects[kinds.REMEDIATION_REQUEST, NAMESPACE, meta.GUARD_CANARY]
    assert made["spec"] == canary(CONFIG.identity)["spec"]
    assert "approvals" not in made.get("status", {})


class Slow(FakeCluster):
    """One that takes its time, and counts how often the guard was tried."""

    tried = 0

    async def rehearse_status(self, kind: kinds.Kind, namespace: str, name: str, patch: kinds.Manifest) -> None:
        self.tried += 1
        await asyncio.sleep(0)
        await super().rehearse_status(kind, namespace, name, patch)


async def test_many_who_ask_at_once_share_a_test_that_began_after_they_asked() -> None:
    cluster = Slow()
    for manifest in (*shipped.objects(CONFIG.identity), canary(CONFIG.identity)):
        cluster.put(copy.deepcopy(manifest))
    guard = Guard(cluster=cluster, identity=CONFIG.identity)
    await asyncio.gather(*(guard.state(NOW, fresh=True) for _ in range(100)))
    assert cluster.tried == 2, "the one that was under way when the others asked, and one for all of them"


async def test_it_is_told_once_when_it_changes(cluster: FakeCluster, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    guard = Guard(cluster=cluster, identity=CONFIG.identity)
    for unguarded in (False, False, True, True, False):
        cluster.unguarded = unguarded
        await guard.state(NOW, fresh=True)
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR", "INFO"]


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        pytest.param("system:serviceaccount:refit-system:refit-operator", "refit-system", id="a service account"),
        pytest.param("system:serviceaccount:refit-system", "", id="half of one"),
        pytest.param("system:serviceaccount:", "", id="nothing of one"),
        pytest.param("alice", "", id="a person"),
        pytest.param("", "", id="nobody"),
    ],
)
def test_where_the_operator_lives(identity: str, expected: str) -> None:
    assert home(identity) == expected


SAID = "PATCH ...: 422 remediationrequests.refit.dev \"refit-guard\" is forbidden: ValidatingAdmissionPolicy 'approval.refit.dev' with binding 'approval.refit.dev' denied request: "


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(SAID + "the operator may not decide", "", id="the guard, as it should"),
        pytest.param("", "the API server does not enforce approval.refit.dev", id="nobody"),
        pytest.param(SAID + "a decision is final", "the API server does not know the operator as me", id="another rule"),
        pytest.param("403 no-writes.example: the operator may not decide", "the guard could not be tried", id="another policy in its words"),
        pytest.param('403 User "me" cannot patch resource "remediationrequests/status"', "compare the operator's rights", id="a missing right"),
        pytest.param("422 status.approvals: Too many: 16", "delete it, it comes again", id="the schema"),
    ],
)  # fmt: skip
def test_who_refused(answer: str, expected: str) -> None:
    found = refusal("me", answer)
    assert (expected in found, bool(found)) == (True, bool(expected))
