"""A small real HTTP server in the collector's place: it keeps what it gets and fails on command."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Posted(NamedTuple):
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines()]


class Told(NamedTuple):
    """What to answer: a status, a document and headers; status 0 closes the connection without a word."""

    status: int = 200
    document: Any = None
    headers: Mapping[str, str] = {}


@dataclass
class RecordingCollector:
    """`tell` decides what a request is answered; `stored` holds the events that were answered 200, in order."""

    port: int
    tell: Callable[[Posted], Told] = lambda _: Told()
    posts: list[Posted] = field(default_factory=list)
    stored: list[dict[str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ids(self) -> list[str]:
        with self.changed:
            return [event["id"] for event in self.stored]

    def wait(self, fulfilled: Callable[[RecordingCollector], bool], seconds: float = 30.0) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: fulfilled(self), seconds), (
                f"{len(self.posts)} requests, {len(self.stored)} events after {seconds} s"
            )

    def receive(self, posted: Posted) -> Told:
        with self.changed:
            told = self.tell(posted)
            self.posts.append(posted)
            if told.status == 200:
                self.stored += posted.events
            self.changed.notify_all()
            return told


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    collector: RecordingCollector

    def do_POST(self) -> None:  # the base class's name
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = self.collector.receive(Posted(self.path, headers, body))
        if not told.status:
            self.close_connection = True
            return
        document = {"stored": body.count(b"\n"), "duplicates": 0, "refused": []}
        content = json.dumps(document if told.document is None else told.document).encode()
        self.send_response(told.status)
        for name, value in {"content-length": str(len(content)), **told.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        pass


@contextmanager
def recording(port: int = 0) -> Iterator[RecordingCollector]:
    """A collector on a free port, or on the one given."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.daemon_threads = True
        collector = RecordingCollector(server.server_address[1])
        handler.collector = collector  # type: ignore[attr-defined]  # the class above, made anew
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
