"""Who is let in on /v1/alertmanager: tokens as they change, and client certificates of an authority made here."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from intake_authority import TODAY, Authority, encrypted
from intake_server import BEARER, Running, alert, delivery, started

STORED, NOBODY = (202, {"stored": 1}), (401, {"error": "unauthorized"})


async def tell(intake: Running, headers: dict[str, str], **more: Any) -> tuple[int, dict[str, Any]]:
    return await intake.post("/v1/alertmanager", delivery(alert(**more)), headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_token_is_changed_without_a_moment_in_which_none_is_taken(tmp_path: Path) -> None:
    first, second = bearer("the-first-of-tokens"), bearer("the-second-of-tokens")
    file = tmp_path / "token_file"
    file.write_text("the-first-of-tokens\n")
    async with started(tmp_path) as intake:
        assert [(await tell(intake, one))[0] for one in (first, second)] == [202, 401]
        for text, expected in (
            ("the-first-of-tokens\nthe-second-of-tokens\n", [202, 202]),
            ("the-second-of-tokens\n", [401, 202]),
        ):
            file.write_text(text)
            intake.later(seconds=2)
            assert [(await tell(intake, one))[0] for one in (first, second)] == expected


async def test_a_token_file_that_is_gone_lets_nobody_in_and_loses_nothing(tmp_path: Path) -> None:
    async with started(tmp_path) as intake:
        text = (tmp_path / "token_file").read_text()
        (tmp_path / "token_file").unlink()
        intake.later(seconds=2)
        assert await tell(intake, BEARER) == (503, {"error": "the operator can not read its secrets"})
        (tmp_path / "token_file").write_text(text)
        assert await tell(intake, BEARER) == STORED


@asynccontextmanager
async def connected(intake: Running, trusted: Path, certificate: Path | None) -> AsyncIterator[None]:
    """All that is told meanwhile comes on one connection, with a client certificate or without."""
    context = ssl.create_default_context(cafile=str(trusted))
    if certificate is not None:
        context.load_cert_chain(certificate)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=1)) as session:
        intake.session = session
        yield


async def say(intake: Running, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    return await tell(intake, headers, startsAt=(TODAY - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"))


async def ask(
    intake: Running, trusted: Path, certificate: Path | None, headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    """The answer on a connection of its own."""
    async with connected(intake, trusted, certificate):
        return await say(intake, headers)


async def test_a_token_or_a_certificate_is_enough(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as (intake, authority):
        client = authority.issue("alertmanager")
        assert await ask(intake, authority.file, client, {}) == STORED
        assert (await ask(intake, authority.file, None, BEARER))[0] == 202
        assert await ask(intake, authority.file, None, {}) == NOBODY


async def test_strict_asks_for_both(tmp_path: Path) -> None:
    async with encrypted(tmp_path, STRICT="true") as (intake, authority):
        client = authority.issue("alertmanager")
        assert await ask(intake, authority.file, client, {}) == NOBODY
        assert await ask(intake, authority.file, None, BEARER) == NOBODY
        assert await ask(intake, authority.file, client, BEARER) == STORED


async def test_only_certificates_of_given_names_are_taken(tmp_path: Path) -> None:
    async with encrypted(tmp_path, TLS_CLIENT_NAMES="alertmanager") as (intake, authority):
        assert await ask(intake, authority.file, authority.issue("another"), {}) == NOBODY
        assert await ask(intake, authority.file, authority.issue("alertmanager"), {}) == STORED


async def test_47_an_expired_certificate_is_refused_before_http(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as (intake, authority):
        with pytest.raises(aiohttp.ClientError):
            await ask(intake, authority.file, authority.issue("old", days=-1), BEARER)


async def test_47_a_certificate_of_another_authority_is_refused_before_http(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with encrypted(tmp_path) as (intake, authority):
        stranger = Authority(tmp_path / "other", "stranger").issue("alertmanager")
        with pytest.raises(aiohttp.ClientError):
            await ask(intake, authority.file, stranger, {})


async def test_47_a_certificate_that_expires_on_an_open_connection_is_refused(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as (intake, authority):
        client = authority.issue("alertmanager")
        intake.now = TODAY + timedelta(days=2)
        assert await ask(intake, authority.file, client, {}) == NOBODY


def other_authority(folder: Path) -> Authority:
    (folder / "other").mkdir()
    return Authority(folder / "other")


async def test_a_certificate_is_changed_without_a_restart(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as (intake, authority):
        other = other_authority(tmp_path)
        assert (await ask(intake, authority.file, None, BEARER))[0] == 202
        shutil.copy(other.issue("localhost"), tmp_path / "localhost.pem")
        intake.later(seconds=2)
        assert (await ask(intake, other.file, None, BEARER))[0] == 202
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask(intake, authority.file, None, BEARER)


async def test_a_certificate_that_can_not_be_used_leaves_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with encrypted(tmp_path) as (intake, authority):
        (tmp_path / "localhost.pem").write_text("half a certifi")
        for _ in range(2):
            intake.later(seconds=2)
            assert (await ask(intake, authority.file, None, BEARER))[0] == 202
        authority.issue("localhost")
        intake.later(seconds=2)
        assert (await ask(intake, authority.file, None, BEARER))[0] == 202
    told = [re.sub(": .*", "", one) for one in caplog.messages if "certificates" in one]
    assert told == ["the intake keeps its old certificates", "the intake's certificates were read again"]


async def test_an_authority_that_is_taken_away_lets_nobody_in_any_more(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as (intake, authority):
        other = other_authority(tmp_path)
        old, new = authority.issue("alertmanager"), other.issue("alertmanager")
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(authority.file.read_bytes())
        async with connected(intake, trusted, old):
            assert await say(intake, {}) == STORED
            shutil.copy(other.file, authority.file)
            intake.later(seconds=2)
            # The sender comes again, and then has to show its certificate anew.
            assert await say(intake, {}) == (503, {"error": "the operator's certificates have changed: connect again"})
        with pytest.raises(aiohttp.ClientError):
            await ask(intake, trusted, old, {})
        assert (await ask(intake, trusted, new, {}))[0] == 202


async def test_an_open_connection_with_a_token_goes_on_when_certificates_change(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as (intake, authority), connected(intake, authority.file, None):
        assert await say(intake, BEARER) == STORED
        authority.issue("localhost")
        intake.later(seconds=2)
        assert (await say(intake, BEARER))[0] == 202


async def test_no_session_is_taken_up_again_with_a_certificate_of_before(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as (intake, authority):
        context = ssl.create_default_context(cafile=str(authority.file))
        context.load_cert_chain(authority.issue("alertmanager"))
        host, _, port = intake.url.removeprefix("https://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        await reader.read()  # a ticket would have come by then
        connection = writer.get_extra_info("ssl_object")
        assert (connection.version(), connection.session.has_ticket) == ("TLSv1.3", False)
        writer.close()
