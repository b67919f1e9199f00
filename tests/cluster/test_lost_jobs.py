"""Jobs that vanish, pods that are evicted, an operator that is away: the model serves all the same."""

from __future__ import annotations

import pytest

from real_cluster import SYSTEM, Space, eventually
from specs import SLOW, heart

pytestmark = pytest.mark.cluster


def test_a_job_deleted_by_hand_is_made_again_under_the_next_name(space: Space) -> None:
    space.declare("deleted", heart())
    space.running_trainer()
    [first] = [job["metadata"]["name"] for job in space.jobs()]
    space.cluster.run("delete", "job", first, "-n", space.name)
    found = space.becomes_ready("deleted")
    assert (found["status"]["training"]["attempt"], found["status"]["training"]["job"]) == (2, first[:-1] + "2")


def test_an_evicted_pod_is_replaced_within_the_same_job(space: Space) -> None:
    space.declare("evicted", heart())
    pod = space.running_trainer()
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": space.name}}
    space.cluster.client.create(space.path("v1", "pods", f"{pod}/eviction"), eviction).accepted()
    found = space.becomes_ready("evicted")
    assert found["status"]["training"]["attempt"] == 1


def test_a_job_that_ends_while_the_operator_is_away_is_picked_up_on_its_return(space: Space) -> None:
    space.declare("away", heart())
    space.running_trainer()
    scale = ("-n", SYSTEM, "scale", "deployment/refit-operator")
    space.cluster.run(*scale, "--replicas=0")
    try:

        def ended() -> bool:
            jobs = [job for job in space.jobs() if job["metadata"]["name"].startswith("away-")]
            return all((job.get("status") or {}).get("succeeded") for job in jobs)

        eventually(ended, 120, "the Job completes without an operator")
    finally:
        space.cluster.run(*scale, "--replicas=1")
    found = space.becomes_ready("away")
    assert found["status"]["training"]["attempt"] == 1


def test_deletion_while_training_leaves_nothing_behind(space: Space) -> None:
    space.declare("gone", heart(candidates=SLOW))
    space.running_trainer()
    space.cluster.run("delete", "modeldeployment", "gone", "-n", space.name)
    kinds = "modeldeployment,job,pod,inferenceservice,servingruntime,deployment,service"

    def left() -> bool:
        names = space.cluster.run("get", kinds, "-n", space.name, "-o", "name").split()
        return not [name for name in names if name.split("/")[1].startswith("gone")]

    eventually(left, 90, "all that was gone's is gone")
