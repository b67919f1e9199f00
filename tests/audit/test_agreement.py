"""The audit against the API server's audit log: lines as a real API server wrote them, and rows as Refit writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guarded import OPERATOR, REQUESTS, TEAM, Guarded, approvals, guarded, yes
from plugin import MODELS, model, renew
from refit.api.entries import EntryKind
from refit.api.times import stamp
from refit.audit.agreement import Disagreement, Event, disagreements, events
from refit.audit.rows import Row

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DIGEST = "sha256:" + "5c1e07aa" * 8


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def row(sequence: int, kind: EntryKind, seconds: float, **content: Any) -> Row:
    told = {"request": "wish", "namespace": "team-a", "model": "heart", "action": "Retrain", "approvers": ["alice"]}
    return Row(
        sequence=sequence,
        time=stamp(at(seconds)),
        kind=kind,
        request_uid="uid-1",
        digest=DIGEST,
        content=json.dumps({**told, **content}),
    )


def event(seconds: float, user: str, verb: str, resource: str, name: str, decision: str = "") -> Event:
    return Event(
        time=at(seconds), user=user, verb=verb, resource=resource, namespace="team-a", name=name, decision=decision
    )


LOG = [
    event(0, "somebody", "create", "modeldeployments", "other"),
    event(10, OPERATOR, "patch", "remediationrequests/status", "wish"),
    event(60, "alice", "patch", "remediationrequests/status", "wish", f"alice Approved {DIGEST}"),
    event(66, OPERATOR, "patch", "remediationrequests/status", "wish"),
    event(70, OPERATOR, "create", "jobs", "heart-train-0a1b2c3d4e-1"),
    event(300, OPERATOR, "patch", "remediationrequests/status", "wish"),
]
ROWS = [row(1, EntryKind.INTENT, 65), row(2, EntryKind.OUTCOME, 299, outcome={"result": "Retrained"})]


def test_rows_and_log_that_tell_the_same_agree() -> None:
    assert disagreements(ROWS, LOG, OPERATOR) == []


@pytest.mark.parametrize(
    ("rows", "log", "expected"),
    [
        pytest.param(
            ROWS,
            [one for one in LOG if one.resource != "jobs"],
            Disagreement(
                sequence=2, message="it says Retrained of team-a/heart, and the log has no such write of jobs"
            ),
            id="a row whose effect did not happen",
        ),
        pytest.param(
            ROWS,
            [one for one in LOG if not one.decision],
            Disagreement(sequence=1, message="it names alice as approver of wish, and the log has no such decision"),
            id="an approver who did not approve",
        ),
        pytest.param(
            ROWS,
            [*LOG[:2], replace(LOG[2], decision=f"alice Approved sha256:{'0' * 64}"), *LOG[3:]],
            Disagreement(sequence=1, message="it names alice as approver of wish, and the log has no such decision"),
            id="an approval of something else",
        ),
        pytest.param(
            ROWS,
            [*LOG, event(400, OPERATOR, "patch", "modeldeployments", "heart")],
            Disagreement(sequence=0, message="team-a/heart was changed at 2026-11-21T12:06:40Z, and no row intends it"),
            id="an effect without a row",
        ),
        pytest.param(
            ROWS[1:],
            LOG,
            Disagreement(sequence=2, message="an outcome without an intent"),
            id="an outcome without an intent",
        ),
        pytest.param(
            ROWS,
            [],
            Disagreement(sequence=0, message="the API server's log holds nothing about Refit"),
            id="a log of something else",
        ),
    ],
)
def test_what_one_says_and_the_other_does_not(rows: list[Row], log: list[Event], expected: Disagreement) -> None:
    assert disagreements(rows, log, OPERATOR) == [expected]


def test_what_was_before_the_log_is_not_compared() -> None:
    assert disagreements(ROWS, [event(900, "somebody", "create", "modeldeployments", "x")], OPERATOR) == []


def test_who_impersonates_somebody_is_read_as_whom_they_are() -> None:
    """As `kubectl patch --as=alice` is logged: admission has seen alice, and so has the row."""
    line = {
        "kind": "Event",
        "stage": "ResponseComplete",
        "verb": "patch",
        "requestURI": f"{REQUESTS}/heart-retrain-1/status",
        "user": {"username": "kubernetes-admin"},
        "impersonatedUser": {"username": "alice"},
        "objectRef": {
            "apiGroup": "refit.dev",
            "resource": "remediationrequests",
            "subresource": "status",
            "namespace": TEAM,
            "name": "heart-retrain-1",
        },
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "2026-11-21T12:00:00Z",
    }
    [found] = events([json.dumps(line)])
    assert found.user == "alice"


@pytest.mark.contract
def test_the_lines_of_a_real_api_server_are_read() -> None:
    """With the guard's own word on who decided, and on which digest."""
    with guarded() as plane:
        record(plane)
        with plane.plane.audit_log.open() as lines:
            found = list(events(lines))
    now = stamp(min(one.time for one in found))
    decided = [one for one in found if one.decision]
    assert [(one.user, one.namespace, one.name, one.decision) for one in decided] == [
        ("alice", TEAM, "heart-retrain-1", f"alice Approved {DIGEST}")
    ]
    intent = row(1, EntryKind.INTENT, 0, request="heart-retrain-1")
    after = stamp(decided[0].time + timedelta(seconds=1))
    logged = [
        *found,
        replace(found[0], time=found[0].time - timedelta(minutes=1)),
        replace(found[-1], time=decided[0].time + timedelta(seconds=9)),
    ]
    assert disagreements([replace(intent, time=after)], logged, OPERATOR) == []
    forged = replace(intent, time=after, content=intent.content.replace("alice", "mallory"))
    assert [one.message for one in disagreements([forged], logged, OPERATOR)] == [
        "it names mallory as approver of heart-retrain-1, and the log has no such decision"
    ]
    assert now


def record(plane: Guarded) -> None:
    """A request that waits, and alice's yes; a dry run and a refusal, which had no effect."""
    plane.admin.create(MODELS, model("heart")).accepted()
    renew(plane, "heart-retrain-1")
    path = f"{REQUESTS}/heart-retrain-1/status"
    plane.who("alice").merge(path, approvals({"alice": yes(DIGEST)}), dryRun="All").accepted()
    plane.who("alice").merge(path, approvals({"alice": yes(DIGEST)})).accepted()
    assert plane.who("mallory").merge(path, approvals({"mallory": yes(DIGEST)})).code >= 400
