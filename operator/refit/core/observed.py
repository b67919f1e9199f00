"""Observed: one ModelDeployment and everything that bears on it, read in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import cached_property
from typing import Any

from refit.api import meta
from refit.api.base import ApiModel
from refit.api.deploymentstatus import ModelDeploymentStatus
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.remediationrequest import CLOSED, RemediationRequestSpec, RemediationRequestStatus

Manifest = dict[str, Any]
"""A Kubernetes object as plain data; only builders and the gateway look inside."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the installation decides for every ModelDeployment."""

    trainer_image: str
    predictor_image: str
    tracking_uri: str
    monitor_image: str = ""
    report_image: str = ""
    cluster_name: str = ""
    collector_url: str = ""
    prometheus_url: str = ""
    identity: str = "system:serviceaccount:refit-system:refit-operator"
    training_attempts: int = 3
    rollout_timeout: timedelta = timedelta(minutes=5)
    resync: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A ModelDeployment, parsed."""

    name: str
    namespace: str
    uid: str
    generation: int
    resource_version: str
    created: datetime
    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus
    train_requested: str = ""
    measure_requested: str = ""

    @cached_property
    def spec_hash(self) -> str:
        """Hash of just those fields of which a change means another model."""
        spec = self.spec
        return meta.short_hash(
            {
                "uid": self.uid,
                "task": spec.task,
                "data": _declared(spec.data),
                "candidates": [_declared(candidate) for candidate in spec.training.candidates],
                "folds": spec.training.folds,
                "selection": _declared(spec.training.selection),
            }
        )

    def owner(self) -> Manifest:
        """The owner reference that makes a child go when the ModelDeployment goes."""
        return {
            "apiVersion": meta.API_VERSION,
            "kind": meta.DEPLOYMENT_KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def _declared(part: ApiModel) -> dict[str, Any]:
    """What was declared, without defaults: a field that a later release adds must not train every model again."""
    return part.model_dump(mode="json", by_alias=True, exclude_defaults=True)


class JobState(Enum):
    ACTIVE = auto()
    SUCCEEDED = auto()
    FAILED = auto()


@dataclass(frozen=True, kw_only=True)
class JobSeen:
    """A training Job: its state, why it failed, and what its container said last."""

    name: str
    state: JobState
    failure: str = ""
    message: str | None = None
    exit_code: int | None = None
    waiting: str = ""


@dataclass(frozen=True, kw_only=True)
class RolloutSeen:
    """The predictor's Deployment: which artifact its newest template serves, and how far that got."""

    artifact_sha256: str
    complete: bool
    available: int
    restarted_for: str = ""
    pod_message: str = ""
    pod_waiting: str = ""


@dataclass(frozen=True, kw_only=True)
class ServiceSeen:
    """The InferenceService of a ModelDeployment and its ServingRuntime, as they stand."""

    manifest: Manifest | None = None
    runtime: Manifest | None = None
    foreign: str = ""
    terminating: bool = False
    url: str = ""
    rollout: RolloutSeen | None = None


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the endpoint itself said: the digest it serves, and whether the golden request was answered right."""

    sha256: str = ""
    golden: bool = False
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class RouterSeen:
    """The Deployment of KServe's router: percent of the requests that its newest template gives the candidate, how far
    that got, and what keeps its pods from being made or started."""

    weight: int
    complete: bool
    available: int
    refused: str = ""
    waiting: str = ""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What the pods of a canary have counted: their answers, and how many of them were errors.

    `restarted` are the last words of a container that had to start again, and `problem` why nobody could be asked.
    """

    requests: int = 0
    errors: int = 0
    restarted: str = ""
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What a pod of a predictor counts: seconds of processor time, the sum of its latencies, and how many requests had
    a latency up to each bound and above the one before."""

    busy_seconds: float
    latency_seconds: float
    latencies: tuple[tuple[float, int], ...]

    @property
    def requests(self) -> int:
        """Requests that got an answer."""
        return sum(number for _, number in self.latencies)

    def since(self, before: Counted) -> Counted | None:
        """What it has counted since then; None if it began anew."""
        earlier = dict(before.latencies)
        latencies = tuple((bound, number - earlier.get(bound, 0)) for bound, number in self.latencies)
        if self.busy_seconds < before.busy_seconds or any(number < 0 for _, number in latencies):
            return None
        return Counted(
            busy_seconds=self.busy_seconds - before.busy_seconds,
            latency_seconds=self.latency_seconds - before.latency_seconds,
            latencies=latencies,
        )


@dataclass(frozen=True, kw_only=True)
class Load:
    """What each of a model's pods counted from one moment to another, if they were the same pods at both.

    `problem` is why nothing is known.
    """

    since: datetime
    until: datetime
    pods: tuple[Counted, ...] = ()
    problem: str = ""

    @property
    def span(self) -> timedelta:
        return self.until - self.since


@dataclass(frozen=True, kw_only=True)
class CanarySeen:
    """What there is of a canary: the InferenceGraph, its router, the candidate's InferenceService and its traffic.

    `reaches` is whether some pod of the router, be it one on its way out, may still send requests to the candidate.
    """

    installed: bool = True
    graph: Manifest | None = None
    graph_since: datetime | None = None
    foreign: str = ""
    router: RouterSeen | None = None
    reaches: bool = False
    service: ServiceSeen = ServiceSeen()
    proof: Proof | None = None
    traffic: Traffic | None = None


@dataclass(frozen=True, kw_only=True)
class AlertSeen:
    """An alert that fires for this model, as the intake stored it."""

    name: str
    fingerprint: str
    starts_at: str
    severity: str = ""
    flapping: bool = False
    clock_suspect: bool = False


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the ledger holds of a request: the digest that was to be carried out, and whether it came to an end."""

    intent: str | None = None
    ended: bool = False


@dataclass(frozen=True, kw_only=True)
class RequestSeen:
    """A RemediationRequest about this model, parsed.

    `confirmed` are those who approved and still may, as the API server says now; `job` is the Job
    that estimates what the action would bring; `trace` is the id of the trace that it belongs to.
    """

    name: str
    uid: str
    generation: int
    resource_version: str
    created: datetime
    ours: bool
    spec: RemediationRequestSpec
    status: RemediationRequestStatus
    confirmed: frozenset[str] = frozenset()
    standing: Standing = Standing()
    job: JobSeen | None = None
    trace: str = ""

    @property
    def open(self) -> bool:
        """Whether something may still come of it."""
        return self.status.phase not in CLOSED


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Everything `plan` may look at. `load` is there where somebody waits to know what the pods count.

    `guard`, `switch` and `ledger` are empty where all is well; else they say what is wrong with the approval
    guard, who stopped the line and why, and what is wrong with the ledger.
    """

    deployment: Deployment
    job: JobSeen | None = None
    measurement: JobSeen | None = None
    report: JobSeen | None = None
    requests: tuple[RequestSeen, ...] = ()
    alerts: tuple[AlertSeen, ...] = ()
    flooded: bool = False
    service: ServiceSeen = field(default_factory=ServiceSeen)
    guard: str = ""
    guard_version: str = ""
    switch: str = ""
    ledger: str = ""
    serving_installed: bool = True
    proof: Proof | None = None
    canary: CanarySeen | None = None
    load: Load | None = None
