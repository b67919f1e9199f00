"""The whole of a measurement, which a status has no room for, from the collector that keeps it.

It is reached as the person: through the API server's proxy, if they may use it, with a token of the model's namespace,
if they may ask for one. The page itself may do neither.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from refit.api.events import AUDIENCE, MEASUREMENTS_PATH, PROXIED_HEADER
from refit.kube.answers import Answer, RefusalError
from refit.kube.person import Person

ACCOUNT = "default"
"""Whose token is asked for: any of the namespace will do."""
TOKEN_SECONDS = 600
NEWEST = 10
"""Measurements that are looked through for the one in the status: the collector may know a newer one."""


class NotShownError(Exception):
    """The collector's answer can not be had; the message says which right, or what else, is missing."""


async def measurement(person: Person, url: str, namespace: str, model: str, key: str) -> dict[str, Any]:
    """The measurement of that key as the collector keeps it; raises NotShownError."""
    base = proxied(url)
    if base is None:
        raise NotShownError("no collector is set for this page (REFIT_UI_COLLECTOR_URL)")
    token = await _token(person, namespace)
    answer = await person.ask(
        "GET",
        base + MEASUREMENTS_PATH.format(namespace=quote(namespace), model=quote(model)),
        headers={PROXIED_HEADER: f"Bearer {token}"},
        query={"limit": str(NEWEST)},
    )
    found = next((one for one in _records(answer) if one.get("key") == key), None)
    if found is None:
        raise NotShownError("the collector keeps this measurement no longer")
    return found


def proxied(url: str) -> str | None:
    """A Service's path behind the API server; None for an address that is none."""
    parts = urlsplit(url)
    labels = (parts.hostname or "").split(".")
    if parts.scheme != "http" or len(labels) < 3 or labels[2] != "svc":  # noqa: PLR2004  # name.namespace.svc
        return None
    return f"/api/v1/namespaces/{labels[1]}/services/http:{labels[0]}:{parts.port or 80}/proxy"


async def _token(person: Person, namespace: str) -> str:
    """Good for the collector alone, and for ten minutes."""
    try:
        return await person.token(namespace, ACCOUNT, AUDIENCE, TOKEN_SECONDS)
    except RefusalError as error:
        if error.code == 401:  # noqa: PLR2004  # the sign-in has ended: that is another matter
            raise
        raise NotShownError(
            f"you may not create serviceaccounts/token of {ACCOUNT} in namespace {namespace}"
        ) from error


def _records(answer: Answer) -> list[dict[str, Any]]:
    if answer.is_status:
        raise NotShownError(
            "you may not get services/proxy of the collector"
            if answer.code == 403  # noqa: PLR2004  # as HTTP has it
            else f"the collector was not reached through the API server ({answer.code})"
        )
    found = answer.json()
    if not answer.ok or not isinstance(found, list):
        raise NotShownError(f"the collector answered {answer.code}")
    return [one for one in found if isinstance(one, dict)]
