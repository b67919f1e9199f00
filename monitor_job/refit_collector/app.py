"""The paths of the collector, and how refusals are told."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from refit.api.events import EVENTS_PATH, LABELS_PATH, MEASUREMENTS_PATH, PREDICTION_PATH, WINDOW_PATH
from refit_collector import openapi
from refit_collector.desk import Desk, Json
from refit_collector.givers import Givers
from refit_collector.openapi import CLOUDEVENTS_PATH, COVERAGE_PATH, MODEL_PATH
from refit_collector.refusals import Refused
from refit_collector.takers import Takers

log = logging.getLogger("refit.collector")


def make(desk: Desk) -> Starlette:
    takers, givers, metrics = Takers(desk), Givers(desk), desk.metrics

    def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)  # noqa: S101  # what it is registered for
        if error.status == 503:  # noqa: PLR2004  # Service Unavailable
            metrics.rejected.inc()
        else:
            metrics.refused.labels(error.reason).inc()
        return Json(error.document(), error.status, headers=error.headers())

    def unknown(_: Request, error: Exception) -> Response:
        """No such path, or no such method of it."""
        assert isinstance(error, HTTPException)  # noqa: S101  # what it is registered for
        found = Refused(error.status_code, "", error.detail, reason="path")
        metrics.refused.labels(found.reason).inc()
        return Json(found.document(), error.status_code, headers=dict(error.headers or {}))

    def mistake(_: Request, error: Exception) -> Response:
        """A mistake of ours: the client gets no traceback."""
        log.error("a request failed", exc_info=error)
        return Json(Refused(500, "", "the collector failed; its log says where", reason="mistake").document(), 500)

    async def document(_: Request) -> Response:
        return Json(openapi.document())

    return Starlette(
        routes=[
            Route(EVENTS_PATH, takers.take_events, methods=["POST"]),
            Route(LABELS_PATH, takers.take_labels, methods=["POST"]),
            Route(WINDOW_PATH, givers.give_window, methods=["GET"]),
            Route(COVERAGE_PATH, givers.give_coverage, methods=["GET"]),
            Route(CLOUDEVENTS_PATH, takers.take_cloudevent, methods=["POST"]),
            Route(PREDICTION_PATH.replace("{id}", "{id:path}"), givers.give_prediction, methods=["GET"]),
            Route(MEASUREMENTS_PATH, givers.give_measurements, methods=["GET"]),
            Route(MEASUREMENTS_PATH + "/{key}", takers.put_measurement, methods=["PUT"]),
            Route(MODEL_PATH, takers.remove_model, methods=["DELETE"]),
            Route("/openapi.json", document, methods=["GET"]),
            Route("/metrics", givers.give_metrics, methods=["GET"]),
            Route("/healthz", givers.healthz, methods=["GET"]),
            Route("/readyz", givers.readyz, methods=["GET"]),
        ],
        exception_handlers={Refused: refused, HTTPException: unknown, Exception: mistake},
    )
