"""Senders: how a message reaches a receiver. What goes wrong is one line, which holds no secret."""

from __future__ import annotations

import asyncio
import base64
import json
import smtplib
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage

import aiohttp
import apprise

from refit.intake.credentials import CredentialsError, signing_secret
from refit.intake.signatures import STANDARD, sign
from refit.notify import wording
from refit.notify.configuration import Mail, Receiver, Secrets, Security, Service, Slack, Webhook
from refit.notify.wording import Message

SECONDS = 20.0
"""For all of one message, from connecting to the last answer."""
MOST_ATTACHED = 8 * 2**20
"""Bytes of attachments in one mail; what is more is named and not attached."""

Fetch = Callable[[str], Awaitable[bytes]]
"""A stored report, by its URI."""


class DeliveryError(Exception):
    """The message was not taken; the text is one line without secrets."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """All that sending needs: connections, secrets, stored reports and the time."""

    session: aiohttp.ClientSession
    secrets: Secrets
    fetch: Fetch
    clock: Callable[[], float] = time.time

    async def send(self, receiver: Receiver, message: Message) -> None:
        """Raises DeliveryError."""
        try:
            async with asyncio.timeout(SECONDS):
                if receiver.mail is not None:
                    await self._mail(receiver.mail, message)
                elif receiver.slack is not None:
                    await self._slack(receiver.slack, message)
                elif receiver.webhook is not None:
                    await self._webhook(receiver.webhook, message)
                elif receiver.apprise is not None:
                    await self._apprise(receiver.apprise, message)
        except TimeoutError:
            raise DeliveryError(f"no answer within {SECONDS:.0f} s") from None
        except (ValueError, CredentialsError) as error:
            raise DeliveryError(str(error)) from None

    async def _slack(self, way: Slack, message: Message) -> None:
        body = json.dumps(wording.slack(message)).encode()
        await self._post(self.secrets.text(way.url_file), body, {})

    async def _webhook(self, way: Webhook, message: Message) -> None:
        body = json.dumps(wording.data(message), ensure_ascii=False).encode()
        headers = {"Idempotency-Key": message.number}
        if way.token_file is not None:
            headers["Authorization"] = f"Bearer {self.secrets.text(way.token_file)}"
        if way.secret_file is not None:
            headers |= _signed(signing_secret(self.secrets.text(way.secret_file)), message.number, body, self.clock())
        await self._post(self.secrets.text(way.url_file), body, headers)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """The URL itself may be the secret, so nothing that is said of a failure names it."""
        headers = {"Content-Type": "application/json", **headers}
        try:
            async with self.session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:  # noqa: PLR2004  # the class of success
                    raise DeliveryError(f"answered {answer.status}")
        except aiohttp.ClientError as error:
            raise DeliveryError(type(error).__name__) from None

    async def _apprise(self, way: Service, message: Message) -> None:
        service = apprise.Apprise()
        if not service.add(self.secrets.text(way.url_file)):
            raise DeliveryError(f"{way.url_file} holds no URL that Apprise knows")
        body = wording.text(message)
        if not await service.async_notify(title=message.subject, body=body, body_format=apprise.NotifyFormat.TEXT):
            raise DeliveryError("the service did not take it")

    async def _mail(self, way: Mail, message: Message) -> None:
        mail = await self._written(way, message)
        credentials = None
        if way.username_file is not None and way.password_file is not None:
            credentials = (self.secrets.text(way.username_file), self.secrets.text(way.password_file))
        authority = self.secrets.text(way.authority_file) if way.authority_file is not None else None
        try:
            await asyncio.to_thread(_submit, way, mail, credentials, authority)
        except smtplib.SMTPResponseException as error:
            # The server's own words may repeat what it was given.
            raise DeliveryError(f"{way.host} answered {error.smtp_code}") from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            raise DeliveryError(f"{way.host} refused the recipients: {codes}") from None
        except ssl.SSLError as error:
            raise DeliveryError(f"{way.host}: {error.reason or 'TLS failed'}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryError(f"{way.host}: {type(error).__name__}") from None

    async def _written(self, way: Mail, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = message.subject
        mail["From"] = Address("Refit", addr_spec=way.sender)
        mail["To"] = ", ".join(way.to)
        mail["Message-ID"] = f"<{message.number}@{way.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        attached: list[tuple[str, bytes]] = []
        missing = []
        for uri in message.attachments:
            try:
                content = await self.fetch(uri)
            except DeliveryError as error:
                missing.append(f"{uri}: {error}")
                continue
            if sum(len(each) for _, each in attached) + len(content) > MOST_ATTACHED:
                missing.append(f"{uri}: too large to attach")
                continue
            attached.append((uri.rpartition("/")[2] or "report.pdf", content))
        note = "".join(f"\nNot attached: {line}" for line in missing)
        mail.set_content(wording.text(message) + note)
        mail.add_alternative(wording.page(message), subtype="html")
        for name, content in attached:
            mail.add_attachment(content, maintype="application", subtype="pdf", filename=name)
        return mail


def _submit(way: Mail, mail: EmailMessage, credentials: tuple[str, str] | None, authority: str | None) -> None:
    context = ssl.create_default_context(cadata=authority)
    server: smtplib.SMTP
    if way.security is Security.TLS:
        server = smtplib.SMTP_SSL(way.host, way.port, timeout=SECONDS, context=context)
    else:
        server = smtplib.SMTP(way.host, way.port, timeout=SECONDS)
    with server:
        if way.security is Security.START_TLS:
            server.starttls(context=context)
        if credentials is not None:
            server.login(*credentials)
        server.send_message(mail)


def _signed(secret: bytes, number: str, body: bytes, now: float) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    moment = str(int(now))
    signature = base64.b64encode(sign(secret, number, moment, body)).decode()
    return dict(zip(STANDARD, (number, moment, f"v1,{signature}"), strict=True))
