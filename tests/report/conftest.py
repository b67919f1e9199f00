"""A server that remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Others(ThreadingHTTPServer):
    """The collector and MLflow at one address: what was asked, what was stored, and what is answered.

    The first `refusals` requests are answered 503.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, str]] = []
        self.files: dict[str, bytes] = {}
        self.content = b"[]"
        self.refusals = 0
        self.codes: dict[str, int] = {}


class _Handler(BaseHTTPRequestHandler):
    server: Others

    def do_GET(self) -> None:
        self._answer(self.server.content)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self._answer(b""):
            self.server.files[self.path] = content

    def _answer(self, content: bytes) -> bool:
        others = self.server
        others.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
        code = others.codes.get(self.command, 200)
        if others.refusals:
            others.refusals -= 1
            code = 503
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return code == 200

    def log_message(self, *_: object) -> None:
        """Not to the terminal."""


@pytest.fixture
def beacon() -> Iterator[Others]:
    with Others() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
