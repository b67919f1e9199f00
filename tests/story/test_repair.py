"""How a model is repaired, told with a cluster in memory: asked, estimated, approved, done once, read back, told."""

from __future__ import annotations

import os
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from life import KEY, Life
from refit.api.deploymentstatus import VersionState
from refit.api.measured import LastMeasurement, ModelQuality, QualityVerdict
from refit.api.metrics import Metric, Metrics
from refit.api.outcome import Comparison, Shadow
from refit.api.proposal import PredictedImpact, RankedVersion
from refit.api.remediationrequest import Action
from refit.api.results import ImpactResult, TrainingOutcome
from refit.api.times import stamp
from refit.kube.cluster import CONFIG_MAP, EVENT, JOB, MODEL_DEPLOYMENT, REMEDIATION_REQUEST, Manifest
from simulated import NAMESPACE, end_job, roll_out
from worlds import SPEC, WATCHED, drifted, measured, minutes

ACTING = {"mode": "Act"}
IMPACT = PredictedImpact(
    metric="f1", now="0.61", predicted="0.8", low="0.74", high="0.85", method="trial on 300 labelled requests"
)
COMPARISON = Comparison(
    metric="f1",
    champion="0.61",
    challenger="0.8",
    low="0.1",
    high="0.26",
    rows=300,
    better=True,
    method="paired bootstrap",
)


async def acting(**remediation: Any) -> Life:
    """A model that serves its second version and may be repaired."""
    life = Life()
    life.declare(**WATCHED | {"remediation": ACTING | remediation})
    await life.look()
    await life.serve(1)
    life.cluster.objects[MODEL_DEPLOYMENT, *KEY]["metadata"]["annotations"] = {"refit.dev/train-requested-at": "again"}
    life.now += minutes(1)
    await life.look()
    await life.serve(2)
    assert life.served() == "2"
    life.cluster.rights = {right(user, action) for user in ("alice", "carol", "dave") for action in Action}
    life.cluster.journal.clear()
    return life


def right(user: str, action: str) -> tuple[str, str, str, str, str, str]:
    """To approve that action of the model."""
    return (user, "approve", "refit.dev", f"modeldeployments/{action.lower()}", NAMESPACE, "heart")


def ask(life: Life, action: str, name: str = "wish", **spec: Any) -> None:
    """A person makes a request."""
    life.cluster.now = stamp(life.now)
    life.cluster.put(
        {
            "apiVersion": "refit.dev/v1alpha1",
            "kind": "RemediationRequest",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "targetRef": {"name": "heart"},
                "action": action,
                "parameters": {},
                "trigger": {"type": "Human"},
                "requestedBy": "bob",
                **spec,
            },
        }
    )
    life.noticed.add(KEY)


def the(life: Life, name: str = "wish") -> Manifest:
    status: Manifest = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, name]["status"]
    return status


def stand(life: Life, name: str = "wish") -> tuple[str, str]:
    """Phase and reason."""
    status = the(life, name)
    [ready] = [found for found in status["conditions"] if found["type"] == "Ready"]
    return status["phase"], ready["reason"]


def words(life: Life, name: str = "wish") -> str:
    [ready] = [found for found in the(life, name)["conditions"] if found["type"] == "Ready"]
    return str(ready["message"])


async def estimated(life: Life, name: str = "wish", answer: ImpactResult | None = None) -> None:
    """The impact Job answers."""
    await life.look()
    job = the(life, name)["estimate"]["job"]
    end_job(life.cluster, job, answer or ImpactResult(key="k", predicted=IMPACT))
    await life.look(2)


def decide(life: Life, user: str = "alice", name: str = "wish", decision: str = "Approved", **more: Any) -> None:
    """`kubectl patch --subresource=status`, as admission would let it through."""
    found = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, name]
    digest = found["status"]["proposal"]["digest"]
    found["status"].setdefault("approvals", {})[user] = {"decision": decision, "proposalDigest": digest, **more}
    found["metadata"]["resourceVersion"] += "+"


async def approved_rollback(life: Life) -> None:
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    await life.look(2)


async def ledger(life: Life) -> list[tuple[int, str]]:
    return [(row.sequence, row.kind.value) for row in await life.ledger.all()]


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


async def retrained(life: Life, **answer: Any) -> None:
    ask(life, "Retrain")
    await estimated(life)
    decide(life)
    await life.look(2)
    life.trained(3, comparison=COMPARISON, shadow=Shadow(requests=300, differing=12, failed=0), **answer)
    await life.look(2)


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


@pytest.mark.parametrize(
    ("spec", "expected", "said"),
    [
        pytest.param(
            {"parameters": {"toVersion": 2}},
            ("Failed", "NoVersion"),
            "spec.parameters.toVersion 2 serves now; versions that served before: 1",
            id="the version that serves",
        ),
        pytest.param(
            {"parameters": {"toVersion": 9}},
            ("Failed", "NoVersion"),
            "spec.parameters.toVersion 9 is not known; versions that served before: 1",
            id="a version that never was",
        ),
        pytest.param(
            {"parameters": {"toVersion": 1}, "expiresAt": "2036-11-21T12:00:00Z"},
            ("Failed", "OutOfBounds"),
            "spec.expiresAt 2036-11-21T12:00:00Z: must be 5 minutes to 7 days after the request was made",
            id="ten years to decide",
        ),
    ],
)
async def test_a_rollback_that_can_not_be_is_refused(
    spec: dict[str, Any], expected: tuple[str, str], said: str
) -> None:
    life = await acting()
    ask(life, "Rollback", **spec)
    await life.look()
    assert (stand(life), words(life)) == (expected, said)


async def test_scaling_within_bounds_is_done_at_once_and_recorded() -> None:
    life = await acting()
    life.declare(**WATCHED | {"remediation": ACTING, "serving": {"minReplicas": 1, "maxReplicas": 3}})
    await life.look()
    roll_out(life.cluster)
    ask(life, "Scale", parameters={"replicas": 2})
    await life.look(2)
    roll_out(life.cluster)
    await life.look(2)
    assert (stand(life), the(life)["outcome"], await ledger(life)) == (
        ("Executed", "Executed"),
        {"result": "Scaled", "before": "version 2", "after": "2 replicas"},
        [(1, "Intent"), (2, "Outcome")],
    )
    ask(life, "Scale", "more", parameters={"replicas": 4})
    await life.look()
    assert (stand(life, "more"), words(life, "more")) == (
        ("Failed", "OutOfBounds"),
        "spec.parameters.replicas is 4, spec.serving allows 1 to 3; ask within them, or change maxReplicas",
    )


async def test_a_restart_replaces_the_pods_and_says_when_they_are_new() -> None:
    life = await acting()
    ask(life, "Restart")
    await life.look(2)
    assert stand(life) == ("Executing", "Executing")
    roll_out(life.cluster)
    await life.look(2)
    assert (stand(life), the(life)["outcome"]["result"]) == (("Executed", "Executed"), "Restarted")


async def test_a_change_of_the_spec_is_shown_then_made_once() -> None:
    life = await acting()
    ask(life, "ChangeConfig", parameters={"config": {"serving.maxReplicas": "3", "training.timeoutSeconds": "900"}})
    await life.look()
    assert the(life)["proposal"]["change"] == [
        {"what": "spec.serving.maxReplicas", "from": "1", "to": "3"},
        {"what": "spec.training.timeoutSeconds", "from": "1800", "to": "900"},
    ]
    decide(life)
    await life.look(4)
    assert stand(life) == ("Executed", "Executed")
    spec = life.cluster.objects[MODEL_DEPLOYMENT, *KEY]["spec"]
    assert (spec["serving"]["maxReplicas"], spec["training"]["timeoutSeconds"]) == (3, 900)
    assert len([1 for verb, kind, _ in life.cluster.journal if (verb, kind) == ("patch", "ModelDeployment")]) == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        pytest.param(
            {"data.split.seed": "1"}, "only fields of serving, monitoring, training", id="a field of the data"
        ),
        pytest.param({"serving.maxReplicas": "many"}, "serving.maxReplicas", id="no number"),
        pytest.param({"serving.maxReplicas": "1"}, "the spec says all of this already", id="what is so already"),
        pytest.param({"serving.nothing": "1"}, "serving.nothing", id="a field that is not there"),
    ],
)
async def test_a_change_that_can_not_be_is_refused(config: dict[str, str], said: str) -> None:
    life = await acting()
    ask(life, "ChangeConfig", parameters={"config": config})
    await life.look()
    assert stand(life) == ("Failed", "OutOfBounds")
    assert said in words(life)


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


async def baking(**bake: Any) -> Life:
    life = await acting(bake={"seconds": 600, **bake})
    await approved_rollback(life)
    roll_out(life.cluster)
    await life.look(3)
    assert stand(life) == ("Executing", "Baking")
    return life


async def test_a_repair_counts_as_done_once_it_was_watched() -> None:
    life = await baking()
    life.now += minutes(11)
    await life.look(2)
    assert stand(life) == ("Executed", "Executed")


def low(key: str) -> LastMeasurement:
    return measured(
        key,
        version=1,
        quality=ModelQuality(
            verdict=QualityVerdict.LOW,
            labelled=300,
            metrics=Metrics(f1="0.4"),
            missed=(Metric.F1,),
            message="f1 is 0.4",
        ),
    )


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
