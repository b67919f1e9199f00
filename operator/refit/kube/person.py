"""A person at the API server: requests with the rights of a kubeconfig, and the server's answers as they were given.

The operator's own door (refit.kube.live) knows a handful of kinds and verbs. A person also asks who they are, what
another may do, and for a service behind the API server; so this is one verb, and what comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

import aiohttp
import yaml
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException

from refit.kube.answers import NOT_FOUND, Answer, Me, RefusalError
from refit.kube.cluster import Kind, Manifest, UnreachableError
from refit.kube.live import JSON, MERGE, TIMEOUT_SECONDS, connect

PAGE = 500


class Person:
    """A context manager; requests go out as whoever the kubeconfig names, or the token. `agent` is the tool's name."""

    def __init__(self, api: client.ApiClient, namespace: str, agent: str = "kubectl-refit") -> None:
        self._api = api
        self._agent = agent
        self.namespace = namespace

    @classmethod
    async def of(cls, kubeconfig: str | None, context: str | None) -> Person:
        """As kubectl would choose: the named context, else the current one; raises UnreachableError if there is none."""
        try:
            api = await connect(kubeconfig, context)
            return cls(api, _namespace(kubeconfig, context))
        except (config.ConfigException, OSError, ValueError, yaml.YAMLError) as error:
            raise UnreachableError(f"the kubeconfig can not be used: {error}") from error
        except (TypeError, KeyError, AttributeError) as error:  # what the client makes of a file that is another thing
            raise UnreachableError("the kubeconfig can not be used: it is none") from error

    @classmethod
    def bearing(cls, token: str, *, server: str, ca_file: str | None, namespace: str, agent: str) -> Person:
        """As whoever the token is: that one only, never this process's own service account."""
        given = client.Configuration(client_session_kwargs={"trust_env": False})
        given.host, given.ssl_ca_cert = server, ca_file
        given.api_key, given.api_key_prefix = {"BearerToken": token}, {"BearerToken": "Bearer"}
        return cls(client.ApiClient(given), namespace, agent)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._api.close()  # type: ignore[no-untyped-call]  # the client has none

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Manifest | None = None,
        content: str = JSON,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; raises UnreachableError if there is no answer."""
        sent = {"Accept": JSON, "Content-Type": content, "User-Agent": self._agent, **(headers or {})}
        await self._api.update_params_for_auth(sent, [], ["BearerToken"], path, method, body)
        url = self._api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        try:
            response = await self._api.call_api(method, url, sent, body=body, _request_timeout=TIMEOUT_SECONDS)
            text = await response.read()  # type: ignore[no-untyped-call]  # the client has none
        except ApiException as error:  # the client raises it for what it cannot send
            raise UnreachableError(f"no answer from the API server: {error.reason}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            said = str(error) or type(error).__name__
            raise UnreachableError(f"no answer from {self._api.configuration.host}: {said}") from error
        return Answer(response.status, dict(response.headers), text)

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """The object, or None; raises RefusalError."""
        answer = await self.ask("GET", kind.path(namespace, name))
        if answer.code == NOT_FOUND and (answer.json().get("details") or {}).get("kind"):
            return None
        return _granted(answer)

    async def list(self, kind: Kind, namespace: str | None) -> list[Manifest]:
        """All objects of the kind in the namespace, or in all; raises RefusalError."""
        found: list[Manifest] = []
        query = {"limit": str(PAGE)}
        while True:
            page = _granted(await self.ask("GET", kind.path(namespace), query=query))
            found += [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page.get("items") or []]
            rest = (page.get("metadata") or {}).get("continue")
            if not rest:
                return found
            query = query | {"continue": rest}

    async def create(self, path: str, manifest: Manifest, **query: str) -> Manifest:
        """The object as created; raises RefusalError."""
        asked = {"fieldManager": self._agent, "fieldValidation": "Strict", **query}
        return _granted(await self.ask("POST", path, body=manifest, query=asked))

    async def merge(self, path: str, patch: Manifest, **query: str) -> Manifest:
        """A merge patch; raises RefusalError."""
        asked = {"fieldManager": self._agent, "fieldValidation": "Strict", **query}
        return _granted(await self.ask("PATCH", path, body=patch, content=MERGE, query=asked))

    async def delete(self, path: str) -> bool:
        """Whether it was there; raises RefusalError."""
        answer = await self.ask("DELETE", path)
        if answer.code == NOT_FOUND:
            return False
        _granted(answer)
        return True

    async def review(self, group: str, plural: str, body: Manifest) -> Manifest:
        """A question that is asked by creating an object which is not kept, such as a SelfSubjectReview."""
        return _granted(await self.ask("POST", f"/apis/{group}/v1/{plural}", body=body))

    async def token(self, namespace: str, account: str, audience: str, seconds: int) -> str:
        """A token of that ServiceAccount that is good for one audience and for so long; raises RefusalError."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        wanted = {"audiences": [audience], "expirationSeconds": seconds}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": wanted}
        return str((await self.create(path, body))["status"]["token"])

    async def me(self) -> Me:
        """Who the API server takes this person for."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        found = await self.review("authentication.k8s.io", "selfsubjectreviews", body)
        info = found["status"]["userInfo"]
        return Me(name=info["username"], groups=tuple(info.get("groups") or ()))


def _granted(answer: Answer) -> Manifest:
    if not answer.ok:
        raise RefusalError(answer)
    found: Manifest = answer.json()
    return found


def _namespace(kubeconfig: str | None, context: str | None) -> str:
    """The namespace of the context, as kubectl takes it."""
    try:
        contexts, active = config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]  # as above
    except (config.ConfigException, OSError):
        return "default"  # in a pod there is no kubeconfig
    chosen = next((one for one in contexts if one["name"] == context), active) if context else active
    return str((chosen or {}).get("context", {}).get("namespace") or "default")
