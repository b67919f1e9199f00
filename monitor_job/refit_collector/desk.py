"""What every path needs: the store, the counters, and who may ask for what."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from refit.api.events import PROXIED_HEADER
from refit_collector.bodies import Budget
from refit_collector.identity import Authenticator, identify
from refit_collector.measurements import Gauges
from refit_collector.metrics import Metrics
from refit_collector.refusals import Refused, unfit
from refit_collector.settings import Settings
from refit_collector.shapes import Shapes
from refit_collector.store import Store

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class Desk:
    """One store, and what is known of those who ask."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        metrics: Metrics,
        gauges: Gauges,
        authenticators: Sequence[Authenticator],
        now: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.store = store
        self.metrics = metrics
        self.gauges = gauges
        self.now = now
        self.budget = Budget(settings.queue_bytes)
        self.shapes = Shapes()
        self._authenticators = authenticators
        metrics.queue.set_function(lambda: self.budget.held)

    async def namespace(self, request: Request) -> str:
        """The namespace in the path, if who asks may use it."""
        given = request.headers.get("authorization") or request.headers.get(PROXIED_HEADER, "")
        identity = await identify(given, self._authenticators)
        namespace: str = request.path_params["namespace"]
        if not identity.may_use(namespace):
            raise Refused(
                403, "namespace", f"{identity.name} may not use namespace {namespace[:63]!r}", reason="forbidden"
            )
        if not NAME.fullmatch(namespace):
            raise unfit("namespace", "must be the name of a namespace")
        return namespace

    async def place(self, request: Request) -> tuple[str, str]:
        namespace = await self.namespace(request)
        model: str = request.path_params["model"]
        if not NAME.fullmatch(model):
            raise unfit("model", "must be the name of a model: small letters, digits, - and .")
        return namespace, model
