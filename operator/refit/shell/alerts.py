"""Alerts as the passes see them: what the intake stored, and nothing where there is no intake."""

from __future__ import annotations

from dataclasses import dataclass

from refit.api.times import stamp
from refit.core.observed import AlertSeen
from refit.intake.store import AlertStore


@dataclass(frozen=True)
class StoredAlerts:
    """The port of the passes, on the intake's store; without one, nothing was ever told."""

    store: AlertStore | None

    async def firing(self, namespace: str, model: str) -> tuple[AlertSeen, ...]:
        """What fires for that model and was passed on, the oldest first."""
        if self.store is None:
            return ()
        return tuple(
            AlertSeen(
                name=alert.name,
                fingerprint=alert.fingerprint,
                severity=alert.severity,
                starts_at=stamp(alert.starts_at),
                flapping=alert.flapping,
                clock_suspect=alert.clock_suspect,
            )
            for alert in reversed(self.store.open(namespace, model))
        )

    async def flooded(self, namespace: str, model: str) -> bool:
        """Whether alerts for that model were not passed on, since there were too many in a short time."""
        return self.store is not None and self.store.held(namespace, model) > 0

    async def asked(self, namespace: str, model: str) -> str:
        """When a signed event last asked for a measurement of that model; empty if none did."""
        moment = self.store.asked(namespace, model) if self.store is not None else None
        return stamp(moment) if moment is not None else ""
