from __future__ import annotations

from typing import Any

import kopf
import pytest

from refit.shell.echoes import Echoes
from refit.shell.handlers import register
from refit.shell.requests import Key

HEART = ("clinic", "heart")


async def told(echoes: Echoes, kind: str | None, version: str) -> list[Key]:
    """The keys that are looked at when the watch tells of Heart."""
    added: list[Key] = []

    async def login(**_: Any) -> kopf.ConnectionInfo:
        raise AssertionError

    registry = kopf.OperatorRegistry()
    known: list[Key] = []
    register(registry, added.append, known.append, added.append, is_echo=echoes.is_echo, login=login)
    [handler] = [found for found in registry._watching._handlers if found.id.endswith(".deployment_changed")]
    event: Any = {"type": kind, "object": {"metadata": {"resourceVersion": version}}}
    await handler.fn(namespace="clinic", name="heart", event=event)  # type: ignore[call-arg, misc]  # what ours takes of it
    assert known == [("clinic", "heart")]
    return added


@pytest.mark.parametrize(
    ("kind", "version", "looked_at"),
    [
        pytest.param("MODIFIED", "8", [], id="the version that our own status write made is no news"),
        pytest.param("MODIFIED", "7", [HEART], id="an earlier version is somebody's change"),
        pytest.param("MODIFIED", "9", [HEART], id="a later version is somebody's change"),
        pytest.param(None, "8", [HEART], id="a listing is looked at"),
        pytest.param("DELETED", "8", [HEART], id="a deletion is looked at"),
    ],
)
async def test_what_is_an_echo(kind: str | None, version: str, looked_at: list[Key]) -> None:
    echoes = Echoes()
    echoes.expect(HEART, "5")
    echoes.expect(HEART, "8")
    assert await told(echoes, kind, version) == looked_at


async def test_a_model_that_is_gone_leaves_no_echo() -> None:
    echoes = Echoes()
    echoes.expect(HEART, "8")
    echoes.forget(HEART)
    assert await told(echoes, "MODIFIED", "8") == [HEART]
