"""Refit's own images: built from the checkout, pushed to the registry, known by digest.

The context of an image is what its Dockerfile copies, as far as git would commit it. So no ignore file can be
forgotten, an image whose files have not changed is not even handed to Docker, and the rest is small to hand over.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from refit_cluster import engine, images, kind, recipes, registry, versions
from refit_cluster.places import Places
from refit_cluster.progress import Progress
from refit_cluster.shell import HarnessError, run
from refit_cluster.up import Cluster, Source

# Image -> the folder of its Dockerfile. One that is not in the checkout is left out.
FOLDERS: Mapping[str, str] = {
    "operator": "operator",
    "trainer": "trainer_image",
    "predictor": "predictor_image",
    "mlflow": "mlflow_image",
    "monitor": "monitor_job",
    "report": "report_image",
    "ui": "approval_ui",
}
LOCAL = "refit.local"
KEPT = 2
"""How many builds of an image stay, here and in the registry: the newest, and the one that it is compared with."""


@dataclass(frozen=True)
class Build:
    """One image, and all that decides what is in it."""

    name: str
    dockerfile: str
    context: Path
    base: str
    address: str

    @property
    def repository(self) -> str:
        return f"refit-{self.name}"

    def made_from(self) -> str:
        """Names with their folders and contents, because the same file elsewhere is another context."""
        files = sorted(path for path in self.context.rglob("*") if path.is_file())
        named: list[str | Path] = [part for path in files for part in (path.relative_to(self.context).as_posix(), path)]
        return images.fingerprint(self.dockerfile, *named, self.base, self.address)


def buildable(checkout: Path) -> tuple[str, ...]:
    return tuple(name for name, folder in FOLDERS.items() if (checkout / folder / "Dockerfile").is_file())


def chosen(names: Sequence[str], checkout: Path) -> tuple[str, ...]:
    there = buildable(checkout)
    unknown = [name for name in names if name not in there]
    if unknown:
        raise HarnessError(f"no Dockerfile for {', '.join(unknown)}; there are: {', '.join(there) or 'none'}")
    return tuple(names) or there


def publish(names: Sequence[str], checkout: Path, places: Places, out: TextIO) -> dict[str, str]:
    """Builds and pushes the named images, or all there are; returns every image's reference by digest."""
    cluster = Cluster.read(places)
    if cluster is None:
        raise HarnessError("no cluster to build images for; run `python -m refit_cluster up` first")
    wanted = chosen(names, checkout)
    steps = Progress(len(wanted), out)
    base = _base(cluster, places)
    for name in wanted:
        with steps.step(f"image {name}"), tempfile.TemporaryDirectory(prefix="refit-context-") as context:
            dockerfile = (checkout / FOLDERS[name] / "Dockerfile").read_text()
            build = Build(name, dockerfile, Path(context) / "files", base, cluster.registry)
            _fill(build, checkout)
            if _publish_one(build, places, datetime.now(UTC)):
                _clean_up(build, cluster, places)
    return references(places)


def _base(cluster: Cluster, places: Places) -> str:
    """What the Dockerfiles get instead of their own BASE; nothing where that is here or can be pulled."""
    if cluster.source is Source.BUILT or not images.can_be_had(versions.PYTHON_IMAGE):
        return images.python_base(places)
    return ""


def references(places: Places) -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads(places.images.read_text())
    except FileNotFoundError:
        return {}
    return known


def in_use(places: Places) -> frozenset[str]:
    """The digests that the last `deploy` gave the chart, which pods may ask for at any time, and the newest ones."""
    try:
        values = json.loads((places.state / "values.json").read_text())
    except FileNotFoundError:
        values = {"images": {}}
    known = (*values["images"].values(), *references(places).values())
    return frozenset(reference.partition("@")[2] for reference in known)


def _publish_one(build: Build, places: Places, now: datetime) -> bool:
    """Builds and pushes the image; False if the one that is there is made from the same."""
    stamp = places.state / "pushed" / build.name
    known, made_from = references(places), build.made_from()
    if build.name in known and stamp.is_file() and stamp.read_text() == made_from:
        return False
    arguments = {"BASE": build.base} if build.base else {}
    dockerfile = build.context.with_name("Dockerfile")
    dockerfile.write_text(build.dockerfile)
    for stage in recipes.stages(build.dockerfile):
        # With a name of its own a stage outlives the clean-up below, and the next build finds its layers.
        tag = f"{LOCAL}/{build.repository}-{stage}:latest"
        images.build(tag, build.context, arguments, dockerfile, target=stage)
    tag = f"{LOCAL}/{build.repository}:{now:%Y%m%d-%H%M%S}-{made_from}"
    images.build(tag, build.context, arguments, dockerfile)
    known[build.name] = registry.push(tag, build.repository, build.address)
    places.images.parent.mkdir(parents=True, exist_ok=True)
    places.images.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(made_from)
    return True


def _clean_up(build: Build, cluster: Cluster, places: Places) -> None:
    """Removes older builds here, in our own registry and node; what is somebody else's is theirs to clean."""
    name = f"{build.address}/{build.repository}"
    for repository in (f"{LOCAL}/{build.repository}", name):
        there = images.tags(repository)
        for tag in set(there) - set(newest(there)):
            engine.docker("image", "rm", f"{repository}:{tag}")
    # What a build running elsewhere has just made has no name yet either.
    engine.docker("image", "prune", "--force", "--filter", "until=10m")
    if cluster.source is not Source.CONTEXT:
        digests = in_use(places)
        registry.keep_only(build.repository, newest(registry.tags(build.repository)), digests)
        kind.forget_images(name, digests | _of_pods(cluster, places))


def _of_pods(cluster: Cluster, places: Places) -> frozenset[str]:
    pods = cluster.kubectl(places)("get", "pods", "--all-namespaces", "--output", "jsonpath={..image}")
    return frozenset(re.findall("sha256:[0-9a-f]{64}", pods))


def newest(tags: Sequence[str]) -> tuple[str, ...]:
    """The tags worth keeping. A tag begins with its time; one that does not is an older harness's, or a keeper's."""
    return tuple(sorted((tag for tag in tags if tag[:1].isdigit()), reverse=True)[:KEPT])


def _fill(build: Build, checkout: Path) -> None:
    build.context.mkdir()
    paths = recipes.copied(build.dockerfile)
    if not paths:
        return
    listed = run(["git", "-C", checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths])
    for name in filter(None, listed.split("\0")):
        source = checkout / name
        if source.is_file():
            target = build.context / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
