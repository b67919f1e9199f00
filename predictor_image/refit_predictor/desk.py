"""The desk where prediction requests are answered: bytes in, a reply out, whatever carries them.

It knows neither HTTP nor KServe, and never raises: what a client did wrong becomes a reply that says so.
"""

from __future__ import annotations

import logging
import os
import re
from typing import Any, NamedTuple

import orjson

from refit_predictor import protocol_v1, protocol_v2
from refit_predictor.graph import Answers, Graph
from refit_predictor.intake import Intake, Rows
from refit_predictor.refusals import Problem, Refused, bad
from refit_predictor.settings import Settings

WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
"""What an id given by a client must be like to become the inference id."""

log = logging.getLogger("kserve.refit")


class Reply(NamedTuple):
    """An HTTP status and body; rows and answers too, if there are predictions in it."""

    status: int
    body: bytes
    inference_id: str
    rows: Rows | None = None
    answers: Answers | None = None


class Desk:
    """Answers for one model."""

    def __init__(self, graph: Graph, settings: Settings) -> None:
        self.settings = settings
        self.signature = graph.signature
        self._graph = graph
        self._intake = Intake(graph.signature)
        self._v2 = protocol_v2.Protocol(graph.signature, self._intake, settings.max_rows)
        self._identity = {"model_name": settings.name, "model_version": settings.version}

    def v1(self, body: bytes, inference_id: str | None) -> Reply:
        inference_id = inference_id or new_id()
        try:
            rows = protocol_v1.read(_parsed(body), self._intake, self.settings.max_rows)
            answers = self._graph.answer(rows)
            return _reply(protocol_v1.write(answers, self._identity, inference_id), inference_id, rows, answers)
        except Refused as refused:
            return refusal(refused, inference_id)
        except Exception as error:  # noqa: BLE001  a mistake of ours: the client gets no traceback, and the log no data
            return _mistake(error, inference_id)

    def v2(self, body: bytes, inference_id: str | None) -> Reply:
        fallback = inference_id or new_id()
        try:
            asked = self._v2.read(_parsed(body))
            if inference_id is None and asked.request_id and WELL_FORMED_ID.fullmatch(asked.request_id):
                fallback = asked.request_id
            answers = self._graph.answer(asked.rows)
            return _reply(self._v2.write(answers, asked, self._identity, fallback), fallback, asked.rows, answers)
        except Refused as refused:
            return refusal(refused, fallback)
        except Exception as error:  # noqa: BLE001  as above
            return _mistake(error, fallback)

    def metadata(self) -> dict[str, Any]:
        """The V2 protocol's description of the model, with the digest that it was checked against."""
        return {
            "name": self.settings.name,
            "versions": [self.settings.version],
            "platform": "onnxruntime",
            **self._v2.metadata,
            "properties": {"sha256": self.settings.sha256, "task": str(self.signature.task)},
        }

    def description(self) -> dict[str, Any]:
        """What is served here, for the operator."""
        return {
            "name": self.settings.name,
            "version": self.settings.version,
            "sha256": self.settings.sha256,
            "signature": self.signature.wire(),
        }


def new_id() -> str:
    """An inference id: as random as a UUID, and a third of its cost."""
    return os.urandom(16).hex()


def refusal(refused: Refused, inference_id: str) -> Reply:
    return Reply(refused.status, orjson.dumps(refused.body(inference_id)), inference_id)


def _reply(document: dict[str, Any], inference_id: str, rows: Rows, answers: Answers) -> Reply:
    return Reply(200, orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), inference_id, rows, answers)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad("", f"the body is not JSON: {error}") from error


def _mistake(error: Exception, inference_id: str) -> Reply:
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_name}:{frame.tb_lineno}" if frame else "?"
    log.error("inference %s failed with %s at %s", inference_id, type(error).__name__, place)
    return refusal(Refused(500, Problem("", "the predictor failed; its log says where")), inference_id)
