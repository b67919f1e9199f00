"""Serving: which version should answer, and what its roll-out has come to.

The version to be served is derived from the history on each pass: the newest candidate, else the one
that serves. A candidate serves when the endpoint itself gives its digest and answers the golden
request right; one that fails is marked so, and the derivation returns to the last good one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from refit.api import jobs
from refit.api.deploymentstatus import (
    HISTORY_LENGTH,
    Artifact,
    ServingStatus,
    TrainingStatus,
    VersionRecord,
    VersionState,
)
from refit.api.reasons import Reason
from refit.api.results import Registered, TrainingResult
from refit.api.times import moment, stamp
from refit.core.observed import Config, Proof, ServiceSeen

History = tuple[VersionRecord, ...]


def desired(history: Iterable[VersionRecord]) -> VersionRecord | None:
    """The version that should answer."""
    by_state = {record.state: record for record in sorted(history, key=lambda record: record.version)}
    return by_state.get(VersionState.CANDIDATE) or by_state.get(VersionState.SERVING)


def candidate_of(history: History) -> VersionRecord | None:
    """The version that is next in line."""
    record = desired(history)
    return record if record is not None and record.state == VersionState.CANDIDATE else None


def with_result(
    history: History,
    training: TrainingStatus,
    result: TrainingResult,
    registered: Registered,
    now: datetime,
    *,
    wait: bool = False,
) -> History:
    """The history with the newly registered version as its one candidate; or kept aside, if it is to `wait`.

    A training that was taken back may report the very version that serves: it has proved itself already.
    """
    others = tuple(
        _passed_over(other) if other.state == VersionState.CANDIDATE and not wait else other
        for other in history
        if other.version != registered.version
    )
    same = next((other for other in history if other.version == registered.version), None)
    if same is not None and (same.state, same.artifact.sha256) == (VersionState.SERVING, registered.artifact_sha256):
        return _bounded((*others, same.model_copy(update={"key": training.key, "spec_hash": training.spec_hash})))
    record = VersionRecord(
        version=registered.version,
        state=VersionState.RETIRED if wait else VersionState.CANDIDATE,
        key=training.key,
        spec_hash=training.spec_hash,
        artifact=Artifact(uri=registered.artifact_uri, sha256=registered.artifact_sha256),
        golden=Artifact(uri=registered.golden_uri, sha256=registered.golden_sha256),
        profile=_profile(registered),
        algorithm=result.algorithm or "",
        metric=result.metric,
        value=result.value or "0",
        run_id=result.run_id or "",
        data_sha256=result.data_sha256 or "0" * 64,
        reason=training.cause,
        message="waits for Promote" if wait else "",
        request=training.request,
        create_time=stamp(now),
    )
    return _bounded((*others, record))


def judged(history: History, seen: ServiceSeen, proof: Proof | None, config: Config, now: datetime) -> History:
    """The history after looking at the candidate's roll-out: unchanged, proved, or failed."""
    candidate = candidate_of(history)
    if candidate is None:
        return history
    if candidate.rollout_time is None:
        return replaced(history, begun(candidate, now))
    found = verdict(history, seen, proof, config, now)
    if found is None:
        return history
    return _promoted(history, candidate, now) if found.reason is None else failed(history, candidate, found, now)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a roll-out has come to: proved, or failed for a reason."""

    reason: Reason | None = None
    message: str = ""


PROVED = Verdict()


def verdict(history: History, seen: ServiceSeen, proof: Proof | None, config: Config, now: datetime) -> Verdict | None:
    """What the candidate's pods have come to, wherever they are; None while that is open."""
    candidate, rollout = candidate_of(history), seen.rollout
    if candidate is None:
        return None
    if rollout is not None and rollout.artifact_sha256 == candidate.artifact.sha256:
        refusal = _refusal(rollout.pod_message)
        if refusal is not None:
            return Verdict(reason=refusal, message=rollout.pod_message)
        if rollout.complete and proof is not None and not proof.problem:
            if proof.sha256 == candidate.artifact.sha256 and proof.golden:
                return PROVED
            # A pod on its way out may be reached for some seconds after all of the new ones are ready.
            if _is_of_another(history, candidate, proof.sha256) and not late(candidate, config, now):
                return None
            reason = Reason.GOLDEN_MISMATCH if proof.sha256 == candidate.artifact.sha256 else Reason.DIGEST_MISMATCH
            return Verdict(reason=reason, message=_contradiction(candidate, proof))
    if late(candidate, config, now):
        return Verdict(reason=Reason.ROLLOUT_TIMEOUT, message=_waiting_for(seen, proof))
    return None


def _is_of_another(history: History, candidate: VersionRecord, sha256: str) -> bool:
    return any(record.artifact.sha256 == sha256 for record in history if record.version != candidate.version)


def late(candidate: VersionRecord, config: Config, now: datetime) -> bool:
    """Whether the candidate's roll-out has had its time."""
    return candidate.rollout_time is not None and now - moment(candidate.rollout_time) > config.rollout_timeout


def serving_status(history: History) -> ServingStatus | None:
    """The version that was proved, for status."""
    record = served(history)
    if record is None or record.since is None:
        return None
    return ServingStatus(version=record.version, artifact=record.artifact, since=record.since)


def served(history: History) -> VersionRecord | None:
    """The version that answers."""
    return next((record for record in history if record.state == VersionState.SERVING), None)


def _profile(registered: Registered) -> Artifact | None:
    """Where the version's profile is; a trainer of an older Refit made none."""
    if registered.profile_uri is None or registered.profile_sha256 is None:
        return None
    return Artifact(uri=registered.profile_uri, sha256=registered.profile_sha256)


def _passed_over(record: VersionRecord) -> VersionRecord:
    return record.model_copy(update={"state": VersionState.RETIRED, "message": "a newer version came before it served"})


def _promoted(history: History, candidate: VersionRecord, now: datetime) -> History:
    retired = tuple(
        record.model_copy(update={"state": VersionState.RETIRED, "until": stamp(now)})
        if record.state == VersionState.SERVING
        else record
        for record in history
    )
    return replaced(
        retired, candidate.model_copy(update={"state": VersionState.SERVING, "since": stamp(now), "until": None})
    )


def failed(history: History, candidate: VersionRecord, found: Verdict, now: datetime) -> History:
    """The history in which the candidate failed."""
    update = {
        "state": VersionState.FAILED,
        "reason": found.reason,
        "message": found.message[:1024],
        "until": stamp(now),
    }
    return replaced(history, candidate.model_copy(update=update))


def begun(candidate: VersionRecord, now: datetime) -> VersionRecord:
    """The candidate whose pods are made from now on: so long they may take."""
    return candidate.model_copy(update={"rollout_time": stamp(now)})


def _refusal(pod_message: str) -> Reason | None:
    word = pod_message.split(":", 1)[0].strip()
    return {
        jobs.DIGEST_MISMATCH: Reason.DIGEST_MISMATCH,
        jobs.SIGNATURE_MISMATCH: Reason.SIGNATURE_MISMATCH,
    }.get(word)


def _contradiction(candidate: VersionRecord, proof: Proof) -> str:
    if proof.sha256 != candidate.artifact.sha256:
        return f"the endpoint serves {proof.sha256[:12] or 'nothing'}, wanted {candidate.artifact.sha256[:12]}"
    return "the endpoint answers the golden request otherwise than the trained model did"


def _waiting_for(seen: ServiceSeen, proof: Proof | None) -> str:
    rollout = seen.rollout
    if rollout is not None and (rollout.pod_message or rollout.pod_waiting):
        return f"not ready in time: {rollout.pod_message or rollout.pod_waiting}"
    if proof is not None and proof.problem:
        return f"not proved in time: {proof.problem}"
    return "the predictor's pods were not ready in time; see: kubectl describe pods -l refit.dev/role=predictor"


def replaced(history: History, record: VersionRecord) -> History:
    """The history with that record in place of the one of its version."""
    return tuple(record if other.version == record.version else other for other in history)


def _bounded(history: History) -> History:
    """The newest versions, and whatever serves, within the length that status may have."""
    ordered = sorted(history, key=lambda record: record.version)
    surplus = len(ordered) - HISTORY_LENGTH
    kept = []
    for record in ordered:
        if surplus > 0 and record.state in (VersionState.RETIRED, VersionState.FAILED):
            surplus -= 1
        else:
            kept.append(record)
    return tuple(kept)
