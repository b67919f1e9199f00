"""Somebody outside the cluster's own objects is told: a real receiver in a pod, an operator that is killed meanwhile."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
import yaml
from pypdf import PdfReader

from operators import kill_operator
from real_cluster import SYSTEM, Space, eventually
from refit.core.pods import container_security, pod_security
from specs import heart

pytestmark = pytest.mark.cluster

RECEIVER = """\
import http.server, sys
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sys.stdout.write(body.decode() + "\\n")
        sys.stdout.flush()
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("", 8080), Receiver).serve_forever()
"""
MAILBOX = """\
import asyncore, base64, smtpd
class Mailbox(smtpd.SMTPServer):
    def process_message(self, peer, sender, receivers, data, **options):
        print(base64.b64encode(data).decode(), flush=True)
mailbox = Mailbox(("0.0.0.0", 8025), None)
asyncore.loop()
"""
"""The SMTP server of Python's own library, which Python 3.11 still has: one line for each mail."""
SECRET = f"/api/v1/namespaces/{SYSTEM}/secrets"
OPERATOR = "deployment/refit-operator"


def restart(space: Space) -> None:
    """What is configured is read when the operator starts."""
    space.cluster.run("rollout", "restart", OPERATOR, "-n", SYSTEM)
    space.cluster.run("rollout", "status", OPERATOR, "-n", SYSTEM, "--timeout=120s")


@pytest.fixture(scope="module")
def told(space: Space) -> Iterator[Space]:
    """A receiver in a pod, and an operator that tells it of this namespace."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "receiver", "namespace": space.name, "labels": {"app": "receiver"}},
        "spec": {
            "securityContext": pod_security(),
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": name,
                    "image": space.cluster.images["operator"],
                    "command": ["python", "-W", "ignore", "-c", program],
                    "securityContext": container_security(),
                    "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
                }
                for name, program, port in (("receiver", RECEIVER, 8080), ("mailbox", MAILBOX, 8025))
            ],
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "receiver", "namespace": space.name},
        "spec": {
            "selector": {"app": "receiver"},
            "ports": [{"name": "http", "port": 8080}, {"name": "smtp", "port": 8025}],
        },
    }
    space.cluster.run("apply", "-f", "-", text=yaml.safe_dump_all([pod, service]))
    space.cluster.run("wait", "--for=condition=Ready", "pod/receiver", "-n", space.name, "--timeout=120s")
    settings = {
        "page": "https://refit.example.com",
        "receivers": [
            {"name": "tickets", "webhook": {"urlFile": "tickets-url"}},
            {
                "name": "archive",
                "mail": {
                    "host": f"receiver.{space.name}.svc",
                    "port": 8025,
                    "security": "Plain",
                    "from": "refit@example.com",
                    "to": ["archive@example.com"],
                },
            },
        ],
        "routes": [
            {"receivers": ["tickets"], "namespaces": [space.name]},
            {"receivers": ["archive"], "namespaces": [space.name], "kinds": ["Report"]},
        ],
        "grouping": {"waitSeconds": 2, "intervalSeconds": 2},
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "refit-notifications", "namespace": SYSTEM},
        "stringData": {
            "notifications.yaml": yaml.safe_dump(settings),
            "tickets-url": f"http://receiver.{space.name}.svc:8080/",
        },
    }
    space.cluster.client.delete(f"{SECRET}/refit-notifications")
    space.cluster.client.create(SECRET, secret).accepted()
    restart(space)
    yield space
    space.cluster.client.delete(f"{SECRET}/refit-notifications")
    restart(space)


def got(space: Space) -> list[dict[str, Any]]:
    """Every notice that the receiver was told of."""
    lines = space.cluster.run("logs", "receiver", "-c", "receiver", "-n", space.name).splitlines()
    return [notice for line in lines for notice in json.loads(line)["notices"]]


def mailed(space: Space) -> list[EmailMessage]:
    """Every mail that the mailbox took."""
    lines = space.cluster.run("logs", "receiver", "-c", "mailbox", "-n", space.name).splitlines()
    return [message_from_bytes(b64decode(line), _class=EmailMessage, policy=default) for line in lines]


def test_the_configuration_can_be_tried_out(told: Space) -> None:
    said = told.cluster.run(
        *("exec", "-n", SYSTEM, OPERATOR, "--", "python", "-m", "refit.notify", "/etc/refit/notifications")
    )
    assert said == "tickets: took it\narchive: took it\n"
    [notice] = got(told)
    assert notice["what"] == "This is a try: Refit's notifications reach you"


def test_a_model_that_needs_a_person_is_told_once_though_the_operator_is_killed(told: Space) -> None:
    told.declare("faulty", heart(data={"target": {"column": "nosuch", "positiveWhen": "> 0"}}))
    told.becomes_stalled("faulty")
    kill_operator(told)

    def about() -> list[dict[str, Any]] | None:
        return [notice for notice in got(told) if notice["model"] == "faulty"] or None

    notice = eventually(about, 60, "the receiver is told of the model that needs a person")[0]
    assert (notice["kind"], notice["severity"]) == ("Stalled", "High")
    assert "nosuch" in notice["why"]
    assert notice["commands"] == [f"kubectl refit explain faulty -n {told.name}"]
    kill_operator(told)
    told.declare("faulty", heart(data={"target": {"column": "none", "positiveWhen": "> 0"}}))
    eventually(lambda: "none" in told.explain("faulty") or None, 120, "the changed spec is judged")
    # Killed between the receiver's yes and its own note of it, it tells the same again, under the same key.
    assert {one["key"] for one in about() or ()} == {notice["key"]}, "the same reason within the hour is told once"


def test_who_has_to_decide_is_told_what_and_where(told: Space) -> None:
    told.declare("heart", heart() | {"remediation": {"mode": "Act"}})
    told.becomes_ready("heart")
    request = {
        "apiVersion": "refit.dev/v1alpha1",
        "kind": "RemediationRequest",
        "metadata": {"name": "wish", "namespace": told.name},
        "spec": {
            "targetRef": {"name": "heart"},
            "action": "Retrain",
            "trigger": {"type": "Human"},
            "requestedBy": told.cluster.me,
            "note": "the newest data is better",
        },
    }
    told.cluster.run("create", "-f", "-", text=yaml.safe_dump(request))

    def asked() -> dict[str, Any] | None:
        return next((notice for notice in got(told) if notice["kind"] == "ApprovalNeeded"), None)

    notice = eventually(asked, 90, "the receiver is told of the request")
    made = told.cluster.client.get(told.path("refit.dev/v1alpha1", "remediationrequests", "wish")).accepted()
    assert notice["request"] == "wish"
    assert "newest data" in notice["why"]
    assert notice["link"] == f"https://refit.example.com/?namespace={told.name}&model=heart&request=wish"
    assert f"kubectl refit approve wish -n {told.name}" in notice["commands"]
    assert len(notice["trace"]) == 32
    assert made["status"]["phase"] == "AwaitingApproval"


def test_a_mail_has_the_report_that_mlflow_keeps_attached(told: Space) -> None:
    def stored() -> dict[str, Any] | None:
        reports = told.deployment("heart")["status"].get("reports") or []
        return next((one for one in reports if one.get("request") == "wish" and one["phase"] == "Stored"), None)

    report = eventually(stored, 180, "the report of what waits for a decision is stored")
    name = report["uri"].rpartition("/")[2]

    def attached() -> bytes | None:
        parts = [part for mail in mailed(told) for part in mail.iter_attachments() if part.get_filename() == name]
        return parts[0].get_content() if parts else None

    pdf = eventually(attached, 90, f"a mail has {name} attached")
    assert sha256(pdf).hexdigest() == report["sha256"]
    assert "the newest data is better" in " ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages)
