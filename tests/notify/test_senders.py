"""Messages as they arrive: at a real SMTP server over TLS, and at HTTP receivers."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from noticed import configured, notice, settings
from receivers import Hook, hook, mail_server
from refit.api.notices import Notice
from refit.intake.signatures import STANDARD, sign
from refit.notify import wording
from refit.notify.configuration import Configuration, Secrets
from refit.notify.notifier import Notifier
from refit.notify.outbox import Outbox
from refit.notify.senders import DeliveryError, Sender

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REPORT = "mlflow-artifacts:/0/run/artifacts/reports/incident.pdf"
EVIL = '<!channel> <script>alert(1)</script> {"a":"b"}\r\nBcc: all@example.com'


@pytest.fixture
async def receiver() -> AsyncIterator[Hook]:
    async with hook() as found:
        yield found


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as found:
        yield found


async def stored(uri: str) -> bytes:
    if uri != REPORT:
        raise DeliveryError("MLflow answered 404")
    return b"%PDF-1.7 a report"


def sender(session: aiohttp.ClientSession, folder: Path) -> Sender:
    return Sender(session=session, secrets=Secrets(folder), fetch=stored, clock=NOW.timestamp)


async def send(session: aiohttp.ClientSession, folder: Path, configuration: Configuration, *notices: Notice) -> None:
    message = wording.message(notices or [notice()], configuration.page, "test-1")
    await sender(session, folder).send(configuration.receivers[0], message)


async def test_slack_gets_text_that_mentions_nobody(
    session: aiohttp.ClientSession, receiver: Hook, tmp_path: Path
) -> None:
    found = configured(tmp_path, settings({"name": "s", "slack": {"urlFile": "u"}}), u=f"{receiver.url}/T0/B0/secret")
    await send(session, tmp_path, found, notice(why=EVIL))
    [post] = receiver.got
    body = json.loads(post.body)
    assert post.path == "/T0/B0/secret"
    assert body["text"] == (
        "[test-1] High: clinic/heart: Retrain of heart waits for a decision until 2026-11-22T12:00:00Z"
    )
    assert body["blocks"][0]["text"]["text"].splitlines() == [
        "*Retrain of heart waits for a decision until 2026-11-22T12:00:00Z*",
        "Cluster: test-1",
        "Namespace: clinic",
        "Model: heart",
        "Severity: High",
        "Request: heart-retrain-7c1e",
        'Why: &lt;!channel&gt; &lt;script&gt;alert(1)&lt;/script&gt; {"a":"b"} Bcc: all@example.com',
        "Impact: predicted f1 0.61 -&gt; 0.8, 90 % interval 0.74 to 0.85 (trial on 300 labelled requests)",
        "Contact: ml-on-call@example.com",
        "Since: 2026-11-21T12:00:00Z",
        "Trace: 0af7651916cd43dd8448eb211c80319c",
        "Decide: <https://refit.example.com/?namespace=clinic&model=heart&request=heart-retrain-7c1e>",
        "Command: `kubectl refit approve heart-retrain-7c1e -n clinic`",
    ]


async def test_a_webhook_gets_every_notice_signed_and_by_a_number(
    session: aiohttp.ClientSession, receiver: Hook, tmp_path: Path
) -> None:
    way = {"name": "w", "webhook": {"urlFile": "u", "tokenFile": "t", "secretFile": "s"}}
    found = configured(tmp_path, settings(way), u=receiver.url, t="a-token", s=WHSEC)
    await send(session, tmp_path, found, notice("k1"), notice("k2"))
    [post] = receiver.got
    body = json.loads(post.body)
    assert [each["key"] for each in body["notices"]] == ["k1", "k2"]
    assert (body["version"], body["cluster"]) == (1, "test-1")
    assert (post.headers["Authorization"], post.headers["Idempotency-Key"]) == ("Bearer a-token", body["id"])
    number, moment, signature = (post.headers[name] for name in STANDARD)
    secret = base64.b64decode(WHSEC.removeprefix("whsec_"))
    assert (number, moment) == (body["id"], str(int(NOW.timestamp())))
    assert signature == "v1," + base64.b64encode(sign(secret, number, moment, post.body)).decode()


async def test_other_services_are_reached_through_apprise(
    session: aiohttp.ClientSession, receiver: Hook, tmp_path: Path
) -> None:
    url = receiver.url.replace("http://", "json://")
    found = configured(tmp_path, settings({"name": "a", "apprise": {"urlFile": "u"}}), u=url)
    await send(session, tmp_path, found)
    body = json.loads(receiver.got[0].body)
    assert body["title"].startswith("[test-1] High: clinic/heart: Retrain of heart")
    assert "Command:    kubectl refit approve heart-retrain-7c1e -n clinic" in body["message"]


@pytest.mark.parametrize(
    ("way", "status", "said"),
    [
        pytest.param({"slack": {"urlFile": "u"}}, 403, "answered 403", id="Slack refuses"),
        pytest.param({"webhook": {"urlFile": "u"}}, 302, "answered 302", id="a webhook sends elsewhere"),
        pytest.param({"apprise": {"urlFile": "u"}}, 500, "u holds no URL that Apprise knows", id="no such service"),
    ],
)
async def test_what_is_not_taken_is_said_without_the_address(
    session: aiohttp.ClientSession, receiver: Hook, tmp_path: Path, way: dict[str, Any], status: int, said: str
) -> None:
    receiver.status = status
    address = "nosuch://secret" if "apprise" in way else f"{receiver.url}/secret"
    found = configured(tmp_path, settings({"name": "r", **way}), u=address)
    with pytest.raises(DeliveryError) as error:
        await send(session, tmp_path, found)
    assert str(error.value) == said
    assert [post.path for post in receiver.got] == ([] if "apprise" in way else ["/secret"])


async def test_nobody_there_is_said_without_the_address(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    found = configured(tmp_path, settings({"name": "r", "slack": {"urlFile": "u"}}), u="http://127.0.0.1:9/secret")
    with pytest.raises(DeliveryError) as error:
        await send(session, tmp_path, found)
    assert str(error.value) == "ClientConnectorError"


def mail(port: int, **more: Any) -> dict[str, Any]:
    return {
        "name": "m",
        "mail": {
            "host": "127.0.0.1",
            "port": port,
            "from": "refit@example.com",
            "to": ["alice@example.com", "bob@example.com"],
            "usernameFile": "user",
            "passwordFile": "password",
            "authorityFile": "authority",
            **more,
        },
    }


@pytest.mark.parametrize(
    ("implicit", "security"),
    [pytest.param(False, "StartTLS", id="by STARTTLS"), pytest.param(True, "TLS", id="by TLS from the first byte")],
)
async def test_a_mail_arrives_encrypted_with_its_report(
    session: aiohttp.ClientSession, tmp_path: Path, implicit: bool, security: str
) -> None:
    with mail_server(tmp_path, implicit=implicit) as box:
        authority = (tmp_path / "mail.pem").read_text()
        found = configured(
            tmp_path,
            settings(mail(box.port, security=security)),
            user="refit",
            password="one-mail-password",
            authority=authority,
        )
        await send(session, tmp_path, found, notice(why=EVIL, what=EVIL, attachments=(REPORT, REPORT + "x")))
    [got] = box.mails
    assert box.encrypted == [True]
    assert (got["From"], got["To"]) == ("Refit <refit@example.com>", "alice@example.com, bob@example.com")
    assert got["Bcc"] is None
    assert got["Subject"] == (
        '[test-1] High: clinic/heart: <!channel> <script>alert(1)</script> {"a":"b"} Bcc: all@example.com'
    )
    text, page = got.get_body(("plain",)), got.get_body(("html",))
    assert text is not None
    assert page is not None
    assert "Model:      heart" in text.get_content()
    assert f"Not attached: {REPORT}x: MLflow answered 404" in text.get_content()
    assert "<script>" not in page.get_content()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.get_content()
    [attached] = got.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("incident.pdf", "application/pdf")
    assert attached.get_payload(decode=True) == b"%PDF-1.7 a report"


@pytest.mark.parametrize(
    ("more", "secrets", "said"),
    [
        pytest.param({}, {"password": "another"}, "127.0.0.1 answered 535", id="a wrong password"),
        pytest.param(
            {"authorityFile": None}, {}, "127.0.0.1: CERTIFICATE_VERIFY_FAILED", id="a server nobody vouches for"
        ),
        pytest.param({"to": ["a@nowhere.test"]}, {}, "127.0.0.1 refused the recipients: [550]", id="no such person"),
        pytest.param(
            {"usernameFile": None, "passwordFile": None}, {}, "127.0.0.1 answered 530", id="a server that wants a login"
        ),
    ],
)
async def test_a_mail_that_is_not_taken_is_said_without_secrets(
    session: aiohttp.ClientSession, tmp_path: Path, more: dict[str, Any], secrets: dict[str, str], said: str
) -> None:
    with mail_server(tmp_path) as box:
        known = {"user": "refit", "password": "one-mail-password", "authority": (tmp_path / "mail.pem").read_text()}
        found = configured(tmp_path, settings(mail(box.port, **more)), **(known | secrets))
        with pytest.raises(DeliveryError) as error:
            await send(session, tmp_path, found)
    assert str(error.value) == said
    assert box.mails == []


async def test_twenty_things_at_once_are_one_message_and_survive_a_restart(
    session: aiohttp.ClientSession, receiver: Hook, tmp_path: Path
) -> None:
    found = configured(
        tmp_path,
        settings({"name": "w", "webhook": {"urlFile": "u"}}, grouping={"waitSeconds": 0, "intervalSeconds": 0}),
        u=receiver.url,
    )
    twenty = [notice(f"k{number:02}") for number in range(20)]

    def operator() -> tuple[Outbox, Notifier]:
        outbox = Outbox(tmp_path / "outbox.db")
        made = Notifier(
            outbox=outbox,
            configuration=found,
            cluster="test-1",
            sender=sender(session, tmp_path),
            clock=lambda: datetime.now(UTC),
            registry=CollectorRegistry(),
        )
        return outbox, made

    receiver.status = 503
    outbox, first = operator()
    first.tell(twenty)
    assert await first.deliver() == 20
    outbox.close()  # and the process ends
    receiver.status = 200
    outbox, second = operator()
    outbox._connection.execute("UPDATE delivery SET due = 0")  # the pause is over
    second.tell(twenty)
    assert await second.deliver() == 0
    outbox.close()
    refused, taken = receiver.got
    assert refused.body == taken.body
    assert [each["key"] for each in json.loads(taken.body)["notices"]] == [each.key for each in twenty]
