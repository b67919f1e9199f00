"""Who decides about a repair, told with a cluster in memory: yes, no, too late, superseded, stopped, unguarded."""

from __future__ import annotations

import json

from life import KEY
from refit.kube.cluster import CONFIG_MAP, MODEL_DEPLOYMENT
from repairs import (
    ACTING,
    acting,
    approved_rollback,
    ask,
    decide,
    estimated,
    ledger,
    retrained,
    right,
    stand,
    the,
    words,
)
from simulated import roll_out
from worlds import SPEC, WATCHED, minutes


async def test_a_rejection_is_final_and_escalates() -> None:
    life = await acting(approval={"escalationContact": "ml-leads@example.org"})
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life, decision="Rejected", reason="wait for the new labels")
    await life.look(2)
    assert stand(life) == ("Rejected", "Rejected")
    assert words(life) == "rejected by alice: wait for the new labels"
    [escalated] = [found for found in the(life)["conditions"] if found["type"] == "Escalated"]
    assert escalated["message"] == "Rejected: ml-leads@example.org should look at this"
    assert (life.served(), await ledger(life)) == ("2", [])


async def test_when_each_decision_was_first_seen_is_noted_once() -> None:
    life = await acting(approval={"approvals": 2})
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    assert "decisionsSeen" not in the(life)
    decide(life, "dave")
    await life.look(2)
    assert the(life)["decisionsSeen"] == {"dave": "2026-11-21T12:01:00Z"}
    life.now += minutes(3)
    decide(life, "alice")
    await life.look()
    seen = {"alice": "2026-11-21T12:04:00Z", "dave": "2026-11-21T12:01:00Z"}
    assert (stand(life), the(life)["decisionsSeen"]) == (("Executing", "Executing"), seen)
    life.now += minutes(1)
    await life.look()
    roll_out(life.cluster)
    await life.look(3)
    assert (stand(life), the(life)["decisionsSeen"]) == (("Executed", "Executed"), seen)
    rows = [json.loads(row.content)["decisionsSeen"] for row in await life.ledger.all()]
    assert rows == [seen, seen], "the intent and the outcome"


async def test_nobody_decides_and_the_request_expires() -> None:
    life = await acting(approval={"expiresAfterSeconds": 300})
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    life.now += minutes(6)
    await life.look()
    assert stand(life) == ("Expired", "Expired")


async def test_an_approval_that_is_seen_after_its_time_is_not_carried_out() -> None:
    life = await acting(approval={"expiresAfterSeconds": 300})
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    life.now += minutes(6)
    await life.look(3)
    assert (stand(life), life.served(), await ledger(life)) == (("Expired", "Expired"), "2", [])
    assert words(life).startswith("1 approved before ")


async def test_an_approval_while_the_operator_was_away_is_carried_out() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    life.now += minutes(60)
    await life.look(2)
    assert life.served() == "1"


async def test_a_change_in_between_supersedes_what_was_approved() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    life.declare(**WATCHED | {"remediation": ACTING, "training": {**SPEC["training"], "folds": 3}})
    await life.look(2)
    assert (stand(life), await ledger(life)) == (("Superseded", "Superseded"), [])


async def test_until_somebody_agrees_the_proposal_follows_the_world() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    before = the(life)["proposal"]["digest"]
    life.declare(**WATCHED | {"remediation": ACTING, "training": {**SPEC["training"], "folds": 3}})
    await life.look(2)
    assert stand(life) == ("AwaitingApproval", "AwaitingApproval")
    assert the(life)["proposal"]["digest"] != before


async def test_two_that_are_approved_at_once_are_not_both_done() -> None:
    life = await acting()
    await retrained(life)
    roll_out(life.cluster)
    await life.look(3)
    ask(life, "Rollback", "one", parameters={"toVersion": 1})
    ask(life, "Rollback", "other", parameters={"toVersion": 2})
    await estimated(life, "one")
    await estimated(life, "other")
    decide(life, name="one")
    decide(life, name="other")
    await life.look(2)
    roll_out(life.cluster)
    await life.look(4)
    assert (stand(life, "one"), stand(life, "other"), life.served()) == (
        ("Executed", "Executed"),
        ("Superseded", "Superseded"),
        "1",
    )


async def test_a_second_request_for_the_same_names_the_first() -> None:
    life = await acting()
    ask(life, "Rollback", "first", parameters={"toVersion": 1})
    ask(life, "Rollback", "second", parameters={"toVersion": 1})
    await life.look()
    assert stand(life, "second") == ("Superseded", "Duplicate")
    assert "first asks for the same" in words(life, "second")


async def test_two_of_three_must_agree_and_each_must_still_have_the_right() -> None:
    life = await acting(approval={"approvals": 2, "requiredGroup": "leads"})
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    await life.look(2)
    assert stand(life) == ("AwaitingApproval", "AwaitingApproval")
    assert words(life).startswith("1 of 2 approvals, all by members of leads, until ")
    life.cluster.rights.remove(right("carol", "Rollback"))
    decide(life, "carol")
    await life.look(2)
    assert stand(life) == ("AwaitingApproval", "AuthorityNotConfirmed")
    decide(life, "dave")
    await life.look(1)
    assert (stand(life), the(life)["execution"]["approvers"]) == (("Executing", "Executing"), ["alice", "dave"])


async def test_while_the_guard_is_in_doubt_nothing_risky_is_done() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    life.guard.problem = "ValidatingAdmissionPolicy approval.refit.dev is not there"
    await life.look(2)
    assert (stand(life), life.served()) == (("AwaitingApproval", "Unguarded"), "2")
    assert life.condition("ApprovalGuard") == ("False", "Unguarded")
    life.guard.problem = ""
    await life.look(2)
    assert life.served() == "1"


async def test_what_was_approved_under_another_guard_counts_for_nothing() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    life.guard.version = "2"
    await life.look(2)
    assert (stand(life), life.served()) == (("Superseded", "Superseded"), "2")


async def test_the_line_can_be_stopped() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    life.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "refit-freeze", "namespace": "refit-system"},
            "data": {"reason": "audit", "by": "carol"},
        }
    )
    await life.look(2)
    assert (stand(life), life.served()) == (("AwaitingApproval", "Frozen"), "2")
    assert words(life) == "approved by alice; ConfigMap refit-system/refit-freeze stops the line by carol: audit"
    del life.cluster.objects[CONFIG_MAP, "refit-system", "refit-freeze"]
    await life.look(2)
    assert life.served() == "1"


async def test_in_a_freeze_window_what_is_approved_waits() -> None:
    life = await acting(freezeWindows=[{"schedule": "0 12 * * *", "durationSeconds": 3600}])
    await approved_rollback(life)
    assert (stand(life), life.served()) == (("AwaitingApproval", "Frozen"), "2")
    life.now += minutes(60)
    await life.look(2)
    assert life.served() == "1"


async def test_after_a_rollback_the_schedule_waits_until_somebody_asks() -> None:
    life = await acting()
    await approved_rollback(life)
    roll_out(life.cluster)
    await life.look(3)
    life.declare(**WATCHED | {"remediation": ACTING, "training": {**SPEC["training"], "schedule": "0 * * * *"}})
    life.now += minutes(180)
    await life.look(2)
    assert life.status().hold is not None
    training = life.status().training
    assert training is not None
    assert training.cause == "requested by annotation"
    life.cluster.objects[MODEL_DEPLOYMENT, *KEY]["metadata"]["annotations"] = {"refit.dev/train-requested-at": "now"}
    await life.look(2)
    assert life.status().hold is None
