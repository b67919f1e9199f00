"""Reports: which there are, and what a ModelDeployment's status says of each."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from refit.api.base import ATOMIC, ApiModel, Choice, Line, ObjectName, Sha256, Text, Time, Uri, Word

KEPT = 5
"""Reports of a kind that a status tells of; older ones stay in MLflow."""


class ReportKind(Choice):
    """A version became the champion; inputs drifted; a request came to an end; a request waits for a person."""

    DEPLOYMENT = "Deployment"
    DRIFT = "Drift"
    INCIDENT = "Incident"
    APPROVAL = "Approval"


REPORTS_LENGTH = KEPT * len(ReportKind)


class ReportPhase(Choice):
    """Of one report: its Job runs; it is stored; or it could not be made, and may be tried again."""

    RUNNING = "Running"
    STORED = "Stored"
    FAILED = "Failed"


class Report(ApiModel):
    """One report: what it is of, and where it is.

    `key` is computed from its cause and `time` is when that was, so one cause has one report. `job` is there as long
    as the Job may be. `uri` is the PDF's; the same page as HTML is beside it.
    """

    key: Word
    kind: ReportKind
    phase: ReportPhase
    time: Time
    about: Line = ""
    version: Annotated[int, Field(ge=1)] | None = None
    request: ObjectName | None = None
    attempt: Annotated[int, Field(ge=1, le=99)] = 1
    tried: Time
    job: ObjectName | None = None
    uri: Uri | None = None
    sha256: Sha256 | None = None
    bytes_: Annotated[Annotated[int, Field(ge=0)] | None, Field(alias="bytes")] = None
    pages: Annotated[int, Field(ge=0)] | None = None
    message: Text = ""

    model_config = ConfigDict(json_schema_extra=ATOMIC)
