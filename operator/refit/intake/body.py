"""A request's body: read within limits, and JSON within limits. What is wrong is said by field; nothing is echoed."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, NoReturn

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import ValidationError

from refit.intake.refused import RefusedError

MAX_BODY = 1024 * 1024
MAX_DEPTH = 20
READ_SECONDS = 10.0
"""A sender that is slower than that has something else in mind."""
MOST_PROBLEMS = 5

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


async def read(request: web.Request) -> bytes:
    """The raw body, at most MAX_BODY bytes of it ever in memory."""
    if (request.content_length or 0) > MAX_BODY:
        raise _too_large()
    if request.method != "POST":
        raise RefusedError(405, "use POST", {"Allow": "POST"})
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise RefusedError(415, "Content-Encoding: send the body as it is, not compressed")
    if request.content_type != "application/json":
        raise RefusedError(415, "Content-Type: must be application/json")
    if request.content.is_eof() and request.content.total_bytes <= MAX_BODY:
        return request.content.read_nowait()  # it came with its head, as small ones do
    body = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > MAX_BODY:
                    raise _too_large()
    except TimeoutError:
        raise RefusedError(408, f"the body did not come within {READ_SECONDS:.0f} s") from None
    except (HttpProcessingError, web.RequestPayloadError, ConnectionError):
        raise RefusedError(400, "the body ended early or is not framed as HTTP/1.1 says") from None
    return bytes(body)


def document(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body."""
    try:
        found = _DECODER.decode(raw.decode())
    except UnicodeDecodeError:
        raise RefusedError(400, "the body is not UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise RefusedError(400, f"the body is not JSON{place}") from None
    if not isinstance(found, dict):
        raise RefusedError(400, "the body must be a JSON object")
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return found  # it can not be deeper than that, and most are not
    level: list[Any] = [found]
    for _ in range(MAX_DEPTH):
        level = [
            value
            for one in level
            for value in (one.values() if isinstance(one, dict) else one)
            if isinstance(value, dict | list)
        ]
        if not level:
            return found
    raise _too_deep()


def problems(error: ValidationError) -> str:
    """What is wrong, by field: a value of the sender's is never in it."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = "; ".join(f"{_place(one['loc'])}: {_text(one['msg'])}" for one in found[:MOST_PROBLEMS])
    return told if len(found) <= MOST_PROBLEMS else f"{told}; and {len(found) - MOST_PROBLEMS} more"


def line(text: str, most: int = 256) -> str:
    """A sender's text as one line without control or direction marks, cut to its length."""
    found = _CONTROLS.sub(" ", text).strip()
    return found if len(found) <= most else f"{found[: most - 1]}…"


def _place(parts: tuple[int | str, ...]) -> str:
    """Where it is, such as alerts[3].labels.model; a sender's own key is cut."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part != "[key]":
            text += ("." if text else "") + line(part, 64)
    return text or "the body"


def _text(message: str) -> str:
    return line(message.removeprefix("Value error, ").replace("valid tuple", "valid list"))


def _no_constant(_: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _too_large() -> RefusedError:
    return RefusedError(413, f"the body is larger than {MAX_BODY} bytes")


def _too_deep() -> RefusedError:
    return RefusedError(400, f"the body is nested more than {MAX_DEPTH} deep")
