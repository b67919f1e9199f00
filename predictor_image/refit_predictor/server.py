"""Where the predictor meets KServe's SDK: its model type, its application and its server."""

from __future__ import annotations

import asyncio
import gc
import logging.config
from typing import Any

import kserve
import uvloop
from kserve import model_server
from kserve.logging import KSERVE_LOG_CONFIG
from prometheus_client import REGISTRY

from refit_predictor.desk import Desk
from refit_predictor.front import Front
from refit_predictor.metrics import Metrics
from refit_predictor.request_log import RequestLog
from refit_predictor.tally import LogMetrics

GRACE_SECONDS = 30
LOG_SECONDS = 5.0
"""How long what is in the request log may take to be delivered at the end."""


class OnnxModel(kserve.Model):  # type: ignore[misc]
    """The model as KServe's registry knows it; predictions are asked of the desk, before KServe's layers."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.settings.name)
        self._metadata = desk.metadata()
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        return list(self._metadata["inputs"])

    def get_output_types(self) -> list[dict[str, Any]]:
        return list(self._metadata["outputs"])


def serve(desk: Desk, request_log: RequestLog | None) -> None:
    """Serves until SIGTERM, and then until the requests in flight are answered and logged."""
    _set_up_logging()
    metrics = Metrics(desk.signature, desk.settings.name, desk.settings.version, desk.settings.sha256)
    REGISTRY.register(metrics)
    if request_log is not None:
        REGISTRY.register(LogMetrics(request_log.tally, desk.settings.name, desk.settings.version))
    front = Front(title="Refit predictor", docs_url=None, redoc_url=None, openapi_url=None)
    front.open(desk, metrics, request_log)
    # KServe imports its application by this name, both to add its routes and to run it.
    model_server.app = front
    # KServe's own --event-loop has no effect with one worker, for it calls asyncio.run; and before
    # that it asks for a current loop, which uvloop does not make up.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.set_event_loop(asyncio.new_event_loop())
    server = kserve.ModelServer(enable_grpc=False, workers=1, grace_period=GRACE_SECONDS, enable_latency_logging=False)
    gc.collect()
    gc.freeze()  # what is there now stays: collections need not look at it again
    if request_log is None:
        server.start([OnnxModel(desk)])
        return
    request_log.start()
    try:
        server.start([OnnxModel(desk)])
    finally:
        request_log.close(LOG_SECONDS)


def _set_up_logging() -> None:
    """KServe's settings without its lines per request: uvicorn leaves out what nobody handles."""
    settings = {**KSERVE_LOG_CONFIG, "loggers": {**KSERVE_LOG_CONFIG["loggers"]}}
    settings["loggers"]["uvicorn.access"] = {"handlers": [], "propagate": False}
    settings["loggers"]["kserve.trace"] = {"level": "WARNING", "propagate": False}
    logging.config.dictConfig(settings)
