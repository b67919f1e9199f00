"""The small client against a server of its own over TLS: what a kept connection does when the server has gone and come."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from refit_cluster.certificates import Pair, authority, signed
from refit_cluster.client import Client


class _Server(ThreadingHTTPServer):
    def __init__(self, *, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Versions)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.closed = threading.Semaphore(0)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        super().shutdown_request(request)
        self.closed.release()


class _Versions(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answers, and closes without having said so before, as a server does that is stopped."""
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
        self.close_connection = self.path == "/last"

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def _served(pair: Pair) -> Iterator[_Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server = _Server(context=context)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[_Server]:
    ca = authority(tmp_path, "ca")
    with _served(signed(ca, tmp_path, "server", user="server", hosts=["127.0.0.1"])) as server:
        yield server


@pytest.fixture
def client(server: _Server, tmp_path: Path) -> Iterator[Client]:
    trusted = base64.b64encode((tmp_path / "ca.crt").read_bytes()).decode()
    there = {"server": f"https://127.0.0.1:{server.server_port}", "certificate-authority-data": trusted}
    config = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": there}],
        "users": [{"name": "test", "user": {"token": "of-a-test"}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    with Client(tmp_path / "kubeconfig") as client:
        yield client


def test_a_connection_that_the_server_has_closed_is_opened_again(server: _Server, client: Client) -> None:
    for path in ("/first", "/last", "/first", "/last"):
        assert client.get(path).code == 200
        if path == "/last":
            assert server.closed.acquire(timeout=30)
