"""Kopf as informer: every event only means "look again at that ModelDeployment".

Only this module and the wiring know Kopf. Handlers are `on.event`: no state on objects, no finalizers, nothing
that a restart would lose. Kopf brings listing, watching, reconnecting and authentication.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

import kopf

from refit.api import meta
from refit.kube.live import Credentials
from refit.shell.requests import Key

Add = Callable[[Key], None]
Login = Callable[..., Awaitable[kopf.ConnectionInfo]]

CHILDREN = (
    ("batch", "v1", "jobs"),
    ("apps", "v1", "deployments"),
    ("serving.kserve.io", "v1beta1", "inferenceservices"),
)
"""Kinds whose objects carry our label when they belong to a ModelDeployment."""
OURS = f"{meta.LABEL_MANAGED_BY}={meta.MANAGED_BY}"


def register(
    registry: kopf.OperatorRegistry,
    add: Add,
    know: Add,
    notice: Add,
    *,
    is_echo: Callable[[Key, str | None], bool],
    login: Login,
) -> None:
    """Registers the handlers; `add` puts a key into the queue, `know` remembers that the model is there, `notice` that it has requests."""

    async def deployment_changed(namespace: str | None, name: str | None, event: Mapping[str, Any], **_: Any) -> None:
        if not namespace or not name:
            return
        know((namespace, name))
        # A listing (no type) may stand for changes that were never told one by one.
        version = event["object"]["metadata"].get("resourceVersion")
        if event["type"] == "MODIFIED" and is_echo((namespace, name), version):
            return
        add((namespace, name))

    async def child_changed(namespace: str | None, labels: Mapping[str, str], **_: Any) -> None:
        deployment = labels.get(meta.LABEL_DEPLOYMENT)
        if namespace and deployment:
            add((namespace, deployment))

    async def request_changed(namespace: str | None, spec: Mapping[str, Any], **_: Any) -> None:
        target = (spec.get("targetRef") or {}).get("name")
        if namespace and target:
            notice((namespace, target))
            add((namespace, target))

    kopf.on.login(registry=registry)(login)
    kopf.on.event(meta.GROUP, meta.VERSION, meta.DEPLOYMENTS, registry=registry)(deployment_changed)
    kopf.on.event(meta.GROUP, meta.VERSION, meta.REQUESTS, registry=registry)(request_changed)
    for group, version, plural in CHILDREN:
        kopf.on.event(group, version, plural, labels={meta.LABEL_MANAGED_BY: meta.MANAGED_BY}, registry=registry)(
            child_changed
        )


def kopf_settings() -> kopf.OperatorSettings:
    """Kopf's settings, each where its default would hurt."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # our Events are written, deduplicated, by the recorder
    settings.peering.standalone = True
    settings.scanning.disabled = False  # KServe may be installed after us
    settings.watching.chunk_size = 500
    settings.watching.inactivity_timeout = 70
    settings.watching.connect_timeout = 10
    for group, version, plural in CHILDREN:
        settings.watching.label_selectors[group, version, plural] = OURS
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.enforce_retry_after = True
    settings.queueing.idle_timeout = 1  # a worker per object is only a relay to our queue
    settings.persistence.finalizer = f"{meta.GROUP}/unused"
    settings.persistence.diffbase_storage = NoDifferences()
    settings.persistence.progress_storage = NoProgress()
    return settings


class NoDifferences(kopf.DiffBaseStorage):
    """Kopf compares each object with how it last was, for handlers that we have none of; that is half of its work."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:  # noqa: ARG002  # the base's
        return cast("kopf.BodyEssence", {})

    def fetch(self, *, body: kopf.Body) -> None:
        """Nothing was stored."""

    def store(self, **_: Any) -> None:
        """Nothing is."""


class NoProgress(kopf.ProgressStorage):
    """Kopf remembers how far a handler got, for handlers that may take several tries; ours never do."""

    def fetch(self, **_: Any) -> None:
        """Nothing was stored."""

    def store(self, **_: Any) -> None:
        """Nothing is."""

    def purge(self, **_: Any) -> None:
        """Nothing was stored."""

    def touch(self, **_: Any) -> None:
        """Nothing is waited for."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def login_with(credentials: Callable[[], Awaitable[Credentials]]) -> Login:
    """The one login: what the gateway itself connects with, so that both speak to the same cluster as the same user.

    Kopf's own would read $KUBECONFIG, and not the file and context that the settings name.
    """

    async def login(**_: Any) -> kopf.ConnectionInfo:
        found = await credentials()
        scheme, _space, token = found.authorization.partition(" ")
        return kopf.ConnectionInfo(
            server=found.server,
            ca_path=found.ca_path,
            insecure=not found.verify,
            certificate_path=found.certificate_path,
            private_key_path=found.key_path,
            scheme=scheme or None,
            token=token or None,
            proxy_url=found.proxy_url,
        )

    return login
