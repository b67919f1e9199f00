"""The real API server, through the official client's asyncio side, as plain data.

The client's typed models cost 18 times what `json.loads` does and drop fields they do not know, so
requests are made one level below them: its authentication, TLS, proxy and pool, our dictionaries.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException

from refit.api import meta
from refit.kube.cluster import (
    ACCESS_REVIEW,
    TOKEN_REVIEW,
    ConflictError,
    Kind,
    KindMissingError,
    Manifest,
    NotFoundError,
    RefusedError,
    UnreachableError,
    kind_of,
)

APPLY = "application/apply-patch+yaml; charset=utf-8"
MERGE = "application/merge-patch+json"
JSON = "application/json"
TIMEOUT_SECONDS = 30.0
PAGE = 500

Count = Callable[[str, str], None]
"""Told the verb and the HTTP status code ("0" for no answer) of each request."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The server that a client speaks to and how it proves itself, for what makes connections of its own."""

    server: str
    verify: bool
    ca_path: str | None
    certificate_path: str | None
    key_path: str | None
    proxy_url: str | None
    authorization: str
    """Scheme and token, or nothing."""


async def credentials(api: client.ApiClient) -> Credentials:
    """As of now: a token that is read from a file or made by a command is a fresh one."""
    found = api.configuration
    return Credentials(
        server=found.host,
        verify=found.verify_ssl,
        ca_path=found.ssl_ca_cert,
        certificate_path=found.cert_file,
        key_path=found.key_file,
        proxy_url=found.proxy,
        authorization=await found.get_api_key_with_prefix("BearerToken") or "",
    )


async def connect(kubeconfig: str | None, context: str | None) -> client.ApiClient:
    """A client for the pod's own service account, or for a kubeconfig where there is none or one is named."""
    # What the kubeconfig says holds, and no proxy or password from elsewhere; asking the environment and ~/.netrc
    # costs a thread for every request, and Kopf, which watches the same server, does not ask them either.
    found = client.Configuration(client_session_kwargs={"trust_env": False})
    if kubeconfig is None and context is None:
        try:
            config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]  # the client has none
            return client.ApiClient(found)
        except config.ConfigException:
            pass
    await config.load_kube_config(  # type: ignore[no-untyped-call]  # the client has none
        config_file=kubeconfig, context=context, client_configuration=found
    )
    return client.ApiClient(found)


class LiveCluster:
    """A Cluster over HTTP."""

    def __init__(self, api: client.ApiClient, count: Count = lambda _verb, _code: None) -> None:
        self._api = api
        self._count = count

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        try:
            return await self._request("GET", kind.path(namespace, name), verb="get")
        except KindMissingError:
            raise
        except NotFoundError:
            return None

    async def list(self, kind: Kind, namespace: str | None, selector: str = "") -> list[Manifest]:
        found: list[Manifest] = []
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await self._request("GET", kind.path(namespace), query=query, verb="list")
            found += [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page.get("items") or []]
            rest = (page.get("metadata") or {}).get("continue")
            if not rest:
                return found
            query = query | {"continue": rest}

    async def create(self, manifest: Manifest) -> Manifest:
        path = kind_of(manifest).path(manifest["metadata"]["namespace"])
        query = {"fieldManager": meta.FIELD_MANAGER}
        return await self._request("POST", path, query=query, body=manifest, verb="create")

    async def apply(self, manifest: Manifest) -> Manifest:
        return await self._apply(manifest, None)

    async def apply_status(self, manifest: Manifest) -> Manifest:
        return await self._apply(manifest, "status")

    async def _apply(self, manifest: Manifest, subresource: str | None) -> Manifest:
        metadata = manifest["metadata"]
        path = kind_of(manifest).path(metadata["namespace"], metadata["name"], subresource)
        query = {"fieldManager": meta.FIELD_MANAGER, "force": "true"}
        # Written here and not by the client: it escapes to ASCII, and an apply is read as YAML, whose escapes
        # know no characters beyond the first 65,536.
        body = json.dumps(manifest, ensure_ascii=False).encode()
        return await self._request("PATCH", path, query=query, body=body, content=APPLY, verb="apply")

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Manifest) -> Manifest:
        query = {"fieldManager": meta.FIELD_MANAGER}
        path = kind.path(namespace, name)
        return await self._request("PATCH", path, query=query, body=patch, content=MERGE, verb="patch")

    async def rehearse_status(self, kind: Kind, namespace: str, name: str, patch: Manifest) -> None:
        query = {"fieldManager": meta.FIELD_MANAGER, "dryRun": "All"}
        path = kind.path(namespace, name, "status")
        await self._request("PATCH", path, query=query, body=patch, content=MERGE, verb="rehearse")

    async def may(
        self,
        user: str,
        groups: tuple[str, ...],
        verb: str,
        group: str,
        resource: str,
        subresource: str,
        namespace: str,
        name: str,
    ) -> bool:
        asked = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        review = {
            "apiVersion": ACCESS_REVIEW.api_version,
            "kind": ACCESS_REVIEW.kind,
            "spec": {"user": user, "groups": list(groups), "resourceAttributes": asked},
        }
        found = await self._request("POST", ACCESS_REVIEW.path(None), body=review, verb="review")
        return bool((found.get("status") or {}).get("allowed"))

    async def whose(self, token: str, audience: str) -> tuple[str, tuple[str, ...]] | None:
        """User and groups of a token that was made out for that audience; None if it is no such token."""
        review = {
            "apiVersion": TOKEN_REVIEW.api_version,
            "kind": TOKEN_REVIEW.kind,
            "spec": {"token": token, "audiences": [audience]},
        }
        found = (await self._request("POST", TOKEN_REVIEW.path(None), body=review, verb="review")).get("status") or {}
        if not found.get("authenticated") or audience not in (found.get("audiences") or ()):
            return None
        return str(found["user"]["username"]), tuple(found["user"].get("groups") or ())

    async def delete(self, kind: Kind, namespace: str, name: str) -> None:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        try:
            await self._request("DELETE", kind.path(namespace, name), body=body, verb="delete")
        except NotFoundError:
            return

    async def _request(
        self,
        method: str,
        path: str,
        *,
        verb: str,
        query: dict[str, str] | None = None,
        body: Manifest | bytes | None = None,
        content: str = JSON,
    ) -> Manifest:
        headers = {"Accept": JSON, "Content-Type": content, "User-Agent": "refit-operator"}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        try:
            response = await self._api.call_api(method, url, headers, body=body, _request_timeout=TIMEOUT_SECONDS)
            text = await response.read()  # type: ignore[no-untyped-call]  # the client has none
        except ApiException as error:  # the client raises it for what it cannot send
            self._count(verb, "0")
            raise UnreachableError(f"{method} {path}: {error.reason}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._count(verb, "0")
            raise UnreachableError(f"{method} {path}: {type(error).__name__} {error}") from error
        self._count(verb, str(response.status))
        if response.status >= 300:  # noqa: PLR2004  # every success of this API is a 2xx
            raise _refusal(response.status, f"{method} {path}", text)
        found: Manifest = json.loads(text)
        return found


def _refusal(status: int, what: str, body: bytes) -> Exception:
    """The error that a status code means. Only the message is kept of a body, and not all of it."""
    details = _status_object(body)
    message = f"{what}: {status} {details.get('message', '')}"[:1024]
    if status == 404:  # noqa: PLR2004
        # An unknown path is answered without details; an unknown object is named in them.
        known = bool((details.get("details") or {}).get("name")) or (details.get("details") or {}).get("kind")
        return NotFoundError(message) if known else KindMissingError(message)
    if status == 409:  # noqa: PLR2004
        return ConflictError(message)
    if status in (400, 403, 405, 413, 415, 422):
        return RefusedError(message)
    return UnreachableError(message)


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
