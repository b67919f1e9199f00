"""Bodies of requests, within bounds: bytes are counted while they arrive, and while they wait to be stored."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from refit_collector.refusals import Refused, bad, busy, too_large

BODY_SECONDS = 30.0


class Budget:
    """Bytes that may be held at the same time."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def take(self, count: int) -> None:
        """Raises Refused 503 if there is no room for them."""
        if self.held + count > self.most:
            raise busy(f"{self.held} bytes wait to be stored and {self.most} may; send it again")
        self.held += count

    def give_back(self, count: int) -> None:
        self.held -= count


def media_type(request: Request, wanted: Sequence[str]) -> str:
    """The request's media type; raises Refused 415 if it is none of those wanted."""
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in wanted:
        raise Refused(415, "content-type", f"must be {' or '.join(wanted)}", reason="media_type")
    return found


@asynccontextmanager
async def body_of(request: Request, budget: Budget, most: int) -> AsyncIterator[bytes]:
    """The whole body, unpacked; its bytes are taken from the budget until the end of the block."""
    held = 0

    def hold(count: int) -> None:
        nonlocal held
        if held + count > most:
            raise too_large("", f"the body is larger than {most} bytes; send it in parts")
        budget.take(count)
        held += count

    try:
        parts: list[bytes] = []
        unpack = _unpacker(request.headers.get("content-encoding", ""))
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > most:
            raise too_large("", f"the body is larger than {most} bytes; send it in parts")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for packed in request.stream():
                    for part in unpack(packed):
                        hold(len(part))
                        parts.append(part)
        except TimeoutError:
            raise Refused(408, "", f"the body did not come within {BODY_SECONDS:.0f} s", reason="slow") from None
        except ClientDisconnect:
            raise bad("", "the body ended too soon", reason="disconnected") from None
        except zlib.error:
            raise bad("", "the body is not gzip, as content-encoding says") from None
        for part in unpack(None):
            hold(len(part))
            parts.append(part)
        yield b"".join(parts)
    finally:
        budget.give_back(held)


Unpack = Callable[[bytes | None], Iterable[bytes]]
"""Called with what came, and with None at the end."""


def _unpacker(encoding: str) -> Unpack:
    match encoding.strip().lower():
        case "" | "identity":
            return lambda packed: (packed,) if packed else ()
        case "gzip":
            return _Gzip()
        case _:
            raise Refused(415, "content-encoding", "must be gzip, or absent", reason="media_type")


class _Gzip:
    """Unpacks in small pieces, so that a bomb is met while it is small."""

    PIECE = 65536

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(wbits=31)

    def __call__(self, packed: bytes | None) -> Iterator[bytes]:
        if packed is None:
            if not self._unpacker.eof:
                raise bad("", "the gzip body ended too soon")
            return
        if packed and self._unpacker.eof:
            raise bad("", "there is more behind the end of the gzip body")
        while packed:
            yield self._unpacker.decompress(packed, self.PIECE)
            packed = self._unpacker.unconsumed_tail
        if self._unpacker.unused_data:
            raise bad("", "there is more behind the end of the gzip body")
