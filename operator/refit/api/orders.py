"""What the operator orders of a monitor Job: one measurement of one version over one window."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from refit.api.base import ApiModel, Sha256, Time, Uri, Word


class MeasurementOrder(ApiModel):
    """One measurement. `key` is also its id in the collector, so that a Job that runs twice measures once.

    The window is [since, until). `interval_seconds` is how often it is measured, for rules about staleness.
    """

    key: Word
    version: Annotated[int, Field(ge=1)]
    since: Time
    until: Time
    interval_seconds: Annotated[int, Field(ge=1)]
    profile_uri: Uri
    profile_sha256: Sha256
    run_id: Word
