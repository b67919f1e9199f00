"""How a model is reported on, told with a cluster in memory: due, made once, recorded, tried again, given up."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from life import KEY, Life
from refit.api.measured import LastMeasurement
from refit.api.orders import ReportOrder
from refit.api.reports import Report, ReportKind, ReportPhase
from refit.api.results import ImpactResult, ReportResult
from refit.api.times import stamp
from refit.kube.cluster import EVENT, JOB, MODEL_DEPLOYMENT, REMEDIATION_REQUEST, RefusedError
from repairs import ask
from simulated import NAMESPACE, end_job
from worlds import CONFIG, WATCHED, drifted, minutes

IMAGE = "registry.test/report@sha256:" + "4" * 64
RUN = "http://mlflow.test/1"


async def reported(**spec: Any) -> Life:
    """A model that serves its first version, in an installation that makes reports."""
    life = Life(config=replace(CONFIG, report_image=IMAGE, cluster_name="blue"))
    life.declare(**WATCHED | {"remediation": {"mode": "Act"}} | spec)
    await life.look()
    await life.serve()
    return life


def jobs(life: Life) -> list[str]:
    """Those of reports."""
    return sorted(name for kind, _, name in life.cluster.objects if kind == JOB and "-report-" in name)


def reports(life: Life) -> list[tuple[ReportKind, ReportPhase, int]]:
    return [(report.kind, report.phase, report.attempt) for report in life.status().reports or ()]


def newest(life: Life) -> Report:
    return max(life.status().reports or (), key=lambda report: (report.tried, report.time))


def running(life: Life) -> str:
    """The Job that runs."""
    [report] = [report for report in life.status().reports or () if report.phase == ReportPhase.RUNNING]
    return report.job or ""


def ordered(life: Life) -> ReportOrder:
    """What the running Job was told."""
    job = life.cluster.objects[JOB, NAMESPACE, running(life)]
    [container] = job["spec"]["template"]["spec"]["containers"]
    told = {item["name"]: item["value"] for item in container["env"]}
    assert (container["image"], container["args"]) == (IMAGE, ["refit.report"])
    return ReportOrder.model_validate_json(told["REFIT_REPORT"])


def answered(life: Life, **changes: Any) -> None:
    """The report's Job says where the PDF is."""
    order = ordered(life)
    told: dict[str, Any] = {"key": order.key, "uri": order.uri, "sha256": "a" * 64, "bytes_": 4096, "pages": 3}
    end_job(life.cluster, running(life), ReportResult(**(told | changes)), container="report")


def broken(life: Life) -> None:
    """The report's Job fails without a word."""
    end_job(life.cluster, running(life), None, failure="BackoffLimitExceeded", container="report")


async def quiet(**spec: Any) -> Life:
    """A model whose deployment report is stored."""
    life = await reported(**spec)
    answered(life)
    await life.look(2)
    assert reports(life) == [(ReportKind.DEPLOYMENT, ReportPhase.STORED, 1)]
    return life


def events(life: Life, reason: str) -> list[str]:
    return [
        found["message"]
        for (kind, _, _), found in life.cluster.objects.items()
        if kind == EVENT and found["reason"] == reason
    ]


async def asked(life: Life) -> None:
    """A retraining waits for a person."""
    ask(life, "Retrain")
    await life.look()
    end_job(life.cluster, request(life)["estimate"]["job"], ImpactResult(key="k"))
    await life.look(2)
    assert request(life)["phase"] == "AwaitingApproval"


def request(life: Life) -> dict[str, Any]:
    status: dict[str, Any] = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, "wish"]["status"]
    return status


def reject(life: Life) -> None:
    found = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, "wish"]
    digest = found["status"]["proposal"]["digest"]
    no = {"decision": "Rejected", "proposalDigest": digest, "reason": "the labels are late"}
    found["status"]["approvals"] = {"alice": no}
    found["metadata"]["resourceVersion"] += "+"
    life.cluster.rights = {("alice", "approve", "refit.dev", "modeldeployments/retrain", NAMESPACE, "heart")}


async def test_a_version_that_became_the_champion_is_reported_once() -> None:
    life = await reported()
    assert len(jobs(life)) == 1
    order = ordered(life)
    assert (order.kind, order.serving, order.cluster, order.namespace, order.model, order.uri) == (
        ReportKind.DEPLOYMENT, 1, "blue", "clinic", "heart", f"{RUN}/reports/deployment-{order.key}.pdf",
    )  # fmt: skip
    assert order.training is not None
    answered(life)
    await life.look()
    [report] = life.status().reports or ()
    assert (report.phase, report.uri, report.sha256, report.bytes_, report.pages, report.about) == (
        ReportPhase.STORED, order.uri, "a" * 64, 4096, 3, "version 1",
    )  # fmt: skip
    assert events(life, "ReportStored") == [f"Deployment report (version 1): {order.uri}"]
    life.cluster.journal.clear()
    await life.look(3)
    assert life.cluster.journal == []


async def test_without_an_image_there_are_no_reports() -> None:
    life = Life()
    life.declare(**WATCHED)
    await life.look()
    await life.serve()
    assert (reports(life), jobs(life)) == ([], [])


async def test_a_crash_before_the_status_is_written_makes_no_second_job() -> None:
    life = Life(config=replace(CONFIG, report_image=IMAGE))
    life.declare(**WATCHED)
    await life.look()
    await life.serve()
    [job] = jobs(life)
    del life.cluster.objects[MODEL_DEPLOYMENT, *KEY]["status"]["reports"]
    await life.look()
    assert (jobs(life), [report.job for report in life.status().reports or ()]) == ([job], [job])


async def test_a_failed_report_is_tried_three_times_and_disturbs_nothing() -> None:
    life = await reported()
    for attempt in (1, 2, 3):
        assert (reports(life), len(jobs(life))) == ([(ReportKind.DEPLOYMENT, ReportPhase.RUNNING, attempt)], 1)
        broken(life)
        await life.look()
        assert (reports(life), life.ready()) == (
            [(ReportKind.DEPLOYMENT, ReportPhase.FAILED, attempt)], ("True", "Serving"),
        )  # fmt: skip
        assert reports(life) == [(ReportKind.DEPLOYMENT, ReportPhase.FAILED, attempt)]
        life.now += timedelta(minutes=10)
        await life.look()
    assert (reports(life), len(jobs(life))) == ([(ReportKind.DEPLOYMENT, ReportPhase.FAILED, 3)], 1)
    assert len(events(life, "ReportFailed")) == 3
    life.now += timedelta(days=1)
    await life.look(2)
    assert reports(life) == [(ReportKind.DEPLOYMENT, ReportPhase.FAILED, 3)]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param({"uri": None, "message": "MLflow: answered 503"}, "MLflow: answered 503", id="what the Job says"),
        pytest.param({"key": "other"}, "answered for another report (other)", id="an answer for another report"),
    ],
)
async def test_why_a_report_failed_is_told(answer: dict[str, Any], message: str) -> None:
    life = await reported()
    answered(life, **answer)
    await life.look()
    assert newest(life).phase is ReportPhase.FAILED
    assert newest(life).message.endswith(message)


async def test_a_job_that_was_deleted_is_a_failed_attempt() -> None:
    life = await reported()
    del life.cluster.objects[JOB, NAMESPACE, jobs(life)[0]]
    await life.look()
    assert (newest(life).phase, newest(life).message) == (
        ReportPhase.FAILED, f"Job {newest(life).job} was deleted before it answered",
    )  # fmt: skip


async def test_a_job_that_the_api_server_refuses_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    life = await quiet()
    create = life.cluster.create

    async def refusing(manifest: dict[str, Any]) -> dict[str, Any]:
        if "-report-" in manifest["metadata"]["name"]:
            raise RefusedError("exceeded quota")
        return await create(manifest)

    monkeypatch.setattr(life.cluster, "create", refusing)
    await life.measure(lambda key: drifted(key, thalach=0.71))
    await life.look()
    assert (newest(life).kind, newest(life).phase, newest(life).attempt) == (ReportKind.DRIFT, ReportPhase.FAILED, 1)
    assert life.ready() == ("True", "Serving")


async def test_drift_is_reported_once_a_day_and_again_when_other_columns_drift() -> None:
    life = await quiet()

    async def measure(**effects: float) -> int:
        """How many reports of drift there are after another measurement."""

        def answer(key: str) -> LastMeasurement:
            return drifted(key, **effects).model_copy(update={"time": stamp(life.now)})

        await life.measure(answer)
        if any(report.phase == ReportPhase.RUNNING for report in life.status().reports or ()):
            answered(life)
            await life.look(2)
        return sum(kind is ReportKind.DRIFT for kind, _, _ in reports(life))

    assert await measure(thalach=0.71) == 1
    assert newest(life).about == "thalach"
    assert await measure(thalach=0.72) == 1
    assert await measure(thalach=0.72, chol=0.4) == 1, "others, but within the hour"
    life.now += timedelta(hours=1)
    assert await measure(thalach=0.72, chol=0.4) == 2
    assert await measure(thalach=0.72) == 2
    life.now += timedelta(days=2)
    assert await measure(thalach=0.72) == 3


async def test_what_waits_for_a_person_is_reported_and_linked() -> None:
    life = await quiet()
    await asked(life)
    await life.look()
    order = ordered(life)
    assert order.request is not None
    assert (order.kind, order.request.name, order.request.spec.requested_by) == (ReportKind.APPROVAL, "wish", "bob")
    answered(life)
    await life.look()
    assert request(life)["reports"] == [order.uri]
    assert request(life)["phase"] == "AwaitingApproval"
    life.cluster.journal.clear()
    await life.look(2)
    assert [name for _, _, name in life.cluster.journal if "-report-" in name] == []


async def test_a_request_that_came_to_an_end_is_reported_and_linked_beside_the_other() -> None:
    life = await quiet()
    await asked(life)
    await life.look()
    answered(life)
    await life.look(2)
    [before] = request(life)["reports"]
    life.now += minutes(3)
    reject(life)
    await life.look(3)
    assert request(life)["phase"] == "Rejected"
    order = ordered(life)
    assert order.request is not None
    assert (order.kind, order.time, order.request.status.phase) == (ReportKind.INCIDENT, stamp(life.now), "Rejected")
    assert [entry.reason for entry in (order.request.status.approvals or {}).values()] == ["the labels are late"]
    answered(life)
    await life.look(2)
    assert request(life)["reports"] == [before, order.uri]
    assert request(life)["approvals"]["alice"]["decision"] == "Rejected"
    life.cluster.journal.clear()
    await life.look(3)
    assert life.cluster.journal == []


async def test_one_job_at_a_time_and_none_piles_up() -> None:
    life = await reported()
    await life.measure(lambda key: drifted(key, thalach=0.71))
    await asked(life)
    await life.look()
    assert [kind for kind, _, _ in reports(life)] == [ReportKind.DEPLOYMENT]
    done = []
    for _ in range(3):
        assert len(jobs(life)) == 1
        done.append(ordered(life).kind)
        answered(life)
        await life.look(2)
    assert done == [ReportKind.DEPLOYMENT, ReportKind.APPROVAL, ReportKind.DRIFT]
    assert {phase for _, phase, _ in reports(life)} == {ReportPhase.STORED}


async def test_an_order_of_the_longest_texts_fits_an_environment_variable() -> None:
    life = await quiet()
    await asked(life)
    await life.look()
    order = ordered(life)
    assert order.request is not None
    from refit.core.reportjob import ORDER_LIMIT, fitting  # noqa: PLC0415

    long = "\N{GRINNING FACE}" * 256
    change = tuple({"what": long, "from": long, "to": long} for _ in range(32))
    assert order.request.status.proposal is not None
    proposal = type(order.request.status.proposal).model_validate(
        order.request.status.proposal.wire() | {"change": change, "text": long * 4}
    )
    yes = {"decision": "Approved", "proposalDigest": proposal.digest, "reason": long * 4, "groups": [long] * 16}
    status = type(order.request.status).model_validate(
        order.request.status.wire() | {"approvals": {f"user{n}": yes for n in range(16)}, "proposal": proposal.wire()}
    )
    full = order.model_copy(update={"request": order.request.model_copy(update={"status": status})})
    shorter = fitting(full)
    assert len(json.dumps(shorter.wire(), ensure_ascii=False).encode()) < ORDER_LIMIT * 1.05
    assert (len(full.omitted), len(shorter.omitted)) == (0, 3)
    assert fitting(order) == order
