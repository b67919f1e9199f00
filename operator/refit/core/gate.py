"""The gate: how far the canary of a version has come, and whether it may go on.

The candidate's own pods are asked what they answered, as they count it for Prometheus; so a gate needs no Prometheus.
An error is any answer that is none of 2xx: a version that refuses what the one before took is as broken as one that
fails. What never reached a pod is in no count, so a pod that ends or is not there fails the gate as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from refit.api.deploymentstatus import CanaryPhase, CanaryStatus, VersionRecord, VersionState
from refit.api.modeldeployment import Canary
from refit.api.reasons import Reason
from refit.api.times import moment, stamp
from refit.core import serving
from refit.core.observed import CanarySeen, Config, Traffic
from refit.core.serving import History

Onward = tuple[History, CanaryStatus]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a candidate is judged by; `problem` says what the cluster lacks for a canary."""

    candidate: VersionRecord
    look: CanarySeen
    declared: Canary | None
    problem: str
    config: Config
    now: datetime


def onward(history: History, status: CanaryStatus, scene: Scene) -> Onward:
    """The next step of a canary that has not ended."""
    if scene.declared is None:
        return _aborted(history, status, scene)
    if status.phase == CanaryPhase.STARTING:
        return _started(history, status, scene, scene.declared)
    if status.phase == CanaryPhase.SPLITTING:
        return _split(history, status, scene, scene.declared)
    return history, status


def skipped(version: int, problem: str) -> CanaryStatus:
    """Said of a version that went the direct way."""
    message = f"version {version} is rolled out without a canary: {problem}"
    return CanaryStatus(version=version, phase=CanaryPhase.SKIPPED, message=message[:1024])


def ended(status: CanaryStatus, phase: CanaryPhase, message: str) -> CanaryStatus:
    """The same canary, ended so."""
    return status.model_copy(update={"phase": phase, "weight": 0, "message": message[:1024]})


def _aborted(history: History, status: CanaryStatus, scene: Scene) -> Onward:
    update = {
        "state": VersionState.RETIRED,
        "reason": Reason.CANARY_ABORTED,
        "message": "its canary was aborted: spec.serving.canary was taken away",
        "until": stamp(scene.now),
    }
    message = f"version {status.version} was taken back: spec.serving.canary was taken away"
    retired = serving.replaced(history, scene.candidate.model_copy(update=update))
    return retired, ended(status, CanaryPhase.ABORTED, message)


def _failed(history: History, status: CanaryStatus, found: serving.Verdict, scene: Scene) -> Onward:
    told = ended(status, CanaryPhase.FAILED, f"version {status.version}: {found.message}")
    return serving.failed(history, scene.candidate, found, scene.now), told


def _started(history: History, status: CanaryStatus, scene: Scene, declared: Canary) -> Onward:
    """Its pods are proved as any version's are, and the router is there; or one of them takes too long."""
    candidate = scene.candidate
    if scene.problem:
        return history, skipped(status.version, scene.problem)
    if candidate.rollout_time is None:
        return serving.replaced(history, serving.begun(candidate, scene.now)), status
    found = serving.verdict(history, scene.look.service, scene.look.proof, scene.config, scene.now)
    if found is None:
        return history, status
    if found.reason is not None:
        return _failed(history, status, found, scene)
    router = scene.look.router
    if router is None or not router.complete:
        if serving.late(candidate, scene.config, scene.now):
            return history, skipped(status.version, "KServe's router was not ready in time")
        return history, status.model_copy(update={"message": f"version {status.version} waits for KServe's router"})
    message = f"version {status.version} is about to get {declared.percent} % of the requests"
    update = {"phase": CanaryPhase.SPLITTING, "weight": declared.percent, "message": message}
    return history, status.model_copy(update=update)


def _split(history: History, status: CanaryStatus, scene: Scene, declared: Canary) -> Onward:
    """It may fail at any time, and passes when its time is over."""
    traffic, router = scene.look.traffic or Traffic(problem="its pods were not asked yet"), scene.look.router
    since = status.since
    if since is None and router is not None and router.complete and router.weight == declared.percent:
        since = stamp(scene.now)
    status = status.model_copy(update={"weight": declared.percent, "since": since, **_counted(status, traffic)})
    trouble = scene.problem or _trouble(status, scene, traffic, declared)
    if trouble:
        return _failed(history, status, serving.Verdict(reason=Reason.CANARY_FAILED, message=trouble), scene)
    missing = _missing(status, declared, traffic, scene.now)
    if missing:
        share = f"version {status.version} gets {declared.percent} % of the requests: {counts(status)} so far"
        return history, status.model_copy(update={"message": f"{share}; {missing}"[:1024]})
    message = f"version {status.version} passed with {counts(status)} and takes over"
    promoted = serving.replaced(history, serving.begun(scene.candidate, scene.now))
    return promoted, status.model_copy(update={"phase": CanaryPhase.PROMOTING, "message": message})


def counts(status: CanaryStatus) -> str:
    """What was counted, for people."""
    return f"{status.errors} errors in {status.requests} requests"


def _counted(status: CanaryStatus, traffic: Traffic) -> dict[str, int]:
    """What was counted never becomes less, though a pod that goes takes its counts along."""
    if traffic.problem:
        return {}
    # The router needs seconds to learn of the candidate; what was asked before was asked by the operator itself.
    probes = status.probes if status.probes is not None else traffic.requests - traffic.errors
    return {
        "probes": probes,
        "requests": max(status.requests, traffic.requests - probes),
        "errors": max(status.errors, traffic.errors),
    }


def _trouble(status: CanaryStatus, scene: Scene, traffic: Traffic, declared: Canary) -> str:
    rollout, most = scene.look.service.rollout, declared.max_error_percent
    if status.requests >= declared.min_requests and status.errors * 100 > status.requests * most:
        return f"{counts(status)} are more than spec.serving.canary.maxErrorPercent {most} allows"
    if traffic.restarted:
        return f"a pod of it ended: {traffic.restarted}"
    if rollout is None or rollout.available == 0:
        return (
            f"none of its pods is ready any more{f': {rollout.pod_waiting}' if rollout and rollout.pod_waiting else ''}"
        )
    return ""


def _missing(status: CanaryStatus, declared: Canary, traffic: Traffic, now: datetime) -> str:
    """What it takes until the candidate has passed."""
    if status.since is None:
        return "the router does not share them out yet"
    end = moment(status.since) + timedelta(seconds=declared.seconds)
    if now < end:
        return f"watched until {stamp(end)}"
    if traffic.problem:
        return f"what it answers is not known: {traffic.problem}"
    if status.requests < declared.min_requests:
        return f"{declared.min_requests - status.requests} more are needed to judge it"
    return ""
