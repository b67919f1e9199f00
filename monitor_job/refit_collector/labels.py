"""Late labels as they come in: a JSON array, NDJSON or CSV, each label taken or refused by itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from refit.api.events import LabelEvent
from refit_collector import times
from refit_collector.events import RefusedLine
from refit_collector.refusals import Refused, bad, cut, told, too_large, unfit

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
COLUMNS = ("id", "label", "row", "time")
MOST_LABELS = 200_000


class Label(NamedTuple):
    """What turned out to be true for one row; `time` is when, as the sender says."""

    line: int
    id: str
    row: int
    label: str
    time: int | None


class Intake(NamedTuple):
    """What a body held."""

    accepted: list[Label]
    refused: list[RefusedLine]


def read(body: bytes, media: str, latest: int) -> Intake:
    """The labels in a body, of which none may be later than `latest`; raises Refused if nothing in it is readable."""
    items = {JSON: _array, NDJSON: _lines, CSV: _table}[media](body)
    found = Intake([], [])
    for count, (at, item) in enumerate(items):
        if count >= MOST_LABELS:
            raise too_large("", f"more than the {MOST_LABELS} labels that one request may hold; send them in parts")
        match _label(at, item, latest):
            case Label() as label:
                found.accepted.append(label)
            case refused:
                found.refused.append(refused)
    if not found.accepted and not found.refused:
        raise bad("", "no label is in the body")
    if not found.accepted and all(line.reason == "malformed" for line in found.refused):
        raise bad(f"line {found.refused[0].line}", found.refused[0].problem)
    return found


def _label(at: int, item: Any, latest: int) -> Label | RefusedLine:
    if isinstance(item, Refused):
        return RefusedLine(at, item.problem.message, "malformed")
    if isinstance(item, dict) and isinstance(item.get("label"), (int, float)):
        item = item | {"label": orjson.dumps(item["label"]).decode()}  # a class or number as JSON writes it
    try:
        event = LabelEvent.model_validate(item)
        event.label.encode()
        moment = None if event.time is None else times.micros(event.time)
    except ValidationError as error:
        return RefusedLine(at, told(error.errors(include_url=False, include_input=False)[0]), "invalid")
    except UnicodeEncodeError:
        return RefusedLine(at, "label: holds half a surrogate pair", "invalid")
    except ValueError as error:
        return RefusedLine(at, f"time: {error}", "invalid")
    if moment is not None and moment > latest:
        return RefusedLine(at, f"time: {cut(event.time or '')} is more than 5 minutes ahead (clockSuspect)", "clock")
    return Label(at, event.id, event.row, event.label, moment)


def _array(body: bytes) -> Iterator[tuple[int, Any]]:
    document = _parsed(body)
    if isinstance(document, Refused):
        raise document
    if not isinstance(document, list):
        raise unfit("", 'must be an array of {"id": ..., "label": ...}')
    return iter(enumerate(document, 1))


def _lines(body: bytes) -> Iterator[tuple[int, Any]]:
    return ((at, _parsed(line)) for at, line in enumerate(body.split(b"\n"), 1) if line.strip())


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return bad("", f"is not JSON: {error}")


def _table(body: bytes) -> Iterator[tuple[int, Any]]:
    """The rows of a CSV file. A byte order mark is no matter; cells are data, whatever they begin with."""
    for mark, name in (
        (b"\xff\xfe", "UTF-16"),
        (b"\xfe\xff", "UTF-16"),
        (b"PK\x03\x04", "a ZIP archive or Excel file"),
    ):
        if body.startswith(mark):
            raise unfit("encoding", f"the file is {name}; save it as CSV in UTF-8")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        raise unfit("encoding", f"line {line} is not UTF-8; save the file in UTF-8") from None
    if "\0" in text:
        raise unfit("", f"line {text[: text.index(chr(0))].count(chr(10)) + 1} holds a NUL; this is no text file")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        _check(header)
        for cells in reader:
            if cells:
                yield reader.line_num, _named(header, cells)
    except csv.Error as error:
        raise unfit(f"line {reader.line_num}", f"is not CSV: {error}") from None


def _check(header: list[str]) -> None:
    found = ", ".join(cut(name) for name in header[:8])
    if any(separator in name for name in header for separator in ";\t|"):
        raise unfit("header", f"the columns must be separated by commas, the header is: {found}")
    if len(set(header)) < len(header):
        raise unfit("header", f"a column is there twice: {found}")
    if not {"id", "label"} <= set(header) <= set(COLUMNS):
        raise unfit("header", f"must be id,label and if you like row and time; found: {found}")


def _named(header: list[str], cells: list[str]) -> Any:
    if len(cells) != len(header):
        return bad("", f"has {len(cells)} cells, the header has {len(header)}")
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell or name == "label"}
