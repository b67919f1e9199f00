"""The local registry: a container on kind's network, which pods and the host both know as localhost:5001.

The node resolves that name through containerd's hosts.toml, the host through a published port, so that one image
reference is good in both places, and pods pull by digest what was pushed a moment ago.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus

from refit_cluster import engine, kind
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError, run, wait_until

ADDRESS = "localhost:5001"
CONTAINER = "refit-registry"
NETWORK = "kind"
INNER_PORT = 5000
CONFIG_PATH = "/etc/distribution/config.yml"

CONFIG = f"""\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: /var/lib/registry}}
  delete: {{enabled: true}}
http: {{addr: ":{INNER_PORT}"}}
"""

HOSTS = f'[host."http://{CONTAINER}:{INNER_PORT}"]\n'


MANIFESTS = ", ".join(
    f"application/vnd.{kind}"
    for kind in (
        "docker.distribution.manifest.v2+json",
        "docker.distribution.manifest.list.v2+json",
        "oci.image.manifest.v1+json",
        "oci.image.index.v1+json",
    )
)


def answers(address: str = ADDRESS) -> bool:
    """Whether a registry is there; one that first wants to know who asks is, too."""
    host = address.partition("/")[0]
    for scheme in ("http",) if address == ADDRESS else ("https", "http"):
        try:
            with urllib.request.urlopen(f"{scheme}://{host}/v2/", timeout=3):  # noqa: S310
                return True
        except urllib.error.HTTPError as refusal:
            return refusal.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        except OSError:
            continue
    return False


def _ask(method: str, path: str, body: bytes | None = None, kind: str = "") -> http.client.HTTPResponse:
    headers = {"Accept": MANIFESTS, **({"Content-Type": kind} if kind else {})}
    request = urllib.request.Request(f"http://{ADDRESS}/v2/{path}", data=body, headers=headers, method=method)
    reply: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=10)  # noqa: S310
    return reply


def tags(repository: str) -> tuple[str, ...]:
    try:
        with _ask("GET", f"{repository}/tags/list") as reply:
            return tuple(json.loads(reply.read())["tags"] or ())
    except urllib.error.HTTPError:
        return ()


def keep_only(repository: str, wanted: Sequence[str], in_use: frozenset[str]) -> None:
    """Drops all other tags, then the layers that no tag leads to. Digests in use stay, under tags of their own.

    Nothing may be pushed meanwhile, or a layer could go that a new image counts on: the caller holds the lock.
    """
    kept = {*wanted, *(tag for digest in in_use if (tag := _tagged(repository, digest)))}
    others = [tag for tag in tags(repository) if tag not in kept]
    for tag in others:
        _ask("DELETE", f"{repository}/manifests/{tag}").close()
    if others:
        engine.docker("exec", CONTAINER, "registry", "garbage-collect", "--quiet", "--delete-untagged", CONFIG_PATH)


def _tagged(repository: str, digest: str) -> str | None:
    """The tag that the digest now has; None if the repository does not hold it."""
    try:
        with _ask("GET", f"{repository}/manifests/{digest}") as reply:
            manifest, kind = reply.read(), reply.headers["Content-Type"]
    except urllib.error.HTTPError:
        return None
    tag = f"in-use-{digest.removeprefix('sha256:')[:12]}"
    _ask("PUT", f"{repository}/manifests/{tag}", manifest, kind).close()
    return tag


def start(places: Places, image: str) -> None:
    """Runs the registry from `image` if it does not run yet. What was pushed survives, it is in the cache."""
    try:
        seen = engine.docker("inspect", "--format", "{{.State.Running}} {{.Config.Image}}", CONTAINER).split()
    except HarnessError:
        seen = []
    if seen == ["true", image] and answers():
        return
    stop()
    places.registry_data.mkdir(parents=True, exist_ok=True)
    config = places.state / "registry.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(CONFIG)
    engine.docker(
        *("run", "--detach", "--name", CONTAINER, "--restart", "unless-stopped"),
        *("--publish", f"127.0.0.1:{ADDRESS.partition(':')[2]}:{INNER_PORT}"),
        *("--volume", f"{places.registry_data}:/var/lib/registry"),
        *("--volume", f"{config}:{CONFIG_PATH}:ro"),
        *("--entrypoint", "registry", image, "serve", CONFIG_PATH),
    )
    wait_until(answers, what=f"an answer of the registry at {ADDRESS}", within=30)


def stop() -> None:
    engine.docker("rm", "--force", CONTAINER)


def wire() -> None:
    """Puts the registry on kind's network and tells the node's containerd where localhost:5001 is."""
    attached = engine.docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", CONTAINER)
    if f'"{NETWORK}"' not in attached:
        engine.docker("network", "connect", NETWORK, CONTAINER)
    directory = f"/etc/containerd/certs.d/{ADDRESS}"
    engine.docker("exec", kind.NODE, "mkdir", "-p", directory)
    run(["docker", "exec", "-i", kind.NODE, "tee", f"{directory}/hosts.toml"], feed=HOSTS)


def push(image: str, name: str, address: str = ADDRESS) -> str:
    """Pushes a local image and returns the reference by digest that pods should use."""
    repository = f"{address}/{name}"
    target = f"{repository}:{image.rpartition(':')[2]}"
    engine.docker("tag", image, target)
    engine.docker("push", target)
    digests = engine.docker(
        "image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}", target
    ).split()
    return next(digest for digest in digests if digest.startswith(f"{repository}@"))
