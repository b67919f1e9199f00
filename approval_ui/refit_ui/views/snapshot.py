"""What was read of the cluster in one go, as far as the person may see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refit.api.objects import Model, Request
from refit.api.remediationrequest import RequestPhase


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What was read in one go. `granted` are the requests, by uid, on which the person has the right to decide."""

    models: tuple[Model, ...] = ()
    requests: tuple[Request, ...] = ()
    granted: frozenset[str] = frozenset()
    unreadable: tuple[str, ...] = ()
    at: datetime

    @property
    def waiting(self) -> tuple[Request, ...]:
        """Those that wait for a person."""
        return tuple(
            one
            for one in self.requests
            if one.phase == RequestPhase.AWAITING_APPROVAL and one.status.proposal is not None
        )

    def model_for(self, request: Request) -> Model | None:
        return next((one for one in self.models if request.about(one)), None)
