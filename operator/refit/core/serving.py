"""Serving: which version should answer, and what its roll-out has come to.

The version to be served is derived from the history on each pass: the newest candidate, else the one
that serves. A candidate serves when the endpoint itself gives its digest and answers the golden
request right; one that fails is marked so, and the derivation returns to the last good one.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    candidate = desired(history)
    if candidate is None or candidate.state != VersionState.CANDIDATE:
        return history
    if candidate.rollout_time is None:
        return _replaced(history, candidate.model_copy(update={"rollout_time": stamp(now)}))
    rollout = seen.rollout
    ours = rollout is not None and rollout.artifact_sha256 == candidate.artifact.sha256
    if ours and rollout is not None:
        refusal = _refusal(rollout.pod_message)
        if refusal is not None:
            return _replaced(history, _failed(candidate, refusal, rollout.pod_message, now))
        if rollout.complete and proof is not None and not proof.problem:
            if proof.sha256 == candidate.artifact.sha256 and proof.golden:
                return _promoted(history, candidate, now)
            # A pod on its way out may be reached for some seconds after all of the new ones are ready.
            if _is_of_another(history, candidate, proof.sha256) and not _late(candidate, config, now):
                return history
            reason = Reason.GOLDEN_MISMATCH if proof.sha256 == candidate.artifact.sha256 else Reason.DIGEST_MISMATCH
            return _replaced(history, _failed(candidate, reason, _contradiction(candidate, proof), now))
    if _late(candidate, config, now):
        return _replaced(history, _failed(candidate, Reason.ROLLOUT_TIMEOUT, _waiting_for(seen, proof), now))
    return history


def _is_of_another(history: History, candidate: VersionRecord, sha256: str) -> bool:
    return any(record.artifact.sha256 == sha256 for record in history if record.version != candidate.version)


def _late(candidate: VersionRecord, config: Config, now: datetime) -> bool:
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
    return _replaced(
        retired, candidate.model_copy(update={"state": VersionState.SERVING, "since": stamp(now), "until": None})
    )


def _failed(candidate: VersionRecord, reason: Reason, message: str, now: datetime) -> VersionRecord:
    return candidate.model_copy(
        update={"state": VersionState.FAILED, "reason": reason, "message": message[:1024], "until": stamp(now)}
    )


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


def _replaced(history: History, record: VersionRecord) -> History:
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
