# ruff: noqa: INP001 - a script that the image copies, no package
"""What kubernetes_sd_configs would find, told as http_sd_configs want it: Debian builds Prometheus without the former.

GET /pod?namespace=NAME&label=SELECTOR or /node, both parameters optional. Targets get the labels of Prometheus' own
discovery, as far as our scrape configuration reads them, so that its relabelling is the one that users have.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

ADDRESS = ("127.0.0.1", 9099)
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
KUBELET_PORT = 10250

Found = dict[str, Any]


def pods(listed: Found) -> Iterator[Found]:
    """A target for each port that a container of a pod declares."""
    for pod in listed["items"]:
        address = pod["status"].get("podIP")
        if not address:
            continue
        for container in pod["spec"]["containers"]:
            for port in container.get("ports", ()):
                meta = {
                    "namespace": pod["metadata"]["namespace"],
                    "pod_name": pod["metadata"]["name"],
                    "pod_phase": pod["status"]["phase"],
                    "pod_container_name": container["name"],
                    "pod_container_port_name": port.get("name", ""),
                    "pod_container_port_number": str(port["containerPort"]),
                }
                yield _target(f"{address}:{port['containerPort']}", meta)


def nodes(listed: Found) -> Iterator[Found]:
    """Each node's kubelet."""
    for node in listed["items"]:
        addresses = {each["type"]: each["address"] for each in node["status"]["addresses"]}
        name = node["metadata"]["name"]
        yield _target(f"{addresses['InternalIP']}:{KUBELET_PORT}", {"node_name": name})


def _target(address: str, meta: dict[str, str]) -> Found:
    return {"targets": [address], "labels": {f"__meta_kubernetes_{name}": value for name, value in meta.items()}}


def path_of(asked: str) -> str:
    """The API server's path for what was asked; raises ValueError for anything else."""
    parts = urlsplit(asked)
    given = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if parts.path == "/node":
        return "/api/v1/nodes"
    if parts.path != "/pod":
        raise ValueError(f"no such discovery: {parts.path}")
    place = f"/namespaces/{quote(given['namespace'], safe='')}" if "namespace" in given else ""
    return f"/api/v1{place}/pods?" + urlencode({"labelSelector": given.get("label", "")})


class Handler(BaseHTTPRequestHandler):
    """Asks the API server anew each time, as the pod's ServiceAccount."""

    def do_GET(self) -> None:  # the library's name
        try:
            path = path_of(self.path)
            listed = _asked(path)
        except ValueError as error:
            self._answer(HTTPStatus.NOT_FOUND, {"error": str(error)})
        except OSError as error:
            # Prometheus keeps what it knew and asks again.
            self._answer(HTTPStatus.BAD_GATEWAY, {"error": str(error)})
        else:
            self._answer(HTTPStatus.OK, list((nodes if path.endswith("/nodes") else pods)(listed)))

    def _answer(self, code: HTTPStatus, body: object) -> None:
        sent = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Nothing: it is asked every few seconds."""


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))


def _asked(path: str) -> Found:
    server = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    token = (ACCOUNT / "token").read_text()
    request = urllib.request.Request(server + path, headers={"Authorization": f"Bearer {token}"})  # noqa: S310  # https, above
    with urllib.request.urlopen(request, timeout=5, context=_trust()) as reply:  # noqa: S310  # https, above
        found: Found = json.load(reply)
    return found


if __name__ == "__main__":
    sys.stdout.write(f"answering at {ADDRESS[0]}:{ADDRESS[1]}\n")
    ThreadingHTTPServer(ADDRESS, Handler).serve_forever()
