"""Scaling foretold: what pods count is read twice, a number goes with the proposal, and what came of it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from life import Life
from refit.api.reasons import Reason
from refit.core.observed import Counted
from refit.shell.loads import Loads
from repairs import ACTING, acting, ask, ledger, stand, the, words
from simulated import NAMESPACE, roll_out
from worlds import WATCHED, minutes

SECOND = minutes(1 / 60)


def busy(share: float, seconds: float, work: float = 0.004) -> Counted:
    """A pod that has worked that share of so many seconds, on requests that all take about as long."""
    number = round(share * seconds / work)
    return Counted(
        busy_seconds=number * work,
        latency_seconds=number * (work - 0.0003),
        latencies=((0.0025, 0), (0.005, number), (float("inf"), 0)),
    )


def run(life: Life, *counts: Counted, generation: str = "a") -> None:
    """These pods are ready, and have counted this."""
    predictor = "heart-predictor"
    for address in [key for key in life.cluster.objects if key[0].kind == "Pod" and key[2].startswith(predictor)]:
        del life.cluster.objects[address]
    life.endpoint.pods = {}
    for place, counted in enumerate(counts):
        ip = f"10.0.0.{place + 1}"
        life.cluster.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{predictor}-{generation}{place}",
                    "namespace": NAMESPACE,
                    "labels": {"app": f"isvc.{predictor}"},
                    "uid": f"{generation}{place}",
                },
                "spec": {"containers": []},
                "status": {"podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]},
            }
        )
        life.endpoint.pods[f"http://{ip}:8080"] = counted


async def scalable(**serving: Any) -> Life:
    life = await acting()
    life.declare(**WATCHED | {"remediation": ACTING, "serving": {"minReplicas": 1, "maxReplicas": 4, **serving}})
    await life.look()
    roll_out(life.cluster)
    await life.look()
    return life


async def counted(life: Life, share: float) -> None:
    """The first reading, and the second after ten seconds in which the one pod worked that share."""
    run(life, busy(0, 0))
    await life.look()
    life.now += 10 * SECOND
    run(life, busy(share, 10))
    await life.look()


async def test_a_scaling_is_foretold_done_and_held_against_what_came() -> None:
    life = await scalable()
    ask(life, "Scale", parameters={"replicas": 2})
    run(life, busy(0, 0))
    again = await life.look()
    assert (stand(life), words(life), again) == (
        ("Pending", Reason.ESTIMATING),
        "measuring what Scale would bring",
        10 * SECOND,
    )
    life.now += 10 * SECOND
    run(life, busy(0.8, 10))
    await life.look()
    impact = the(life)["proposal"]["predictedImpact"]
    assert (stand(life), impact["metric"], impact["method"]) == (
        ("Executing", "Executing"),
        "latency_ms",
        "M/G/1 for each pod, on 2000 requests in 10 s, if as many come at random",
    )
    now, predicted, low, high = (float(impact[name]) for name in ("now", "predicted", "low", "high"))
    assert now == pytest.approx(12, rel=0.03)
    assert predicted == pytest.approx(5.33, rel=0.03)
    assert low < predicted < high < now
    assert the(life)["proposal"]["text"].startswith(f"Scale heart; predicted latency_ms {impact['now']} -> ")
    assert the(life)["estimate"] == {
        "phase": "Ended",
        "window": {"since": "2026-11-21T12:01:00Z", "until": "2026-11-21T12:01:10Z"},
        "startTime": "2026-11-21T12:01:00Z",
        "message": "",
    }
    await life.look()
    roll_out(life.cluster)
    await life.look(2)
    assert (stand(life), the(life)["outcome"]) == (
        ("Executed", "Executed"),
        {"result": "Scaled", "before": "version 2", "after": "2 replicas"},
    )
    run(life, busy(0, 0), busy(0, 0), generation="b")
    again = await life.look()
    assert again == minutes(1)
    life.now += 10 * SECOND
    run(life, busy(0.4, 10), busy(0.4, 10), generation="b")
    await life.look()
    found = the(life)["outcome"]["realisedImpact"]
    assert found == {
        "metric": "latency_ms",
        "before": impact["now"],
        "after": impact["predicted"],
        "rows": 2000,
        "inside": True,
    }
    assert await ledger(life) == [(1, "Intent"), (2, "Outcome"), (3, "Impact")]
    life.cluster.journal.clear()
    await life.look()
    assert life.cluster.journal == []


@pytest.mark.parametrize(
    ("share", "replicas", "why"),
    [
        pytest.param(0.01, 2, "75 requests in 30 s are too few to tell, it takes 100", id="hardly any requests"),
        pytest.param(
            0.97,
            2,
            "a pod is busy all the time; how much more comes than it answers, nobody counts",
            id="a pod that can not keep up",
        ),
    ],
)
async def test_what_can_not_be_foretold_is_said_and_done_all_the_same(share: float, replicas: int, why: str) -> None:
    life = await scalable()
    ask(life, "Scale", parameters={"replicas": replicas})
    await counted(life, share)
    life.now += 20 * SECOND
    run(life, busy(share, 30))
    await life.look()
    assert (stand(life)[0], the(life)["estimate"]["message"]) == ("Executing", why)
    assert the(life)["proposal"]["text"] == f"Scale heart; no prediction: {why}: asked for by bob"


async def test_fewer_pods_than_what_comes_would_keep_busy_are_warned_of() -> None:
    life = await scalable()
    ask(life, "Scale", parameters={"replicas": 1})
    run(life, busy(0, 0), busy(0, 0))
    await life.look()
    life.now += 10 * SECOND
    run(life, busy(0.6, 10), busy(0.6, 10))
    await life.look()
    message = "1 pod might be busy all the time with what comes now, and requests would pile up"
    assert (stand(life)[0], the(life)["estimate"]["message"]) == ("Executing", message)


async def test_half_a_processor_is_busy_twice_as_long() -> None:
    found = []
    for resources in ({}, {"limits": {"cpu": "500m"}}):
        life = await scalable(resources=resources)
        ask(life, "Scale", parameters={"replicas": 2})
        await counted(life, 0.3)
        found.append(float(the(life)["proposal"]["predictedImpact"]["now"]))
    assert found == [pytest.approx(4 + 0.3 / 0.7 * 2, rel=0.02), pytest.approx(8 + 0.6 / 0.4 * 4, rel=0.02)]


@pytest.mark.parametrize(
    ("disturb", "why"),
    [
        pytest.param(
            lambda life: run(life, busy(0.5, 30), generation="new"),
            "its pods were not the same for ten seconds",
            id="other pods",
        ),
        pytest.param(
            lambda life: run(life, busy(0.1, 1)),
            "its pods were not the same for ten seconds",
            id="a pod that began anew",
        ),
        pytest.param(lambda life: life.endpoint.pods.clear(), "nobody answers there", id="a pod that does not answer"),
        pytest.param(run, "no pod of it is ready", id="no pod"),
    ],
)
async def test_pods_that_can_not_be_counted_hold_nobody_up_for_long(disturb: Callable[[Life], None], why: str) -> None:
    life = await scalable()
    ask(life, "Scale", parameters={"replicas": 2})
    run(life, busy(0.5, 20))
    await life.look()
    life.now += 29 * SECOND
    disturb(life)
    await life.look()
    assert stand(life) == ("Pending", "Estimating")
    life.now += SECOND
    await life.look()
    assert (stand(life)[0], the(life)["estimate"]["message"]) == ("Executing", why)


async def test_an_operator_that_starts_anew_reads_anew() -> None:
    life = await scalable()
    ask(life, "Scale", parameters={"replicas": 2})
    run(life, busy(0, 0))
    await life.look()
    life.loads = Loads(life.cluster, life.endpoint, lambda: life.now)
    life.now += 10 * SECOND
    run(life, busy(0.5, 10))
    await life.look()
    assert stand(life) == ("Pending", "Estimating")
    life.now += 10 * SECOND
    run(life, busy(0.5, 20))
    await life.look()
    assert the(life)["proposal"]["predictedImpact"]["method"].startswith("M/G/1 for each pod, on 1250 requests in 10 s")


async def test_what_came_is_not_told_of_another_number_of_pods() -> None:
    life = await scalable()
    ask(life, "Scale", parameters={"replicas": 2})
    await counted(life, 0.8)
    await life.look()
    roll_out(life.cluster)
    await life.look(2)
    run(life, *[busy(0, 0)] * 3, generation="b")
    await life.look()
    life.now += 10 * SECOND
    run(life, *[busy(0.3, 10)] * 3, generation="b")
    await life.look()
    assert "realisedImpact" not in the(life)["outcome"]
    life.now += minutes(30)
    assert await life.look() != minutes(1), "for half an hour it is looked for, then no more"
