"""Canary: a new version gets a share of the requests first, and all of them only if it answers those well.

A candidate is proved beside what serves, in an InferenceService of its own; the graph gives it its share; the gate is
looked at until the time is over; the main InferenceService takes it, and the graph gives everything to that one again.
How far this has come stands in status. Nothing is created for a candidate before status says that its canary began,
so that there is nothing that a later pass would not know of.

The graph stays once it is there, since clients hold its address: also an abort loses no request. Without the
capability the roll-out goes the direct way, and the condition says what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from refit.api import jobs, meta
from refit.api.conditions import ConditionStatus
from refit.api.deploymentstatus import CanaryPhase, CanaryStatus, VersionRecord, VersionState
from refit.api.modeldeployment import Canary
from refit.api.reasons import ConditionType, Reason
from refit.core import gate, serving, splitter
from refit.core.monitoring import Told
from refit.core.observed import CanarySeen, Config, Deployment, Manifest, Observed
from refit.core.serving import History

ASIDE = (CanaryPhase.STARTING, CanaryPhase.SPLITTING)
"""While it is so, the main InferenceService stays as it is."""
ACTIVE = (*ASIDE, CanaryPhase.PROMOTING)
SHARING = (CanaryPhase.SPLITTING, CanaryPhase.PROMOTING)
SOON, SOONEST, LATEST = timedelta(milliseconds=50), timedelta(seconds=2), timedelta(seconds=30)
"""A gate is looked at about sixty times, within the last two."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What to do: the history and the canary's status, what the main InferenceService and the candidate's own should
    serve, percent of the requests for the candidate if there should be a graph, and whether the candidate's own goes.

    `url` is the graph's address, if it can be asked.
    """

    history: History
    status: CanaryStatus | None = None
    main: VersionRecord | None = None
    beside: VersionRecord | None = None
    weight: int | None = None
    remove: bool = False
    url: str | None = None
    told: tuple[Told, ...] = ()
    again_after: timedelta | None = None


def concerned(deployment: Deployment) -> bool:
    """Whether there is, or may be, anything of a canary to look at."""
    return deployment.spec.serving.canary is not None or deployment.status.canary is not None


def main_version(history: History, status: CanaryStatus | None) -> VersionRecord | None:
    """The version that the main InferenceService should serve."""
    candidate = serving.candidate_of(history)
    if candidate is not None and status is not None and status.phase in ASIDE and status.version == candidate.version:
        return serving.served(history)
    return serving.desired(history)


def step(seen: Observed, history: History, config: Config, now: datetime) -> Step:
    """The next step of the canary, if there is to be one."""
    deployment, look = seen.deployment, seen.canary
    if look is None:
        return Step(history=history, main=serving.desired(history))
    problem = _problem(seen, look, config, now)
    declared, status = deployment.spec.serving.canary, _closed(deployment.status.canary, history)
    candidate = serving.candidate_of(history)
    if candidate is not None:
        known = status if status is not None and status.version == candidate.version else None
        if known is not None and known.phase in ACTIVE:
            scene = gate.Scene(
                candidate=candidate, look=look, declared=declared, problem=problem, config=config, now=now
            )
            history, status = gate.onward(history, known, scene)
        elif known is None or known.phase != CanaryPhase.SKIPPED:
            status = _first(history, candidate, declared, problem) or status
    active = status is not None and status.phase in ACTIVE
    candidate = serving.candidate_of(history) if active else None
    standing = look.service.manifest if not look.service.terminating else None
    other = standing is not None and (candidate is None or _version(standing) != candidate.version)
    gone = look.graph is None and look.service.manifest is None
    url = _url(seen, look)
    return Step(
        history=history,
        status=None if declared is None and gone and not active else status,
        main=main_version(history, status),
        beside=candidate if _stored(deployment, candidate) and not other and not look.service.terminating else None,
        weight=_weight(seen, look, history, status),
        remove=other and not look.reaches,
        url=url,
        told=_told(declared, status, history, look, problem, url),
        again_after=_again(declared, status, seen, other=other),
    )


def rolling(status: CanaryStatus | None) -> str:
    """How the roll-out goes, while it is a canary."""
    return status.message if status is not None and status.phase in ACTIVE else ""


def _first(history: History, candidate: VersionRecord, declared: Canary | None, problem: str) -> CanaryStatus | None:
    """The beginning of a canary. A version that served before needs none: the way back must not be a long one."""
    if declared is None or candidate.since is not None or serving.served(history) is None:
        return None
    if problem:
        return gate.skipped(candidate.version, problem)
    message = f"version {candidate.version} starts beside what serves"
    return CanaryStatus(version=candidate.version, phase=CanaryPhase.STARTING, message=message)


def _closed(status: CanaryStatus | None, history: History) -> CanaryStatus | None:
    """What status says, if that of which it says so has ended meanwhile."""
    if status is None or status.phase not in ACTIVE:
        return status
    record = next((found for found in history if found.version == status.version), None)
    if record is None or record.state == VersionState.RETIRED:
        return gate.ended(status, CanaryPhase.ABORTED, f"version {status.version} made way for another one")
    if record.state == VersionState.SERVING:
        message = f"version {status.version} passed with {gate.counts(status)} and serves alone"
        return gate.ended(status, CanaryPhase.PASSED, message)
    if record.state == VersionState.FAILED:
        return gate.ended(status, CanaryPhase.FAILED, f"version {status.version}: {record.message}")
    return status


def _problem(seen: Observed, look: CanarySeen, config: Config, now: datetime) -> str:
    """What the cluster lacks for a canary; empty if nothing, or if that is not known yet."""
    if not look.installed:
        return (
            "the cluster does not know serving.kserve.io/v1alpha1 InferenceGraph; "
            "install KServe's CRDs, and the image of its router"
        )
    if look.foreign or look.service.foreign:
        return look.foreign or look.service.foreign
    router = look.router
    if router is not None and router.available == 0 and router.refused:
        return f"KServe's router may not run here: {router.refused}"
    old = look.graph_since is not None and now - look.graph_since > config.rollout_timeout
    if old and (router is None or router.available == 0) and _url(seen, look) is None:
        waiting = f" ({router.waiting})" if router is not None and router.waiting else ""
        return (
            f"KServe's router is not ready{waiting}; see to it that the image that `router` names in the ConfigMap "
            "inferenceservice-config can be pulled"
        )
    return ""


def _url(seen: Observed, look: CanarySeen) -> str | None:
    """The graph's address, from when its router was ready for the first time; a pause of the router is no reason
    to send clients elsewhere."""
    deployment = seen.deployment
    if look.graph is None or not seen.service.url:
        return None
    url = splitter.beside(seen.service.url, deployment.name, meta.router_name(deployment.name))
    ready = look.router is not None and look.router.available > 0
    return url if ready or deployment.status.url == url else None


def _weight(seen: Observed, look: CanarySeen, history: History, status: CanaryStatus | None) -> int | None:
    declared = seen.deployment.spec.serving.canary
    wanted = look.graph is not None or (declared is not None and look.installed and not look.foreign)
    if not wanted or not seen.service.url or serving.served(history) is None:
        return None
    return status.weight if status is not None and status.phase in SHARING else 0


def _stored(deployment: Deployment, candidate: VersionRecord | None) -> bool:
    stored = deployment.status.canary
    return candidate is not None and stored is not None and stored.version == candidate.version


def _version(manifest: Manifest) -> int:
    environment = manifest["spec"]["predictor"]["model"].get("env") or []
    return next((int(item["value"]) for item in environment if item["name"] == jobs.MODEL_VERSION), 0)


TOLD = {
    CanaryPhase.PASSED: (ConditionStatus.TRUE, Reason.CANARY_PASSED),
    CanaryPhase.FAILED: (ConditionStatus.FALSE, Reason.CANARY_FAILED),
    CanaryPhase.ABORTED: (ConditionStatus.FALSE, Reason.CANARY_ABORTED),
    **dict.fromkeys(ACTIVE, (ConditionStatus.TRUE, Reason.CANARYING)),
}


def _told(
    declared: Canary | None,
    status: CanaryStatus | None,
    history: History,
    look: CanarySeen,
    problem: str,
    url: str | None,
) -> tuple[Told, ...]:
    """The condition; none where no canary is declared, but for one that was aborted, until there is a newer version."""
    if declared is None:
        newest = max((record.version for record in history), default=0)
        if status is None or status.phase != CanaryPhase.ABORTED or status.version != newest:
            return ()
        return ((ConditionType.CANARY, *TOLD[status.phase], status.message),)
    if status is not None and status.phase in ACTIVE:
        return ((ConditionType.CANARY, *TOLD[status.phase], status.message),)
    if problem:
        message = f"new versions are rolled out without a canary: {problem}"
        return ((ConditionType.CANARY, ConditionStatus.FALSE, Reason.CANARY_UNAVAILABLE, message),)
    if status is not None and status.phase in TOLD:
        return ((ConditionType.CANARY, *TOLD[status.phase], status.message),)
    if url is None:
        waiting = "no version serves yet" if look.graph is None else "KServe's router is not ready yet"
        return ((ConditionType.CANARY, ConditionStatus.UNKNOWN, Reason.CANARY_UNAVAILABLE, waiting),)
    message = f"a new version gets {declared.percent} % of the requests for {declared.seconds} s"
    before = f"; {status.message}" if status is not None else ""
    return ((ConditionType.CANARY, ConditionStatus.TRUE, Reason.CANARY_READY, f"{message}{before}"),)


def _again(declared: Canary | None, status: CanaryStatus | None, seen: Observed, *, other: bool) -> timedelta | None:
    if other:
        return SOONEST
    if declared is None or status is None or status.phase not in ACTIVE:
        return None
    if status.phase != CanaryPhase.SPLITTING:
        return SOONEST if seen.deployment.status.canary == status else SOON
    if status.since is None:
        return SOONEST
    return min(max(timedelta(seconds=declared.seconds) / 60, SOONEST), LATEST)
