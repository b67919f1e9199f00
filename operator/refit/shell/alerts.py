"""Alerts as the passes see them; the intake takes them in and stores them."""

from __future__ import annotations

from refit.core.observed import AlertSeen


class NoAlerts:
    """What an installation without an intake knows of alerts."""

    async def firing(self, namespace: str, model: str) -> tuple[AlertSeen, ...]:  # noqa: ARG002  # the port's
        """None."""
        return ()
