"""The local registry: a container on kind's network, which pods and the host both know as localhost:5001.

The node resolves that name through containerd's hosts.toml, the host through a published port, so that one image
reference is good in both places, and pods pull by digest what was pushed a moment ago.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from http import HTTPStatus

from refit_cluster import engine, kind
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError, run, wait_until

ADDRESS = "localhost:5001"
CONTAINER = "refit-registry"
NETWORK = "kind"
INNER_PORT = 5000

CONFIG = f"""\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: /var/lib/registry}}
  delete: {{enabled: true}}
http: {{addr: ":{INNER_PORT}"}}
"""

HOSTS = f'[host."http://{CONTAINER}:{INNER_PORT}"]\n'


def answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://{ADDRESS}/v2/", timeout=3) as reply:
            return bool(reply.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False


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
        *("--volume", f"{config}:/etc/distribution/config.yml:ro"),
        *("--entrypoint", "registry", image, "serve", "/etc/distribution/config.yml"),
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
