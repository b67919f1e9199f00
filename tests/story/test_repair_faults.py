"""Repairs in a world that fails, told with a cluster in memory: crashes, a full audit, races, names that are taken."""

from __future__ import annotations

import os
import random
from collections import Counter
from datetime import timedelta

import pytest

from life import KEY, Life
from refit.kube.cluster import EVENT, MODEL_DEPLOYMENT, REMEDIATION_REQUEST
from repairs import ACTING, acting, approved_rollback, ask, decide, estimated, ledger, right, stand, the, words
from simulated import NAMESPACE, roll_out
from worlds import drifted, measured, minutes


async def test_nothing_is_done_without_an_intent() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    status = the(life)
    status["phase"] = "Executing"
    status["execution"] = {"startTime": "2026-11-21T12:00:00Z", "digest": status["proposal"]["digest"]}
    await life.look(2)
    assert (stand(life), life.served()) == (("Failed", "ExecutionFailed"), "2")
    assert words(life) == "the ledger holds no intent of it; nothing is carried out without one"


async def test_what_the_ledger_says_was_done_is_not_done_again() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    asked = {**the(life)}
    decide(life)
    await life.look(2)
    roll_out(life.cluster)
    await life.look(3)
    found = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, "wish"]
    found["status"] = {**asked, "approvals": found["status"]["approvals"]}  # a backup came back
    await life.look(2)
    assert stand(life)[0] == "Failed"
    assert "it is not done again" in words(life)


async def test_a_request_that_is_named_as_an_earlier_one_is_another_one() -> None:
    life = await acting()
    for name, action, version in (("wish", "Rollback", 1), ("back", "Promote", 2), ("wish", "Rollback", 1)):
        if (REMEDIATION_REQUEST, NAMESPACE, name) in life.cluster.objects:
            life.cluster.remove(REMEDIATION_REQUEST, NAMESPACE, name)
        life.now += minutes(5)
        ask(life, action, name, parameters={"toVersion": version})
        await estimated(life, name)
        decide(life, name=name)
        await life.look(2)
        assert life.served() == str(version)
        roll_out(life.cluster)
        await life.look(3)
        assert stand(life, name) == ("Executed", "Executed")
    assert len(await ledger(life)) == 6


async def test_a_name_that_somebody_took_stops_nothing_else() -> None:
    life = await acting()
    await life.measure(measured)
    for _ in range(2):
        await life.measure(lambda key: drifted(key, thalach=0.9))
    [(_, _, name)] = [address for address in life.cluster.objects if address[0] == REMEDIATION_REQUEST]
    other = await acting()
    ask(other, "Restart", name)
    for _ in range(2):
        await other.measure(lambda key: drifted(key, thalach=0.9))
    assert other.condition("Drifted") == ("True", "Drift")
    assert other.ready() == ("True", "Serving")


WRITES = 16
"""From the approval to the outcome there are fewer; the last rows prove that."""


@pytest.mark.parametrize("took_effect", [pytest.param(False, id="before it"), pytest.param(True, id="after it")])
@pytest.mark.parametrize("broken", range(WRITES), ids=lambda number: f"the operator dies at write {number}")
async def test_a_crash_at_any_write_still_rolls_back_once(broken: int, took_effect: bool) -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    life.cluster.journal.clear()
    if took_effect:
        life.cluster.silent_after = broken
    else:
        life.cluster.fail_after = broken
    for _ in range(8):
        try:
            await life.look()
        except Exception:  # noqa: BLE001  # whatever the crash raised
            life.cluster.fail_after = life.cluster.silent_after = None
        if life.served() == "1":
            roll_out(life.cluster)
    assert (stand(life), life.served()) == (("Executed", "Executed"), "1")
    assert await ledger(life) == [(1, "Intent"), (2, "Outcome")]
    services = [1 for verb, kind, _ in life.cluster.journal if (verb, kind) == ("apply", "InferenceService")]
    assert len(services) == 1
    if broken == WRITES - 1:
        assert (life.cluster.fail_after or 0) + (life.cluster.silent_after or 0) > 0, "there are more writes than rows"


async def test_while_the_audit_can_not_be_written_nothing_is_done_and_it_is_said() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    life.ledger.broken = "no space left on device"
    await life.look(3)
    assert (stand(life), life.served()) == (("AwaitingApproval", "LedgerUnavailable"), "2")
    assert words(life) == "no space left on device; nothing is carried out that cannot be recorded"
    life.cluster.journal.clear()
    await life.look(3)
    assert life.cluster.journal == [], "it is said once"
    life.ledger.broken = ""
    await life.look(2)
    assert life.served() == "1"


RACES = int(os.environ.get("REFIT_RACES", "200"))
"""A thousand take a minute."""


async def test_an_approval_that_races_its_expiry_is_carried_out_in_time_or_never_and_never_lost() -> None:
    moments = random.Random(20261121)  # noqa: S311  # repeatable, not secret
    life = Life()
    life.declare(remediation=ACTING | {"approval": {"expiresAfterSeconds": 300}})
    await life.look()
    await life.serve(1)
    life.cluster.rights = {right("alice", "ChangeConfig")}
    came_to = Counter[str]()
    for _ in range(RACES):
        life.now = life.now.replace(microsecond=0) + minutes(1)
        serving = life.cluster.objects[MODEL_DEPLOYMENT, *KEY]["spec"].get("serving", {})
        other = "2" if serving.get("maxReplicas") == 3 else "3"
        ask(life, "ChangeConfig", parameters={"config": {"serving.maxReplicas": other}})
        await life.look()
        expires = life.now + minutes(5)
        life.now = expires + timedelta(seconds=moments.uniform(-1, 1))
        decide(life)
        life.now += timedelta(seconds=moments.uniform(0, 1))
        seen = life.now
        await life.look(4)
        phase, _ = stand(life)
        assert phase == ("Executed" if seen < expires else "Expired")
        assert life.status().open_requests is None
        came_to[phase] += 1
        life.cluster.remove(REMEDIATION_REQUEST, NAMESPACE, "wish")
    assert sum(came_to.values()) == RACES
    assert min(came_to.values()) > RACES // 10
    assert len(await ledger(life)) == 2 * came_to["Executed"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param(
            {"name": "heart", "uid": "of-old"}, ("Superseded", "Superseded"), id="one about a model that went"
        ),
        pytest.param({"name": "heart"}, ("Pending", "TargetNotFound"), id="one about a model that may yet come"),
    ],
)
async def test_a_request_about_no_model_is_answered(target: dict[str, str], expected: tuple[str, str]) -> None:
    life = Life()
    ask(life, "Restart", targetRef=target)
    await life.look()
    assert stand(life) == expected


async def test_the_request_is_told_of_in_events() -> None:
    life = await acting()
    await approved_rollback(life)
    told = [
        (found["reason"], found["involvedObject"]["kind"])
        for (kind, _, _), found in life.cluster.objects.items()
        if kind == EVENT and found["involvedObject"]["kind"] == "RemediationRequest"
    ]
    assert told == [
        ("Estimating", "RemediationRequest"),
        ("AwaitingApproval", "RemediationRequest"),
        ("Executing", "RemediationRequest"),
    ]
