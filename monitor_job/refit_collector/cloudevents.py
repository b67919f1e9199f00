"""CloudEvents of KServe's logger: a request and its response come as two events of one id, in any order.

Each half is on disk before it is answered. When both are there they become one event like any other,
in the transaction that stores the second. A half whose partner does not come in time is an orphan: it
is counted by model and kind, and goes.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import orjson
from pydantic import ValidationError

from refit.api.events import INFERENCE_ID, PredictionEvent
from refit_collector import payloads, records, times
from refit_collector.events import Accepted, Bounds, RefusedLine, accept
from refit_collector.payloads import Unreadable
from refit_collector.refusals import Refused, bad, told, unfit
from refit_collector.registry import Registry
from refit_collector.shapes import LARGEST_VERSION

REQUEST = "request"
RESPONSE = "response"
TYPES = {f"org.kubeflow.serving.inference.{kind}": kind for kind in (REQUEST, RESPONSE)}
MODEL = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
AT_ONCE = 200


class Half(NamedTuple):
    """One of the two events, as it came; the body is JSON."""

    namespace: str
    id: str
    kind: str
    model: str
    version: int
    time: int
    received: int
    body: bytes


class Paired(NamedTuple):
    """What became of a half. Without a partner all of it is empty."""

    stored: int = 0
    duplicates: int = 0
    refused: tuple[RefusedLine, ...] = ()


class Orphan(NamedTuple):
    """Halves of a model whose partner never came."""

    namespace: str
    model: str
    kind: str
    halves: int


def read(headers: Mapping[str, str], body: bytes, namespace: str, now: int) -> Half:
    """The half in a request of binary mode; raises Refused."""
    kind = TYPES.get(_header(headers, "ce-type"))
    if kind is None:
        raise unfit("ce-type", f"must be {' or '.join(TYPES)}")
    name = _header(headers, "ce-id")
    if not re.fullmatch(INFERENCE_ID, name):
        raise bad("ce-id", "must be 1 to 128 letters, digits and ._:/+=@-")
    model = _header(headers, "ce-inferenceservicename")
    if not MODEL.fullmatch(model):
        raise unfit("ce-inferenceservicename", "must be the name of an InferenceService")
    told_namespace = headers.get("ce-namespace", namespace)
    if told_namespace != namespace:
        raise Refused(403, "ce-namespace", f"the key in the URL is that of namespace {namespace}", reason="forbidden")
    try:
        moment = times.micros(headers["ce-time"]) if headers.get("ce-time") else now
    except ValueError as error:
        raise bad("ce-time", str(error)) from None
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad("", f"the body is not JSON: {error}") from None
    return Half(namespace, name, kind, model, _version(headers.get("ce-endpoint", "")), moment, now, body)


def _header(headers: Mapping[str, str], name: str) -> str:
    found = headers.get(name, "").strip()
    if not found:
        raise bad(name, "is missing; events must come in the binary mode of CloudEvents")
    return found


def _version(endpoint: str) -> int:
    """The InferenceService's label `endpoint`, where it is a version."""
    known = endpoint.isascii() and endpoint.isdigit() and len(endpoint) <= 10  # noqa: PLR2004  # digits of a version
    return int(endpoint) if known and 1 <= int(endpoint) <= LARGEST_VERSION else 1


def pair(connection: sqlite3.Connection, registry: Registry, half: Half, bounds: Bounds) -> Paired:
    """Keeps the half, or makes an event of it and its partner."""
    if _is_known(connection, half):
        return Paired(duplicates=1)
    other = REQUEST if half.kind == RESPONSE else RESPONSE
    row = connection.execute(
        "SELECT * FROM halves WHERE namespace = ? AND id = ? AND kind = ?", (half.namespace, half.id, other)
    ).fetchone()
    if row is None:
        added = connection.execute("INSERT OR IGNORE INTO halves VALUES (?, ?, ?, ?, ?, ?, ?, ?)", half).rowcount
        return Paired(duplicates=1 - added)
    connection.execute("DELETE FROM halves WHERE namespace = ? AND id = ?", (half.namespace, half.id))
    partner = Half(*row)
    request, response = (half, partner) if half.kind == REQUEST else (partner, half)
    match _event(request, response, bounds):
        case Accepted() as event:
            found = records.events(connection, registry, half.namespace, half.model, [event], half.received)
            return Paired(*found)
        case refused:
            return Paired(refused=(refused,))


def _is_known(connection: sqlite3.Connection, half: Half) -> bool:
    statement = "SELECT EXISTS (SELECT 1 FROM ids JOIN namespaces USING (namespace) WHERE name = ? AND id = ?)"
    return bool(connection.execute(statement, (half.namespace, half.id)).fetchone()[0])


def _event(request: Half, response: Half, bounds: Bounds) -> Accepted | RefusedLine:
    try:
        rows, inputs = payloads.inputs(orjson.loads(request.body))
        answers = payloads.answers(orjson.loads(response.body))
        if answers.rows != rows:
            return RefusedLine(1, f"the request has {rows} rows, the response {answers.rows}", "unreadable")
        event = PredictionEvent(
            id=request.id,
            version=request.version,
            time=times.text(response.time),
            rows=rows,
            inputs={name: tuple(values) for name, values in inputs.items()},
            classes=tuple(answers.classes),
            labels=None if answers.labels is None else tuple(answers.labels),
            probabilities=None if answers.probabilities is None else tuple(map(tuple, answers.probabilities)),
            predictions=None if answers.predictions is None else tuple(answers.predictions),
            latency=max(0, response.time - request.time) / 1000,
        )
    except Unreadable as error:
        return RefusedLine(1, str(error), "unreadable")
    except ValidationError as error:
        return RefusedLine(1, told(error.errors(include_url=False, include_input=False)[0]), "unreadable")
    return accept(1, event, bounds)


def expire(connection: sqlite3.Connection, before: int) -> list[Orphan]:
    """Gives up on halves that came before that moment, some at a time; what they were."""
    found = connection.execute(
        "SELECT namespace, id, kind, model FROM halves WHERE received < ? ORDER BY received LIMIT ?", (before, AT_ONCE)
    ).fetchall()
    connection.executemany("DELETE FROM halves WHERE namespace = ? AND id = ? AND kind = ?", [row[:3] for row in found])
    orphans = _counted((namespace, model, kind) for namespace, _, kind, model in found)
    connection.executemany(
        "INSERT INTO orphans VALUES (?, ?, ?, ?)"
        " ON CONFLICT (namespace, model, kind) DO UPDATE SET count = count + excluded.count",
        orphans,
    )
    return orphans


def _counted(keys: Iterable[tuple[str, str, str]]) -> list[Orphan]:
    counts: dict[tuple[str, str, str], int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    return [Orphan(*key, count) for key, count in counts.items()]


def known_orphans(connection: sqlite3.Connection) -> list[Orphan]:
    """All there ever were, for counters that a restart does not set back."""
    return [Orphan(*row) for row in connection.execute("SELECT namespace, model, kind, count FROM orphans")]
