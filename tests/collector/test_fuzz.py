"""Whatever is sent to any path of the OpenAPI document, the answer is one that the document knows: never 500."""

from __future__ import annotations

import json
import os
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as documented

from collector_process import ADMIN_TOKEN, Running
from refit_collector import openapi

EXAMPLES = int(os.environ.get("REFIT_FUZZ_EXAMPLES", "20"))
CHECKS = (
    checks.not_a_server_error,
    documented.status_code_conformance,
    documented.content_type_conformance,
    documented.response_schema_conformance,
)
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
SCHEMA = schemathesis.openapi.from_dict(openapi.document())
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """One line: what the schema describes."""
    return value if isinstance(value, bytes) else json.dumps(value, default=str).encode()


@schemathesis.serializer("text/csv")
def text(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: f"{mode.value} data")
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_operation(server: Running, operation: Any, mode: schemathesis.GenerationMode) -> None:
    if mode.is_negative and not (operation.path_parameters or operation.query or operation.body):
        return  # nothing in it can be wrong

    @FUZZ
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        case.call_and_validate(
            base_url=server.url,
            headers={"authorization": f"Bearer {ADMIN_TOKEN}"} | dict(case.headers or {}),
            checks=CHECKS,
        )

    run()


PATHS = ("/v1/namespaces/shop/models/heart/events", "/v1/namespaces/shop/models/heart/labels")


@pytest.mark.parametrize("path", PATHS, ids=["events", "labels"])
@pytest.mark.parametrize("media", ["application/x-ndjson", "application/json", "text/csv"])
def test_any_bytes(admin: httpx.Client, path: str, media: str) -> None:
    @FUZZ
    @given(st.binary(max_size=300))
    def run(body: bytes) -> None:
        answer = admin.post(path, content=body, headers={"content-type": media})
        assert answer.status_code in {400, 415, 422}, answer.text
        assert answer.json()["error"]

    run()
