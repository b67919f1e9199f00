"""Every bad input has its stated answer: a status, and a text that names the field and what to do."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pyarrow as pa
import pytest

from collector_process import HEART, NDJSON, SHOP, Running, event, lines, stamp

EVENTS = f"{HEART}/events"
LABELS = f"{HEART}/labels"
WINDOW = f"{HEART}/window"
CSV = {"content-type": "text/csv"}
JSON = {"content-type": "application/json"}


class Bad(NamedTuple):
    """A request, and what must be said to it."""

    status: int
    words: str
    path: str = EVENTS
    method: str = "POST"
    body: bytes = b""
    headers: dict[str, str] = NDJSON
    params: dict[str, str] = {}


def one(**more: Any) -> bytes:
    return lines(event("refused", **more))


WITHIN = {"since": stamp(60), "until": stamp()}
CASES = {
    "a text that is no JSON": Bad(400, "line 1: Invalid JSON", body=b"hello"),
    "a line that was cut off": Bad(400, "line 1: Invalid JSON", body=one()[:-9]),
    "an empty body": Bad(400, "the body is empty", body=b"\n\n"),
    "a body above 8 MiB": Bad(413, "larger than 8388608 bytes", body=b" " * (8 * 1024 * 1024 + 1)),
    "more lines than a request may hold": Bad(413, "20001 lines are more than the 20000", body=b"1\n" * 20_001),
    "a gzip bomb": Bad(
        413,
        "larger than 8388608 bytes",
        body=gzip.compress(bytes(64 * 1024 * 1024)),
        headers=NDJSON | {"content-encoding": "gzip"},
    ),
    "a body that is not gzip, as it says": Bad(
        400, "the body is not gzip", body=one(), headers=NDJSON | {"content-encoding": "gzip"}
    ),
    "a gzip body that was cut off": Bad(
        400, "ended too soon", body=gzip.compress(one())[:-9], headers=NDJSON | {"content-encoding": "gzip"}
    ),
    "another encoding": Bad(415, "content-encoding: must be gzip", headers=NDJSON | {"content-encoding": "br"}),
    "another media type": Bad(415, "content-type: must be application/x-ndjson", body=one(), headers=JSON),
    "no media type": Bad(415, "content-type: must be application/x-ndjson", body=one(), headers={}),
    "a method that the path does not have": Bad(405, "Method Not Allowed", method="GET"),
    "a path that is not there": Bad(404, "Not Found", path=f"{HEART}/nothing"),
    "an event without id": Bad(422, "id: Field required", body=one().replace(b'"id"', b'"di"')),
    "an id with blanks": Bad(422, "id: String should match pattern", body=one(id="a b")),
    "version 0": Bad(422, "version: Input should be greater than or equal to 1", body=one(version=0)),
    "a version that is text": Bad(422, "version: Input should be a valid integer", body=one(version="new")),
    "a version past 32 bits": Bad(422, "version: must be at most 2147483647", body=one(version=2**31)),
    "a time without zone": Bad(422, "time must be RFC 3339 with a zone", body=one(time="2026-01-31T12:00:00")),
    "a zone that does not exist": Bad(422, "time: must be RFC 3339", body=one(time="2026-01-31T12:00:00+99:99")),
    "a day that does not exist": Bad(422, "time: must be RFC 3339", body=one(time="2026-02-31T12:00:00Z")),
    "a time in 2099": Bad(422, "clockSuspect", body=one(time="2099-01-01T00:00:00Z")),
    "a time an hour ahead": Bad(422, "clockSuspect", body=one(time=stamp(-3600))),
    "a time past retention": Bad(422, "older than what is kept", body=one(time="2020-01-01T00:00:00Z")),
    "rows that are more than the values": Bad(422, "inputs.age holds 1 values, rows is 2", body=one(rows=2)),
    "a million rows": Bad(
        422, "rows: Input should be less than or equal to 10000", body=one(rows=10**6, inputs={"age": [1] * 10**6})
    ),
    "NaN among the inputs": Bad(422, "inputs holds a number that is not finite", body=one().replace(b"63.0", b"NaN")),
    "infinity among the inputs": Bad(422, "not finite", body=one().replace(b"63.0", b"1e999")),
    "NaN among the probabilities": Bad(422, "probabilities: must be finite", body=one().replace(b"0.75", b"NaN")),
    "an infinite latency": Bad(422, "latency: must be finite", body=one().replace(b"1.5", b"Infinity")),
    "half a surrogate pair": Bad(400, "line 1: Invalid JSON", body=one().replace(b'"f"', b'"\\ud800"')),
    "an array for a value": Bad(422, "inputs.age.0", body=one(inputs={"age": [[1]]})),
    "neither labels nor predictions": Bad(422, "give labels", body=one(labels=None, probabilities=None)),
    "both of them": Bad(422, "give labels", body=one(predictions=[1.0])),
    "probabilities of other classes": Bad(
        422, "each of probabilities must hold 2 values", body=one(probabilities=[[1.0]])
    ),
    "values of a masked column": Bad(422, "inputs.age: is in masked", body=one(masked=["age"])),
    "deep JSON": Bad(400, "line 1: Invalid JSON", body=b"[" * 100_000),
    "a path for a model": Bad(404, "Not Found", path=f"{SHOP}/models/../events"),
    "a model with capitals": Bad(422, "model: must be the name", path=f"{SHOP}/models/Heart/events", body=one()),
    "a NUL in a model's name": Bad(422, "model: must be the name", path=f"{SHOP}/models/a%00b/events", body=one()),
    "labels that are an object": Bad(422, "must be an array", path=LABELS, body=b"{}", headers=JSON),
    "labels without one": Bad(400, "no label is in the body", path=LABELS, body=b"[]", headers=JSON),
    "a label that is null": Bad(
        422, "label: Input should be a valid string", path=LABELS, body=b'[{"id":"a","label":null}]', headers=JSON
    ),
    "a label of a row below 0": Bad(
        422, "row: Input should be greater", path=LABELS, body=b'[{"id":"a","label":"x","row":-1}]', headers=JSON
    ),
    "a label from the future": Bad(
        422,
        "clockSuspect",
        path=LABELS,
        body=b'[{"id":"a","label":"x","time":"2099-01-01T00:00:00Z"}]',
        headers=JSON,
    ),
    "a CSV file separated by semicolons": Bad(
        422, "the columns must be separated by commas", path=LABELS, body=b"id;label\na;x\n", headers=CSV
    ),
    "a CSV file in UTF-16": Bad(
        422, "encoding: the file is UTF-16", path=LABELS, body="id,label\na,x\n".encode("utf-16"), headers=CSV
    ),
    "a CSV file in Latin-1": Bad(
        422, "encoding: line 3 is not UTF-8", path=LABELS, body=b"id,label\na,x\nb,\xe4\n", headers=CSV
    ),
    "an Excel file": Bad(422, "save it as CSV in UTF-8", path=LABELS, body=b"PK\x03\x04rest", headers=CSV),
    "a NUL in a CSV file": Bad(422, "line 2 holds a NUL", path=LABELS, body=b"id,label\na,\0\n", headers=CSV),
    "a column twice in the header": Bad(
        422, "header: a column is there twice", path=LABELS, body=b"id,label,label\na,x,y\n", headers=CSV
    ),
    "a header without id": Bad(422, "header: must be id,label", path=LABELS, body=b"name,label\na,x\n", headers=CSV),
    "a quote that never ends": Bad(422, "is not CSV", path=LABELS, body=b'id,label\na,"x\n', headers=CSV),
    "a cell of a gigantic line": Bad(
        422, "is not CSV: field larger", path=LABELS, body=b"id,label\na," + b"x" * 200_000, headers=CSV
    ),
    "a CSV file of the header alone": Bad(400, "no label is in the body", path=LABELS, body=b"id,label\n", headers=CSV),
    "a million labels": Bad(
        413, "more than the 200000 labels", path=LABELS, body=b"id,label\n" + b"a,1\n" * 10**6, headers=CSV
    ),
    "a window without since": Bad(400, "since: is missing", path=WINDOW, method="GET", params={"until": stamp()}),
    "a window without zone": Bad(
        422, "until: must be RFC 3339", path=WINDOW, method="GET", params=WITHIN | {"until": "2026-01-31T12:00:00"}
    ),
    "a window that ends before it begins": Bad(
        422, "until: must be later", path=WINDOW, method="GET", params={"since": stamp(), "until": stamp(60)}
    ),
    "a window of version 0": Bad(
        422, "version: must be a whole number", path=WINDOW, method="GET", params=WITHIN | {"version": "0"}
    ),
    "a window as CSV": Bad(
        406, "accept: must be", path=WINDOW, method="GET", params=WITHIN, headers={"accept": "text/csv"}
    ),
    "a prediction nobody made": Bad(404, "id: no prediction", path=f"{SHOP}/predictions/nobody", method="GET"),
    "a prediction by an odd name": Bad(422, "id: must be", path=f"{SHOP}/predictions/a%20b", method="GET"),
    "a measurement that is no JSON": Bad(
        400, "is not JSON", path=f"{HEART}/measurements/k", method="PUT", body=b"{", headers=JSON
    ),
    "a measurement under another key": Bad(
        422, "key: must be 'k'", path=f"{HEART}/measurements/k", method="PUT", body=b'{"key":"j"}', headers=JSON
    ),
    "a measurement without verdict": Bad(
        422,
        "verdict: must be one of",
        path=f"{HEART}/measurements/k",
        method="PUT",
        body=b'{"key":"k","namespace":"shop","model":"heart"}',
        headers=JSON,
    ),
    "a measurement above 2 MiB": Bad(
        413,
        "larger than 2097152",
        path=f"{HEART}/measurements/k",
        method="PUT",
        body=b" " * (2 * 1024 * 1024 + 1),
        headers=JSON,
    ),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_bad_input(http: httpx.Client, case: Bad) -> None:
    answer = http.request(case.method, case.path, content=case.body, headers=case.headers, params=case.params)
    assert (answer.status_code, case.words in answer.json()["error"]) == (case.status, True), answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param({}, 401, id="no token"),
        pytest.param({"authorization": "Bearer wrong"}, 401, id="a wrong token"),
        pytest.param({"authorization": "Basic c2hvcA=="}, 401, id="another scheme"),
        pytest.param({"authorization": "Bearer"}, 401, id="a scheme alone"),
        pytest.param({"authorization": "Bearer " + "x" * 20_000}, 401, id="an endless token"),
        pytest.param({"authorization": "Bearer a.b.c"}, 401, id="what looks like a ServiceAccount's"),
    ],
)
def test_who_has_no_token_learns_nothing(server: Running, header: dict[str, str], expected: int) -> None:
    answer = httpx.post(server.url + EVENTS, content=one(), headers=NDJSON | header)
    problem = "a valid bearer token is needed"
    document = {"error": problem, "problems": [{"field": "", "message": problem}]}
    found = (answer.status_code, answer.json(), answer.headers["www-authenticate"])
    assert found == (expected, document, "Bearer")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("POST", "/v1/namespaces/bank/models/heart/events", id="events"),
        pytest.param("POST", "/v1/namespaces/bank/models/heart/labels", id="labels"),
        pytest.param("GET", "/v1/namespaces/bank/models/heart/window", id="a window"),
        pytest.param("GET", "/v1/namespaces/bank/models/heart/coverage", id="coverage"),
        pytest.param("GET", "/v1/namespaces/bank/predictions/x", id="a prediction"),
        pytest.param("GET", "/v1/namespaces/bank/models/heart/measurements", id="measurements"),
        pytest.param("PUT", "/v1/namespaces/bank/models/heart/measurements/k", id="a measurement"),
    ],
)
def test_another_namespace_is_closed(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path)
    assert (answer.status_code, answer.json()["error"]) == (
        403,
        "namespace: token of shop may not use namespace 'bank'",
    )


def test_the_good_lines_of_a_body_are_stored_and_the_bad_ones_named(http: httpx.Client) -> None:
    body = b"\n".join([lines(event("good-1")), b"{", lines(event("bad", version=0)), b"", lines(event("good-2"))])
    assert http.post(EVENTS, content=body, headers=NDJSON).json() == {
        "stored": 2,
        "duplicates": 0,
        "refused": [
            {"line": 2, "problem": "Invalid JSON: EOF while parsing an object at line 1 column 1"},
            {"line": 3, "problem": "version: Input should be greater than or equal to 1"},
        ],
    }


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        pytest.param(b"\xef\xbb\xbfid,label\nl-1,yes\n", "yes", id="a byte order mark is no matter"),
        pytest.param(b"id,label\r\nl-2,no\r\n", "no", id="nor are Windows' line ends"),
        pytest.param(b"id,label\nl-3,=cmd|' /C calc'!A0\n", "=cmd|' /C calc'!A0", id="a formula stays data"),
        pytest.param(b'label,id\n"a,""b""",l-4\n', 'a,"b"', id="quotes, and columns in any order"),
    ],
)
def test_tables_of_labels(http: httpx.Client, body: bytes, kept: str) -> None:
    name = next(
        word for word in body.decode("utf-8-sig").replace("\r", "").replace("\n", ",").split(",") if "l-" in word
    )
    http.post(EVENTS, content=lines(event(name)), headers=NDJSON)
    assert http.post(LABELS, content=body, headers=CSV).json() == {
        "stored": 1,
        "duplicates": 0,
        "unknown": 0,
        "refused": [],
    }
    window = http.get(WINDOW, params={"since": stamp(600), "until": stamp(-1)})
    rows = pa.ipc.open_stream(window.content).read_all().to_pylist()
    assert [row["truth"] for row in rows if row["id"] == name] == [kept]


def test_a_body_that_never_comes_holds_nothing_up(server: Running, http: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as slow:
        head = f"POST {EVENTS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer shop-token\r\n"
        slow.sendall(f"{head}content-type: application/x-ndjson\r\ncontent-length: 1000\r\n\r\n{{".encode())
        assert http.post(EVENTS, content=lines(event("meanwhile")), headers=NDJSON).status_code == 200


def test_a_body_that_ends_too_soon_stores_nothing(server: Running, http: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as broken:
        head = f"POST {EVENTS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer shop-token\r\n"
        body = lines(event("torn"))
        broken.sendall(
            f"{head}content-type: application/x-ndjson\r\ncontent-length: {len(body) + 9}\r\n\r\n".encode() + body
        )
    assert http.get(f"{SHOP}/predictions/torn").status_code == 404


def test_the_budget_is_given_back_after_every_refusal(http: httpx.Client) -> None:
    assert "refit_collector_queue_bytes 0.0" in _until(http, "refit_collector_queue_bytes 0.0")


def _until(http: httpx.Client, words: str) -> str:
    text = ""
    for text in _metrics(http):
        if words in text:
            break
    return text


def _metrics(http: httpx.Client) -> Iterator[str]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        yield http.get("/metrics").text
    yield json.dumps("too late")
