"""The whole of a measurement, which a status has no room for, from the collector that keeps it.

The collector opens a namespace to whoever shows a token of it. The page has none; it asks for one as the person, who
may have it by the role refit-tracer, and which is good for the collector alone.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from refit.api.events import AUDIENCE, MEASUREMENTS_PATH
from refit.kube.answers import RefusalError
from refit.kube.person import Person

ACCOUNT = "default"
"""Whose token is asked for: any of the namespace will do."""
TOKEN_SECONDS = 600
TIMEOUT = httpx.Timeout(8.0, connect=2.0)
NEWEST = 10
"""Measurements that are looked through for the one in the status: the collector may know a newer one."""


class NotShownError(Exception):
    """The measurement can not be had; the message is a sentence that says why, or which role it takes."""


async def measurement(person: Person, url: str, namespace: str, model: str, key: str) -> dict[str, Any]:
    """The measurement of that key as the collector keeps it; raises NotShownError."""
    if not url:
        raise NotShownError("No collector is set for this page (REFIT_UI_COLLECTOR_URL).")
    token = await _token(person, namespace)
    path = MEASUREMENTS_PATH.format(namespace=quote(namespace), model=quote(model))
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
            answer = await client.get(
                url + path, params={"limit": NEWEST}, headers={"Authorization": f"Bearer {token}"}
            )
        records = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError) as error:
        raise NotShownError(f"The collector did not answer: {str(error) or type(error).__name__}.") from error
    if not isinstance(records, list):
        raise NotShownError(f"The collector answered {answer.status_code}.")
    found = next((one for one in records if isinstance(one, dict) and one.get("key") == key), None)
    if found is None:
        raise NotShownError("The collector keeps this measurement no longer.")
    return found


async def _token(person: Person, namespace: str) -> str:
    """Good for the collector alone, and for ten minutes."""
    try:
        return await person.token(namespace, ACCOUNT, AUDIENCE, TOKEN_SECONDS)
    except RefusalError as error:
        if error.code == 401:  # noqa: PLR2004  # the sign-in has ended: that is another matter
            raise
        raise NotShownError(
            f"That needs the role refit-tracer in namespace {namespace}. Whoever runs the cluster can give it."
        ) from error
