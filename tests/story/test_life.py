"""A model's life, told with a cluster in memory: train, serve, change, fail, come back."""

from __future__ import annotations

import pytest

from fake_cluster import FakeCluster
from life import KEY, Life
from refit.api.conditions import find
from refit.api.deploymentstatus import VersionRecord, VersionState
from refit.api.results import EXIT_REFUSED, TrainingOutcome
from refit.core.observed import Proof
from refit.core.plan import Champion
from refit.kube.cluster import (
    EVENT,
    INFERENCE_SERVICE,
    JOB,
    MODEL_DEPLOYMENT,
    POD,
    SERVING_RUNTIME,
    UnreachableError,
)
from refit.shell.reconcile import AT_ONCE
from simulated import NAMESPACE, FakeEndpoint, end_job, roll_out
from worlds import CONFIG, SHA, SPEC, minutes, result


@pytest.fixture
def life() -> Life:
    found = Life()
    found.declare()
    return found


async def test_from_declaration_to_a_version_that_serves(life: Life) -> None:
    await life.look()
    assert (life.ready(), life.cluster.names(JOB)) == (("False", "Training"), [life.job()])
    life.trained()
    await life.look(2)
    assert (life.ready(), life.served()) == (("False", "RollingOut"), "1")
    roll_out(life.cluster)
    await life.look()
    assert (life.ready(), life.registry.champions) == (
        ("True", "Serving"),
        [Champion(model="clinic.heart", version=1)],
    )
    status = life.status()
    assert status.serving is not None
    assert (status.serving.version, status.serving.artifact.sha256, status.url, status.metric) == (
        1,
        SHA[1],
        "http://heart-predictor.clinic.svc",
        "f1 0.82",
    )


async def test_a_second_look_writes_nothing(life: Life) -> None:
    await life.look()
    await life.serve()
    life.cluster.journal.clear()
    life.now += minutes(5)
    await life.look(3)
    assert life.cluster.journal == []


async def test_each_pass_ends_what_it_began(life: Life) -> None:
    """Nobody looks again because of a status that we wrote ourselves; one pass follows each thing that others do."""
    await life.look()
    life.trained()
    await life.look()
    roll_out(life.cluster)
    await life.look()
    assert life.ready() == ("True", "Serving")
    life.declare(training={**SPEC["training"], "folds": 3})
    await life.look()
    life.trained(2)
    await life.look()
    roll_out(life.cluster, message="SignatureMismatch: inputs differ")
    await life.look()
    assert (life.ready(), life.served()) == (("False", "SignatureMismatch"), "1")


async def test_every_child_goes_with_its_owner(life: Life) -> None:
    await life.look()
    await life.serve()
    life.cluster.remove(MODEL_DEPLOYMENT, *KEY)
    assert [kind.kind for kind, _, _ in life.cluster.objects if kind != EVENT] == []
    assert await life.look() is None


async def test_a_changed_spec_trains_again_and_rolls_over(life: Life) -> None:
    await life.look()
    await life.serve()
    first = life.job()
    life.declare(training={**SPEC["training"], "folds": 3})
    await life.look()
    assert (life.ready(), life.served(), first in life.cluster.names(JOB)) == (("False", "Training"), "1", False)
    await life.serve(2)
    assert (life.ready(), life.served(), [record.state for record in life.status().history]) == (
        ("True", "Serving"),
        "2",
        [VersionState.RETIRED, VersionState.SERVING],
    )


async def test_a_model_below_its_bound_leaves_the_live_version_alone(life: Life) -> None:
    await life.look()
    await life.serve()
    life.declare(training={**SPEC["training"], "folds": 3})
    await life.look()
    life.trained(
        outcome=TrainingOutcome.BELOW_BOUND, reason="BelowBound", message="f1 0.61 < minimum 0.7", registered=None
    )
    await life.look(2)
    stalled = find(life.status().conditions, "Stalled")
    assert stalled is not None
    assert (life.ready(), life.served(), stalled.message) == (
        ("False", "BelowBound"),
        "1",
        "f1 0.61 < minimum 0.7; version 1 keeps serving",
    )


async def test_refused_data_is_told_and_not_tried_again(life: Life) -> None:
    await life.look()
    training = life.status().training
    assert training is not None
    refusal = result(
        training.key,
        outcome=TrainingOutcome.REFUSED,
        reason="DigestMismatch",
        message="sha256 want aaaa got bbbb",
        registered=None,
    )
    end_job(life.cluster, training.job, refusal, code=EXIT_REFUSED, failure="PodFailurePolicy")
    life.cluster.journal.clear()
    await life.look(3)
    assert life.ready() == ("False", "DigestMismatch")
    assert [entry for entry in life.cluster.journal if entry[0] == "create" and entry[1] == "Job"] == []


async def test_a_job_deleted_by_hand_is_made_again_under_the_next_name(life: Life) -> None:
    await life.look()
    life.cluster.remove(JOB, NAMESPACE, life.job())
    await life.look(2)
    assert [name[-2:] for name in life.cluster.names(JOB)] == ["-2"]
    await life.serve()
    assert life.ready() == ("True", "Serving")


async def test_an_answer_lost_with_its_pod_is_asked_for_again(life: Life) -> None:
    await life.look()
    name = life.job()
    end_job(life.cluster, name, result("x"))
    life.cluster.remove(POD, NAMESPACE, f"{name}-pod")
    await life.look(2)
    assert life.cluster.names(JOB) == [life.job()] == [name[:-1] + "2"]


async def test_a_file_that_was_tampered_with_is_never_served(life: Life) -> None:
    await life.look()
    await life.serve()
    life.declare(training={**SPEC["training"], "folds": 3})
    await life.look()
    life.trained(2)
    await life.look(2)
    roll_out(life.cluster, message="DigestMismatch: want 222222222222 got 999999999999")
    await life.look(2)
    assert (life.ready(), life.served()) == (("False", "DigestMismatch"), "1")
    roll_out(life.cluster)
    await life.look()
    available = find(life.status().conditions, "Available")
    assert available is not None
    assert available.status == "True"


async def test_a_model_that_answers_otherwise_than_it_was_trained_is_taken_back(life: Life) -> None:
    await life.look()
    life.trained()
    await life.look(2)
    roll_out(life.cluster)
    life.endpoint.golden = False
    await life.look(2)
    assert (life.ready(), life.registry.champions) == (("False", "GoldenMismatch"), [])


async def test_going_back_to_an_earlier_spec_serves_its_version_again(life: Life) -> None:
    await life.look()
    await life.serve()
    life.declare(training={**SPEC["training"], "folds": 3})
    await life.look()
    await life.serve(2)
    life.declare()
    await life.look()
    await life.serve(1)
    assert (life.ready(), life.served()) == (("True", "Serving"), "1")
    assert [champion.version for champion in life.registry.champions] == [1, 2, 1]


async def test_more_replicas_are_no_new_training(life: Life) -> None:
    await life.look()
    await life.serve()
    life.declare(serving={"minReplicas": 2, "maxReplicas": 2})
    await life.look()
    roll_out(life.cluster)
    await life.look()
    service = life.cluster.objects[INFERENCE_SERVICE, *KEY]
    assert (life.ready(), service["spec"]["predictor"]["minReplicas"], life.status().observed_generation) == (
        ("True", "Serving"),
        2,
        2,
    )


async def test_an_inference_service_of_somebody_else_is_never_adopted(life: Life) -> None:
    foreign = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
    life.cluster.put({**foreign, "metadata": {"name": "heart", "namespace": NAMESPACE}, "spec": {"predictor": {}}})
    await life.look()
    life.trained()
    await life.look(2)
    assert (life.ready(), life.cluster.objects[INFERENCE_SERVICE, *KEY]["spec"]) == (
        ("False", "NotOwned"),
        {"predictor": {}},
    )


async def test_without_kserve_it_trains_and_says_what_to_install() -> None:
    life = Life(cluster=FakeCluster(serving=False))
    life.declare()
    await life.look()
    ready = find(life.status().conditions, "Ready")
    assert ready is not None
    assert (ready.reason, "install KServe" in ready.message, life.cluster.names(JOB)) == (
        "ServingUnavailable",
        True,
        [life.job()],
    )


async def test_a_bad_schedule_is_told_and_nothing_is_started(life: Life) -> None:
    life.declare(training={**SPEC["training"], "schedule": "61 * * * *"})
    await life.look()
    assert (life.ready(), life.cluster.names(JOB)) == (("False", "InvalidSpec"), [])


async def test_a_spec_that_changes_under_a_pass_is_looked_at_again_and_not_judged_by_the_old_one(life: Life) -> None:
    await life.look()

    async def edit_meanwhile(url: str, model: str, record: VersionRecord) -> Proof:
        life.declare(training={**SPEC["training"], "folds": 3})
        return await FakeEndpoint.prove(life.endpoint, url, model, record)

    life.trained()
    await life.look(2)
    roll_out(life.cluster)
    life.endpoint.prove = edit_meanwhile  # type: ignore[method-assign]  # an edit at the worst moment
    assert await life.look() == AT_ONCE
    assert life.status().observed_generation == 1
    del life.endpoint.prove
    await life.look()
    assert (life.ready(), life.status().observed_generation) == (("False", "Training"), 2)


async def test_events_tell_each_change_once(life: Life) -> None:
    await life.look()
    await life.serve()
    await life.look(3)
    told = {found["reason"]: found["message"] for (kind, _, _), found in life.cluster.objects.items() if kind == EVENT}
    assert sorted(told) == ["RollingOut", "Serving", "Training"]
    # What came in one pass is told in one.
    assert told["RollingOut"].split("; ") == ["303 rows, 1 checks passed", "version 1", "rolling out version 1"]


@pytest.mark.parametrize("broken", range(14), ids=lambda number: f"the operator dies before write {number}")
async def test_a_crash_between_any_two_writes_is_repaired_by_the_next_pass(life: Life, broken: int) -> None:
    async def careful() -> None:
        """A pass that may be cut off; then another operator starts."""
        try:
            await life.look()
        except UnreachableError:
            life.cluster.fail_after = None
            await life.look()

    life.cluster.fail_after = broken
    await careful()
    life.trained()
    for _ in range(3):
        await careful()
    roll_out(life.cluster)
    for _ in range(3):
        await careful()
    created = [name for verb, kind, name in life.cluster.journal if (verb, kind) == ("create", "Job")]
    assert (life.ready(), created, life.cluster.names(SERVING_RUNTIME)) == (
        ("True", "Serving"),
        [life.job()],
        ["heart-refit"],
    )


async def test_a_spec_that_can_not_be_read_is_told_once_and_what_served_is_not_forgotten(life: Life) -> None:
    await life.look()
    await life.serve()
    served = life.status().serving
    life.declare(serving={"minReplicas": "many"})
    assert await life.look() == CONFIG.resync
    assert (life.ready(), life.status().serving) == (("False", "InvalidSpec"), served)
    life.cluster.journal.clear()
    life.now += minutes(5)
    await life.look(2)
    assert life.cluster.journal == []
    life.declare()
    await life.look()
    assert (life.ready(), find(life.status().conditions, "Stalled")) == (("True", "Serving"), None)
