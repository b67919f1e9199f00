"""How a model is repaired, told with a cluster in memory: asked, estimated, approved, done once, read back, told."""

from __future__ import annotations

from refit.api.deploymentstatus import TrainingPhase, VersionState
from refit.api.proposal import RankedVersion
from refit.api.results import ImpactResult, TrainingOutcome
from refit.kube.cluster import JOB, REMEDIATION_REQUEST
from repairs import (
    ACTING,
    COMPARISON,
    IMPACT,
    acting,
    approved_rollback,
    ask,
    baking,
    decide,
    estimated,
    ledger,
    low,
    retrained,
    stand,
    the,
    words,
)
from simulated import NAMESPACE, roll_out
from worlds import SPEC, WATCHED, drifted, minutes


async def test_an_approved_rollback_serves_the_version_before_and_says_so() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await life.look()
    assert stand(life) == ("Pending", "Estimating")
    ranked = (RankedVersion(version=1, value="0.8", low="0.74", high="0.85", rows=300),)
    await estimated(life, answer=ImpactResult(key="k", predicted=IMPACT, ranking=ranked))
    assert stand(life) == ("AwaitingApproval", "AwaitingApproval")
    proposal = the(life)["proposal"]
    assert (proposal["text"], proposal["change"], proposal["approval"], proposal["ranking"][0]["version"]) == (
        "Rollback heart; predicted f1 0.61 -> 0.8 [0.74, 0.85]: asked for by bob",
        [{"what": "served version", "from": "version 2", "to": "version 1 (111111111111)"}],
        {"approvals": 1, "requesterMayApprove": False},
        1,
    )
    decide(life)
    await life.look()
    assert (stand(life), life.served()) == (("Executing", "Executing"), "2")
    await life.look()
    assert life.served() == "1"
    roll_out(life.cluster)
    await life.look(3)
    assert stand(life) == ("Executed", "Executed")
    assert the(life)["outcome"] == {"result": "RolledBack", "before": "version 2", "after": "version 1"}
    assert the(life)["execution"]["approvers"] == ["alice"]
    assert await ledger(life) == [(1, "Intent"), (2, "Outcome")]
    assert life.ready() == ("True", "Serving")
    hold = life.status().hold
    assert hold is not None
    assert (hold.version, hold.request) == (2, "wish")


async def test_what_was_executed_is_left_alone() -> None:
    life = await acting()
    await approved_rollback(life)
    roll_out(life.cluster)
    await life.look(4)
    life.cluster.journal.clear()
    await life.look(3)
    assert life.cluster.journal == []


async def test_an_approved_retraining_deploys_what_is_better() -> None:
    life = await acting()
    await retrained(life)
    assert life.served() == "3"
    roll_out(life.cluster)
    await life.look(3)
    assert (stand(life), the(life)["outcome"]) == (
        ("Executed", "Executed"),
        {"result": "Retrained", "before": "version 2", "after": "version 3"},
    )
    training = life.status().training
    assert training is not None
    assert (training.request, training.cause, training.comparison) == ("wish", "request wish", COMPARISON)


async def test_a_retraining_that_is_not_better_keeps_the_champion_and_both_numbers() -> None:
    life = await acting()
    worse = COMPARISON.model_copy(update={"challenger": "0.6", "low": "-0.08", "high": "0.06", "better": False})
    ask(life, "Retrain")
    await estimated(life)
    decide(life)
    await life.look(2)
    life.trained(3, outcome=TrainingOutcome.CHAMPION_KEPT, reason="ChampionKept", registered=None, comparison=worse)
    await life.look(3)
    assert (life.served(), stand(life), the(life)["outcome"]) == (
        "2",
        ("Executed", "ChampionKept"),
        {
            "result": "ChampionKept",
            "before": "version 2",
            "after": "champion f1 0.61, challenger 0.6",
        },
    )


async def test_a_retraining_learns_from_just_the_requests_that_were_approved() -> None:
    life = await acting()
    ask(life, "Retrain")
    await estimated(life)
    window = the(life)["proposal"]["window"]
    decide(life)
    life.now += minutes(3)
    await life.look(2)
    [container] = life.cluster.objects[JOB, NAMESPACE, life.job()]["spec"]["template"]["spec"]["containers"]
    [told] = [item["value"] for item in container["env"] if item["name"] == "REFIT_RETRAINING"]
    assert window["since"] in told
    assert '"champion":{"version":2' in told


async def test_a_tick_of_the_schedule_leaves_an_approved_retraining_alone() -> None:
    life = await acting()
    life.declare(**WATCHED | {"remediation": ACTING, "training": {**SPEC["training"], "schedule": "0 * * * *"}})
    ask(life, "Retrain")
    await estimated(life)
    decide(life)
    await life.look(2)
    job = life.job()
    life.now += minutes(61)
    await life.look(2)
    training = life.status().training
    assert training is not None
    assert (life.job(), training.attempt, training.phase) == (job, 1, TrainingPhase.RUNNING)
    life.trained(3, comparison=COMPARISON)
    await life.look(3)
    roll_out(life.cluster)
    await life.look(3)
    assert (life.served(), stand(life)) == ("3", ("Executed", "Executed"))


async def test_where_promotion_is_asked_for_again_the_version_waits() -> None:
    life = await acting(approval={"askBeforePromotion": True})
    await retrained(life)
    await life.look()
    assert (life.served(), the(life)["outcome"]["after"]) == ("2", "version 3, which waits for Promote")
    ask(life, "Promote", "next", parameters={"toVersion": 3})
    await estimated(life, "next")
    decide(life, name="next")
    await life.look(2)
    assert life.served() == "3"


async def test_a_version_that_does_not_come_up_leaves_the_one_that_serves() -> None:
    life = await acting()
    await approved_rollback(life)
    roll_out(life.cluster, message="DigestMismatch: got 123456789012, want 111111111111")
    await life.look(3)
    assert stand(life) == ("Failed", "ExecutionFailed")
    assert "DigestMismatch" in words(life)
    serving = life.status().serving
    assert serving is not None
    assert (life.served(), serving.version) == ("2", 2)


async def test_a_repair_counts_as_done_once_it_was_watched() -> None:
    life = await baking()
    life.now += minutes(11)
    await life.look(2)
    assert stand(life) == ("Executed", "Executed")


async def test_a_repair_that_makes_it_worse_is_taken_back_where_that_is_agreed() -> None:
    life = await baking(returnAutomatically=True)
    await life.measure(low)
    assert stand(life) == ("Failed", "Returned")
    assert the(life)["outcome"]["result"] == "Returned"
    await life.look()
    assert life.served() == "2"
    roll_out(life.cluster)
    await life.look(3)
    assert {record.version: record.state for record in life.status().history}[2] == VersionState.SERVING


async def test_a_repair_that_makes_it_worse_is_only_told_where_nothing_is_agreed() -> None:
    life = await baking()
    await life.measure(low)
    assert (stand(life), life.served()) == (("Failed", "ExecutionFailed"), "1")


async def test_what_was_measured_before_a_rollback_says_nothing_of_it() -> None:
    life = await acting(bake={"seconds": 600, "returnAutomatically": True})
    await approved_rollback(life)
    life.measured(low)  # version 1, of when it served before
    await life.look()
    life.now += minutes(1)
    roll_out(life.cluster)
    await life.look(3)
    assert stand(life) == ("Executing", "Baking")
    life.now += minutes(11)
    await life.look(2)
    assert (stand(life), life.served()) == (("Executed", "Executed"), "1")
    assert "realisedImpact" not in the(life)["outcome"]


async def test_what_was_predicted_is_held_against_what_came() -> None:
    life = await acting()
    await approved_rollback(life)
    roll_out(life.cluster)
    await life.look(3)
    assert "realisedImpact" not in the(life)["outcome"]
    life.now += minutes(1)
    await life.measure(low)
    assert the(life)["outcome"]["realisedImpact"] == {
        "metric": "f1",
        "before": "0.61",
        "after": "0.4",
        "rows": 300,
        "inside": False,
    }


async def test_a_drift_is_repaired_from_the_alarm_to_the_outcome() -> None:
    life = await acting()
    for _ in range(2):
        await life.measure(lambda key: drifted(key, thalach=0.9))
    [(_, _, name)] = [address for address in life.cluster.objects if address[0] == REMEDIATION_REQUEST]
    await estimated(life, name)
    assert stand(life, name) == ("AwaitingApproval", "AwaitingApproval")
    decide(life, name=name)
    await life.look(2)
    life.trained(3, comparison=COMPARISON)
    await life.look(2)
    roll_out(life.cluster)
    await life.look(3)
    assert (stand(life, name), life.served()) == (("Executed", "Executed"), "3")
