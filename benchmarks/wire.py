"""A sender that costs little: connections that are kept, requests made beforehand, each written at once."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from urllib.parse import urlsplit

_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) .*?content-length: (\d+)\r\n.*?\r\n\r\n", re.IGNORECASE | re.DOTALL)


def request(url: str, token: str, body: bytes) -> bytes:
    """The bytes of a POST."""
    place = urlsplit(url)
    head = (
        f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._got = b""
        self._answer: asyncio.Future[int] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        head = _HEAD.match(self._got)
        if head is not None and len(self._got) >= head.end() + int(head[2]):
            self._got = b""
            self._done(int(head[1]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the name is asyncio's
        self.transport = None
        self._done(0)

    def _done(self, status: int) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)

    async def send(self, data: bytes) -> int:
        """The status; 0 if the connection ended."""
        if self.transport is None:
            return 0
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return await self._answer


class Pool:
    """So many connections at most; a request waits for a free one."""

    def __init__(self, url: str, most: int) -> None:
        place = urlsplit(url)
        self._host, self._port = place.hostname or "", place.port or 80
        self._free: deque[_Connection] = deque()
        self._limit = asyncio.Semaphore(most)

    async def send(self, data: bytes) -> int:
        """The status of the answer; 0 for none."""
        async with self._limit:
            try:
                connection = self._free.pop() if self._free else await self._connect()
            except OSError:
                return 0
            status = await connection.send(data)
            if status:
                self._free.append(connection)
            return status

    async def _connect(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port)
        return connection

    def close(self) -> None:
        for connection in self._free:
            if connection.transport is not None:
                connection.transport.close()
