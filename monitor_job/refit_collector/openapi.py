"""The OpenAPI document of the collector's paths; tests send what it allows and what it does not."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel

from refit.api.events import (
    EVENTS_PATH,
    INFERENCE_ID,
    LABELS_PATH,
    MAX_BODY,
    MEASUREMENTS_PATH,
    MEDIA_TYPE,
    PREDICTION_PATH,
    WINDOW_PATH,
    LabelEvent,
    PredictionEvent,
)
from refit.api.measured import Verdict
from refit_collector import labels, measurements, times
from refit_collector.shapes import LARGEST_VERSION
from refit_collector.snapshots import ARROW, PARQUET

COVERAGE_PATH = WINDOW_PATH.removesuffix("window") + "coverage"
MODEL_PATH = WINDOW_PATH.removesuffix("/window")
CLOUDEVENTS_PATH = "/v1/cloudevents/{namespace}/{key}"

Schema = dict[str, Any]
_NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "minLength": 1, "maxLength": 253}
_TIME = {"type": "string", "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 0}
_COUNTS = ("stored", "duplicates")
_NO_BODY = {"description": "Nothing."}


@cache
def document() -> Schema:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Refit collector",
            "version": "v1",
            "description": "What was predicted and what turned out true. 2xx means on disk.",
        },
        "security": [{"bearer": []}],
        "paths": {
            EVENTS_PATH: {"parameters": _place(), "post": _events()},
            LABELS_PATH: {"parameters": _place(), "post": _labels()},
            WINDOW_PATH: {"parameters": _place(), "get": _window()},
            COVERAGE_PATH: {"parameters": _place(), "get": _coverage()},
            MEASUREMENTS_PATH: {"parameters": _place(), "get": _measurements()},
            MEASUREMENTS_PATH + "/{key}": {"parameters": [*_place(), _key()], "put": _measurement()},
            MODEL_PATH: {"parameters": _place(), "delete": _removal()},
            PREDICTION_PATH: {"parameters": [_in_path("namespace", _NAME), _id()], "get": _prediction()},
            CLOUDEVENTS_PATH: {"parameters": _ingest(), "post": _cloudevent()},
            "/metrics": {"get": _open("Prometheus metrics.", {"text/plain": {"schema": {"type": "string"}}})},
            "/healthz": {"get": _open("Whether the process works.", _json({"type": "object"}))},
            "/readyz": {"get": _open("Ready, and what troubles it.", _json({"type": "object"}))},
        },
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "PredictionEvent": _of(PredictionEvent),
                "LabelEvent": _of(LabelEvent),
                "Error": {
                    "type": "object",
                    "required": ["error", "problems"],
                    "properties": {
                        "error": {"type": "string"},
                        "problems": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["field", "message"],
                                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                            },
                        },
                    },
                },
            },
        },
    }


def _of(model: type[BaseModel]) -> Schema:
    return model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _in_path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _place() -> list[Schema]:
    return [_in_path("namespace", _NAME), _in_path("model", _NAME)]


def _key() -> Schema:
    return _in_path("key", {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"})


def _id() -> Schema:
    return _in_path("id", {"type": "string", "pattern": INFERENCE_ID})


def _ingest() -> list[Schema]:
    return [_in_path("namespace", _NAME), _in_path("key", {"type": "string", "pattern": "^[0-9a-f]{64}$"})]


def _in_query(name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _within() -> list[Schema]:
    version = {"type": "integer", "minimum": 1, "maximum": LARGEST_VERSION}
    return [
        _in_query("since", _TIME, required=True),
        _in_query("until", _TIME, required=True),
        _in_query("version", version),
    ]


def _answers(good: Schema, *refusals: int) -> Schema:
    words = {
        400: "Not of the form asked for.",
        401: "No valid token.",
        403: "Not this namespace.",
        404: "Not known.",
        406: "None of the media types given.",
        408: "The body came too slowly.",
        413: "Too large.",
        415: "Not a media type that is taken.",
        422: "The content can not be taken.",
        503: "Busy or full: send it again after Retry-After seconds.",
    }
    return {**good, **{str(code): {"description": words[code], "content": _json(_ref("Error"))} for code in refusals}}


_ALWAYS = (400, 401, 403, 422, 503)
_BODY = (*_ALWAYS, 408, 413, 415)


def _told(*counts: str) -> Schema:
    line = {
        "type": "object",
        "required": ["line", "problem"],
        "properties": {"line": _COUNT, "problem": {"type": "string"}},
    }
    schema = {
        "type": "object",
        "required": [*counts, "refused"],
        "properties": {**dict.fromkeys(counts, _COUNT), "refused": {"type": "array", "items": line}},
    }
    return {"200": {"description": "On disk.", "content": _json(schema)}}


def _events() -> Schema:
    return {
        "operationId": "takeEvents",
        "summary": f"Stores answered requests, one JSON object a line, at most {MAX_BODY} bytes.",
        "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": _ref("PredictionEvent")}}},
        "responses": _answers(_told(*_COUNTS), *_BODY),
    }


def _labels() -> Schema:
    return {
        "operationId": "takeLabels",
        "summary": "Stores what turned out true; a later label for the same row takes its place.",
        "requestBody": {
            "required": True,
            "content": {
                labels.JSON: {"schema": {"type": "array", "minItems": 1, "items": _ref("LabelEvent")}},
                labels.NDJSON: {"schema": _ref("LabelEvent")},
                labels.CSV: {"schema": {"type": "string"}, "example": "id,label\nheart-1,yes\n"},
            },
        },
        "responses": _answers(_told(*_COUNTS, "unknown"), *_BODY),
    }


def _window() -> Schema:
    binary = {"schema": {"type": "string", "format": "binary"}}
    header = {"schema": _COUNT}
    good = {
        "description": "The rows, as a stream of Arrow or a Parquet file.",
        "content": {ARROW: binary, PARQUET: binary},
        "headers": {"Refit-Rows": header, "Refit-Events": header},
    }
    return {
        "operationId": "giveWindow",
        "summary": "Rows whose time is in [since, until), with their labels. With limit, whole events up to so many rows.",
        "parameters": [*_within(), _in_query("limit", {"type": "integer", "minimum": 1, "maximum": 2**53})],
        "responses": _answers({"200": good}, *_ALWAYS, 406),
    }


def _coverage() -> Schema:
    share = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    schema = {
        "type": "object",
        "required": ["rows", "labelled", "coverage", "delaySeconds", "labelsWithoutPrediction", "orphans"],
        "properties": {"rows": _COUNT, "labelled": _COUNT, "coverage": share},
    }
    return {
        "operationId": "giveCoverage",
        "summary": "How many of a window's rows have a label, and how long the labels took.",
        "parameters": _within(),
        "responses": _answers({"200": {"description": "Coverage.", "content": _json(schema)}}, *_ALWAYS),
    }


def _prediction() -> Schema:
    schema = {
        "type": "object",
        "required": ["id", "model", "version", "time", "rows", "latency"],
        "properties": {"id": {"type": "string"}, "model": _NAME, "version": _COUNT, "time": _TIME, "rows": _COUNT},
    }
    good = {"200": {"description": "Who gave that answer.", "content": _json(schema)}}
    return {
        "operationId": "givePrediction",
        "summary": "Which version answered a request.",
        "responses": _answers(good, *_ALWAYS, 404),
    }


def _measurements() -> Schema:
    good = {
        "200": {"description": "The newest first.", "content": _json({"type": "array", "items": {"type": "object"}})}
    }
    limit = {"type": "integer", "minimum": 1, "maximum": measurements.KEPT}
    return {
        "operationId": "giveMeasurements",
        "summary": "The kept measurements of a model.",
        "parameters": [_in_query("limit", limit)],
        "responses": _answers(good, *_ALWAYS),
    }


def _measurement() -> Schema:
    body = {
        "type": "object",
        "required": ["key", "time", "namespace", "model", "verdict"],
        "properties": {"time": _TIME, "verdict": {"enum": list(map(str, Verdict))}},
    }
    schema = {"type": "object", "required": ["key", "new"]}
    answer = {"content": _json(schema)}
    return {
        "operationId": "putMeasurement",
        "summary": "Keeps a measurement under its key; put twice, it is one.",
        "requestBody": {"required": True, "content": _json(body)},
        "responses": _answers(
            {"200": {"description": "Replaced.", **answer}, "201": {"description": "Kept.", **answer}}, *_BODY
        ),
    }


def _removal() -> Schema:
    schema = {"type": "object", "required": ["removed"], "properties": {"removed": {"type": "boolean"}}}
    good = {"200": {"description": "Nobody finds it any more.", "content": _json(schema)}}
    return {
        "operationId": "removeModel",
        "summary": "Removes all that is kept of a model; removed says whether anything was. Told twice, it is done once.",
        "responses": _answers(good, *_ALWAYS),
    }


def _cloudevent() -> Schema:
    def header(name: str, schema: Schema, *, required: bool = True) -> Schema:
        return {"name": name, "in": "header", "required": required, "schema": schema}

    types = [f"org.kubeflow.serving.inference.{kind}" for kind in ("request", "response")]
    return {
        "operationId": "takeCloudEvent",
        "summary": "Takes what KServe's logger sends, in binary mode; the key in the URL stands for a token.",
        "security": [],
        "parameters": [
            header("ce-id", {"type": "string", "pattern": INFERENCE_ID}),
            header("ce-type", {"enum": types}),
            header("ce-inferenceservicename", _NAME),
            header("ce-time", {"type": "string", "description": times.FORM}, required=False),
            header("ce-endpoint", {"type": "string"}, required=False),
        ],
        "requestBody": {"required": True, "content": _json({"type": "object"})},
        "responses": _answers(_told(*_COUNTS), *_BODY),
    }


def _open(summary: str, content: Schema) -> Schema:
    return {
        "summary": summary,
        "security": [],
        "responses": {"200": {"description": summary, "content": content}},
    }
