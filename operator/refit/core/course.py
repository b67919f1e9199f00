"""Course: how an action that was begun stands, and what it is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from refit.api.deploymentstatus import ModelDeploymentStatus
from refit.api.outcome import Result
from refit.api.reasons import Reason
from refit.core.observed import Config, Deployment, ServiceSeen

Problem = tuple[Reason, str]


class Course(Enum):
    """How an action that was begun stands."""

    RUNNING = auto()
    DONE = auto()
    FAILED = auto()


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The course of an action, and once it is done what came of it."""

    course: Course
    message: str
    result: Result | None = None
    after: str = ""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What progress is judged by: the status as this pass will write it, and what was seen of the service."""

    deployment: Deployment
    status: ModelDeploymentStatus
    service: ServiceSeen
    config: Config
    now: datetime
