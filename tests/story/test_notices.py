"""What people are told of a model's life, told with a cluster in memory: each thing once, whatever the operator meets."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from life import KEY, Life
from refit.api.notices import Notice, NoticeKind, Severity
from refit.kube.cluster import MODEL_DEPLOYMENT
from repairs import acting, approved_rollback, ask, decide, estimated, words
from simulated import NAMESPACE, end_job, roll_out
from worlds import WATCHED, drifted, minutes


def told(life: Life) -> list[tuple[NoticeKind, str]]:
    return [(notice.kind, notice.what) for notice in life.told.values()]


def last(life: Life) -> Notice:
    return list(life.told.values())[-1]


async def test_an_approver_reads_what_it_is_about_and_what_to_type() -> None:
    life = await acting(approval={"escalationContact": "ml-on-call@example.com"})
    ask(life, "Rollback", parameters={"toVersion": 1}, note="the new one is slow")
    await estimated(life)
    await life.look(2)
    found = last(life)
    assert found == Notice(
        key=found.key,
        topic=found.key,
        kind=NoticeKind.APPROVAL_NEEDED,
        severity=Severity.MEDIUM,
        namespace=NAMESPACE,
        model="heart",
        at=found.at,
        what="Rollback of heart waits for a decision until 2026-11-22T12:01:00Z",
        why="the new one is slow",
        impact="predicted f1 0.61 -> 0.8, 90 % interval 0.74 to 0.85 (trial on 300 labelled requests)",
        request="wish",
        contact="ml-on-call@example.com",
        trace=found.trace,
        commands=(
            f"kubectl refit explain wish -n {NAMESPACE}",
            f"kubectl refit approve wish -n {NAMESPACE}",
            f"kubectl refit reject wish -n {NAMESPACE} --reason '...'",
        ),
    )
    assert len(found.trace) == 32


async def test_from_the_question_to_the_outcome_there_are_two_messages() -> None:
    life = await acting()
    await approved_rollback(life)
    roll_out(life.cluster)
    for _ in range(6):
        await life.look()
        life.now += minutes(1)
    assert told(life) == [
        (NoticeKind.APPROVAL_NEEDED, "Rollback of heart waits for a decision until 2026-11-22T12:01:00Z"),
        (NoticeKind.REQUEST_ENDED, f"Rollback of heart was carried out: {words(life)}"),
    ]


async def test_who_does_not_decide_is_told_once_more_before_it_is_too_late() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    kinds = []
    for hours in (1, 17, 18, 20, 23, 25):
        life.now = life.now.replace(hour=12, minute=1, day=21) + timedelta(hours=hours)
        await life.look(2)
        kinds.append([notice.kind.value for notice in life.told.values()])
    asked, reminded, ended = "ApprovalNeeded", "ExpiresSoon", "RequestEnded"
    assert kinds == [
        [asked],
        [asked],
        [asked, reminded],
        [asked, reminded],
        [asked, reminded],
        [asked, reminded, ended],
    ]


async def test_who_has_decided_is_not_reminded() -> None:
    life = await acting(approval={"approvals": 2})
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    life.now += timedelta(hours=20)
    await life.look(2)
    assert [notice.kind for notice in life.told.values()] == [NoticeKind.APPROVAL_NEEDED]


async def test_what_cannot_be_trained_is_told_once() -> None:
    life = Life()
    life.declare()
    await life.look()
    end_job(life.cluster, life.job(), None, failure="BackoffLimitExceeded")
    await life.look(3)
    if not life.told:
        for _ in range(4):
            end_job(life.cluster, life.job(), None, failure="BackoffLimitExceeded")
            await life.look(2)
    [notice] = life.told.values()
    assert (notice.kind, notice.severity) == (NoticeKind.STALLED, Severity.HIGH)
    assert notice.what.startswith("heart needs a person: Training")
    assert notice.why


async def test_without_a_guard_somebody_is_told() -> None:
    life = await acting()
    life.guard.problem = "the binding refit-decisions is gone"
    await life.look(2)
    assert [(each.kind, each.severity, each.why) for each in life.told.values()] == [
        (NoticeKind.UNGUARDED, Severity.HIGH, "the binding refit-decisions is gone")
    ]


@pytest.mark.parametrize(
    ("remediation", "kinds"),
    [
        pytest.param(None, [NoticeKind.DRIFTED], id="where nothing is proposed, the drift itself is told"),
        pytest.param({"mode": "Observe"}, [NoticeKind.DRIFTED], id="where it is only proposed, as well"),
        pytest.param({"mode": "Act"}, [], id="where it is acted upon, the request is told"),
    ],
)
async def test_a_drift_is_told_once(remediation: dict[str, Any] | None, kinds: list[NoticeKind]) -> None:
    life = Life()
    life.declare(**copy.deepcopy(WATCHED) | ({"remediation": remediation} if remediation else {}))
    await life.look()
    await life.serve(1)
    for _ in range(3):
        await life.measure(lambda key: drifted(key, age=0.8))
    assert [notice.kind for notice in life.told.values() if notice.kind == NoticeKind.DRIFTED] == kinds


async def test_what_is_a_month_old_is_no_news() -> None:
    life = await acting()
    await approved_rollback(life)
    await life.look(4)
    life.told.clear()
    life.now += timedelta(days=30)
    life.cluster.objects[MODEL_DEPLOYMENT, *KEY]["metadata"]["resourceVersion"] += "+"
    await life.look(2)
    assert told(life) == []
