"""One trace from the cause to the outcome, told with a cluster in memory."""

from __future__ import annotations

import copy
from typing import Any

from life import KEY, Life
from refit.api import traces
from refit.core import tracing
from refit.core.observed import AlertSeen
from refit.kube.cluster import EVENT, JOB, REMEDIATION_REQUEST
from repairs import acting, approved_rollback, ask, decide, estimated
from simulated import NAMESPACE, roll_out
from worlds import WATCHED, deployment, drifted, minutes


def annotated(manifest: dict[str, Any]) -> str:
    return str((manifest["metadata"].get("annotations") or {}).get("refit.dev/trace-id", ""))


def told(job: dict[str, Any]) -> str:
    """The trace that the Job's container is told of."""
    [container] = job["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each.get("value", "") for each in container["env"]}
    return traces.of_parent(environment["TRACEPARENT"])


def spans(life: Life) -> list[tuple[str, str, str]]:
    """Name, trace and parent's id of what has ended, in its order."""
    found = []
    for span in life.spans.get_finished_spans():
        parent = f"{span.parent.span_id:016x}" if span.parent is not None else ""
        assert span.context is not None
        found.append((span.name, f"{span.context.trace_id:032x}", parent))
    return found


async def test_from_an_alert_to_the_retraining_and_its_outcome_there_is_one_trace() -> None:
    life = Life()
    life.declare(**copy.deepcopy(WATCHED) | {"remediation": {"mode": "Act"}})
    await life.look()
    await life.serve(1)
    alert = AlertSeen(name="RefitDataDrift", fingerprint="c0ffee", starts_at="2026-11-21T12:00:00Z")
    life.alerts.found.append(alert)
    await life.measure(lambda key: drifted(key, thalach=0.95))
    requests = [found for (kind, _, _), found in life.cluster.objects.items() if kind == REMEDIATION_REQUEST]
    [request] = requests
    trace = traces.trace_id(f"alert {NAMESPACE}/heart c0ffee 2026-11-21T12:00:00Z")
    assert annotated(request) == trace
    name = request["metadata"]["name"]
    life.noticed.add(KEY)
    await estimated(life, name)
    life.cluster.rights = {
        ("alice", "approve", "refit.dev", f"modeldeployments/{action}", NAMESPACE, "heart")
        for action in ("retrain", "Retrain")
    }
    decide(life, name=name)
    await life.look(2)
    jobs = {
        key[2]: found
        for key, found in life.cluster.objects.items()
        if key[0] == JOB and ("impact" in key[2] or found["metadata"]["name"] == life.job())
    }
    assert {annotated(job) for job in jobs.values()} == {trace}
    assert {told(job) for job in jobs.values()} == {trace}
    rows = await life.ledger.all()
    assert {row.trace_id for row in rows} == {trace}


async def test_a_repair_leaves_its_spans_below_one_root() -> None:
    life = await acting()
    life.spans.clear()
    await approved_rollback(life)
    roll_out(life.cluster)
    for _ in range(4):
        await life.look()
        life.now += minutes(1)
    uid = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, "wish"]["metadata"]["uid"]
    trace, root = traces.trace_id(uid), traces.span_id(uid)
    assert spans(life) == [
        ("request Pending", trace, root),
        ("request AwaitingApproval", trace, root),
        ("request Executing", trace, root),
        ("request Rollback", trace, ""),
    ]


async def test_events_about_a_request_name_its_trace() -> None:
    life = await acting()
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    uid = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, "wish"]["metadata"]["uid"]
    about = [
        found
        for (kind, _, _), found in life.cluster.objects.items()
        if kind == EVENT and found["involvedObject"]["name"] == "wish"
    ]
    assert {annotated(event) for event in about} == {traces.trace_id(uid)}


async def test_a_training_that_nobody_asked_for_begins_a_trace_of_its_own() -> None:
    life = Life()
    life.declare()
    await life.look()
    job = life.cluster.objects[JOB, NAMESPACE, life.job()]
    training = life.status().training
    assert training is not None
    await life.serve(1)
    [(name, trace, parent)] = spans(life)
    assert (name, parent) == ("training", "")
    assert {trace, annotated(job), told(job)} == {trace}


def test_an_alert_that_is_sent_again_belongs_to_the_same_trace() -> None:
    first = AlertSeen(name="A", fingerprint="f", starts_at="2026-11-21T12:00:00Z")
    again = AlertSeen(name="A", fingerprint="f", starts_at="2026-11-21T12:00:00Z", severity="critical")
    later = AlertSeen(name="A", fingerprint="f", starts_at="2026-11-21T13:00:00Z")
    found = [tracing.of_alert(deployment(), alert) for alert in (first, again, later)]
    assert (found[0] == found[1], found[0] == found[2]) == (True, False)
