"""Freeze: times in which nothing is carried out, and the switch that stops the line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from refit.api.remediation import FreezeWindow, Remediation
from refit.api.times import stamp


def frozen(remediation: Remediation, switch: str, now: datetime) -> str:
    """Why nothing may be carried out now; empty if it may."""
    if switch:
        return switch
    for window in remediation.freeze_windows:
        began = _tick_before(window, now)
        end = began + timedelta(seconds=window.duration_seconds) if began is not None else now
        if end > now:
            return f"spec.remediation.freezeWindows {window.schedule!r}: until {stamp(end)}"
    return ""


def windows_problem(remediation: Remediation | None) -> str | None:
    """What is wrong with a window's cron line, or None."""
    for window in remediation.freeze_windows if remediation is not None else ():
        try:
            next(CronSim(window.schedule, datetime(2024, 1, 1, tzinfo=UTC)))
        except (CronSimError, StopIteration) as error:
            return (
                f"spec.remediation.freezeWindows schedule {window.schedule!r}: {error or 'never comes'}; "
                "five fields: minute hour day month weekday"
            )
    return None


def _tick_before(window: FreezeWindow, now: datetime) -> datetime | None:
    """The newest tick that is not after now; cronsim's backward walk leaves out the moment it starts from."""
    at = now.astimezone(UTC)
    return next(CronSim(window.schedule, at + timedelta(seconds=1), reverse=True), None)
