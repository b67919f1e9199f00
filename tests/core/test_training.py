from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from refit.api.deploymentstatus import ModelDeploymentStatus, TrainingPhase
from refit.api.results import EXIT_REFUSED, CheckOutcome, TrainingOutcome, encode
from refit.core.observed import Deployment, JobSeen, JobState
from refit.core.training import Step, Wanted, schedule_problem, step, wanted
from worlds import CONFIG, EARLIER, NOW, deployment, result, spec, training

KEY = deployment().spec_hash
WANT = Wanted(key=KEY, spec_hash=KEY, cause="first training")
JOB = f"heart-train-{KEY}-1"
RUNNING = training(KEY)


def trained(**changes: Any) -> Deployment:
    return deployment(ModelDeploymentStatus(training=training(KEY, **changes)))


def job(state: JobState, **changes: Any) -> JobSeen:
    return JobSeen(name=JOB, state=state, **changes)


def test_a_new_deployment_starts_its_first_training() -> None:
    assert step(deployment(), WANT, None, CONFIG, NOW) == Step(
        status=training(KEY, start_time="2026-11-21T12:00:00Z"), create=True
    )


def test_another_key_replaces_the_running_training_and_names_the_old_job_for_deletion() -> None:
    seen = deployment(ModelDeploymentStatus(training=training("0" * 10)))
    found = step(seen, WANT, None, CONFIG, NOW)
    assert (found.create, found.delete_job, found.status.job) == (True, f"heart-train-{'0' * 10}-1", JOB)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(job(JobState.ACTIVE), RUNNING, id="a Job that runs is waited for"),
        pytest.param(
            job(JobState.ACTIVE, waiting="trainer: ErrImagePull"),
            RUNNING.model_copy(update={"message": f"Job {JOB} is running: trainer: ErrImagePull"}),
            id="what keeps its pod from running is passed on",
        ),
        pytest.param(
            job(JobState.FAILED, failure="BackoffLimitExceeded", exit_code=1),
            RUNNING.model_copy(
                update={
                    "phase": TrainingPhase.FAILED,
                    "reason": "TrainingFailed",
                    "message": f"Job {JOB} failed (exit code 1); see: kubectl logs -n clinic job/{JOB}",
                    "completion_time": "2026-11-21T12:00:00Z",
                }
            ),
            id="a Job that failed ends the training and says where its log is",
        ),
        pytest.param(
            job(JobState.FAILED, failure="DeadlineExceeded"),
            RUNNING.model_copy(
                update={
                    "phase": TrainingPhase.FAILED,
                    "reason": "TrainingTimeout",
                    "message": f"Job {JOB} did not end within spec.training.timeoutSeconds; raise it, or train on less data",
                    "completion_time": "2026-11-21T12:00:00Z",
                }
            ),
            id="a Job that hung past its time names the field to raise",
        ),
    ],
)
def test_what_a_job_without_an_answer_means(seen: JobSeen, expected: object) -> None:
    assert step(trained(), WANT, seen, CONFIG, NOW) == Step(status=expected)  # type: ignore[arg-type]  # parametrized


def test_an_answer_is_taken_into_status() -> None:
    answer = result(KEY)
    found = step(trained(), WANT, job(JobState.SUCCEEDED, message=encode(answer)), CONFIG, NOW)
    assert found.result == answer
    assert found.status == RUNNING.model_copy(
        update={
            "phase": TrainingPhase.SUCCEEDED,
            "reason": "Registered",
            "message": "version 1",
            "completion_time": "2026-11-21T12:00:00Z",
            "run_id": "r" * 32,
            "rows": 303,
            "data_sha256": "d" * 64,
            "data_valid": True,
            "data_message": "303 rows, 1 checks passed",
            "fit_seconds": "0",
            "total_seconds": "0",
        }
    )


def test_a_refusal_is_read_from_the_failed_job_that_brings_it() -> None:
    answer = result(
        KEY,
        outcome=TrainingOutcome.REFUSED,
        reason="TargetMissing",
        message="no column 'num'",
        checks=(CheckOutcome(name="target", passed=False, message="no column 'num'; found age, sex"),),
        registered=None,
    )
    seen = job(JobState.FAILED, failure="PodFailurePolicy", exit_code=EXIT_REFUSED, message=encode(answer))
    status = step(trained(), WANT, seen, CONFIG, NOW).status
    assert (status.phase, status.reason, status.data_valid, status.data_message) == (
        TrainingPhase.REFUSED,
        "TargetMissing",
        False,
        "target: no column 'num'; found age, sex",
    )


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        pytest.param(None, "the Job was deleted before it answered", id="a Job deleted by hand"),
        pytest.param(job(JobState.SUCCEEDED), "its answer was lost with its pod", id="a pod deleted with its answer"),
    ],
)
def test_what_was_lost_is_tried_again_under_the_next_name(seen: JobSeen | None, why: str) -> None:
    found = step(trained(), WANT, seen, CONFIG, NOW)
    assert found == Step(
        status=RUNNING.model_copy(
            update={"attempt": 2, "job": f"heart-train-{KEY}-2", "message": f"Job {JOB}: {why}; attempt 2"}
        ),
        create=True,
        delete_job=JOB,
    )


def test_the_last_attempt_that_is_lost_ends_the_training() -> None:
    seen = trained(attempt=3, job=f"heart-train-{KEY}-3")
    status = step(seen, WANT, None, CONFIG, NOW).status
    assert (status.phase, status.reason) == (TrainingPhase.FAILED, "TrainingLost")


def test_a_message_that_is_no_answer_fails_the_training_and_shows_its_beginning() -> None:
    status = step(trained(), WANT, job(JobState.SUCCEEDED, message="Killed"), CONFIG, NOW).status
    assert (status.phase, status.message) == (TrainingPhase.FAILED, "not a training result: 'Killed'")


def test_a_training_that_ended_is_settled() -> None:
    seen = trained(phase=TrainingPhase.FAILED)
    assert step(seen, WANT, None, CONFIG, NOW) == Step(status=training(KEY, phase=TrainingPhase.FAILED))


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"folds": 3}, False, id="folds make another model"),
        pytest.param({"selection": {"metric": "accuracy"}}, False, id="the metric makes another choice"),
        pytest.param({"candidates": [{"algorithm": "XGBoost"}]}, False, id="candidates make another model"),
        pytest.param({"timeoutSeconds": 60}, True, id="a timeout makes no other model"),
        pytest.param({"schedule": "0 3 * * 1"}, True, id="a schedule makes no other model"),
        pytest.param({"resources": {"limits": {"cpu": "4"}}}, True, id="resources make no other model"),
    ],
)
def test_which_changes_mean_another_model(change: dict[str, Any], same: bool) -> None:
    assert (deployment(spec=spec(**change)).spec_hash == KEY) is same


def test_a_recreated_deployment_has_other_keys() -> None:
    assert deployment(uid="another").spec_hash != KEY


SETTLED = ModelDeploymentStatus(
    training=training(KEY, phase=TrainingPhase.SUCCEEDED, start_time="2026-11-16T12:00:00Z")
)


@pytest.mark.parametrize(
    ("seen", "now", "cause", "same_key"),
    [
        pytest.param(deployment(SETTLED), NOW, "first training", True, id="without a schedule nothing is due"),
        pytest.param(
            deployment(SETTLED, spec=spec(schedule="0 3 * * 1")),
            NOW,
            "first training",
            True,
            id="before the tick nothing is due",
        ),
        pytest.param(
            deployment(SETTLED, spec=spec(schedule="0 3 * * 1")),
            datetime(2026, 11, 23, 3, 0, 0, tzinfo=UTC),
            "schedule 2026-11-23T03:00:00Z",
            False,
            id="on the tick a training is due",
        ),
        pytest.param(
            deployment(SETTLED, spec=spec(schedule="0 3 * * 1")),
            datetime(2026, 12, 9, 0, 0, 0, tzinfo=UTC),
            "schedule 2026-12-07T03:00:00Z",
            False,
            id="ticks missed while nobody looked count as the newest one",
        ),
        pytest.param(
            deployment(ModelDeploymentStatus(training=training(KEY)), spec=spec(schedule="0 3 * * 1")),
            datetime(2026, 12, 9, 0, 0, 0, tzinfo=UTC),
            "first training",
            True,
            id="a training that runs is not begun again by a tick",
        ),
        pytest.param(
            deployment(SETTLED, train_requested="2026-11-21"),
            NOW,
            "requested by annotation",
            False,
            id="a new annotation asks for another training",
        ),
        pytest.param(
            deployment(
                ModelDeploymentStatus(
                    training=training(
                        KEY, phase=TrainingPhase.SUCCEEDED, start_time="2026-11-16T12:00:00Z", requested="yesterday"
                    )
                )
            ),
            NOW,
            "first training",
            True,
            id="an annotation that was taken away asks for nothing",
        ),
        pytest.param(
            deployment(SETTLED, spec=spec(folds=3)), NOW, "spec changed", False, id="a changed spec trains again"
        ),
    ],
)
def test_which_training_is_wanted(seen: Deployment, now: datetime, cause: str, same_key: bool) -> None:
    found = wanted(seen, now)
    assert (found.cause, found.key == KEY) == (cause, same_key)


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        pytest.param("0 3 * * 1", None, id="weekly is fine"),
        pytest.param("61 * * * *", "Bad minute", id="minute 61"),
        pytest.param("* * * * *", "comes more often than every 5 minutes", id="every minute"),
        pytest.param("0 0 31 2 *", "Bad day-of-month", id="the 31st of February"),
    ],
)
def test_what_is_wrong_with_a_schedule(schedule: str, problem: str | None) -> None:
    found = schedule_problem(schedule)
    assert (found is None) if problem is None else (found is not None and problem in found)


def test_the_first_start_stays_the_start_when_an_attempt_is_repeated() -> None:
    assert step(trained(), WANT, None, CONFIG, NOW).status.start_time == EARLIER
