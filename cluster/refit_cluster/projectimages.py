"""Refit's own images: built from the checkout, pushed to the registry, known by digest.

The build context is what git would commit, so no ignore file can be forgotten. An image whose context has not changed
since it was last pushed is not even handed to Docker.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from refit_cluster import images, registry
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
    "ui": "approval_ui",
}


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
    base = images.python_base(places) if cluster.source is Source.BUILT else ""
    with tempfile.TemporaryDirectory(prefix="refit-context-") as temporary:
        context = Path(temporary) / "context"
        _fill(context, checkout)
        made_from = images.fingerprint(*_paths(context), base, cluster.registry)
        for name in wanted:
            with steps.step(f"image {name}"):
                _publish_one(name, context, base, made_from, cluster.registry, places)
    return references(places)


def references(places: Places) -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads(places.images.read_text())
    except FileNotFoundError:
        return {}
    return known


def _publish_one(name: str, context: Path, base: str, made_from: str, address: str, places: Places) -> None:
    stamp = places.state / "pushed" / name
    known = references(places)
    if name in known and stamp.is_file() and stamp.read_text() == made_from:
        return
    tag = f"refit.local/refit-{name}:latest"
    arguments = {"BASE": base} if base else {}
    images.build(tag, context, arguments, context / FOLDERS[name] / "Dockerfile")
    known[name] = registry.push(tag, f"refit-{name}", address)
    places.images.parent.mkdir(parents=True, exist_ok=True)
    places.images.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(made_from)


def _paths(context: Path) -> list[str | Path]:
    """Names with their folders and contents, because the same file elsewhere is another context."""
    files = sorted(path for path in context.rglob("*") if path.is_file())
    return [part for path in files for part in (path.relative_to(context).as_posix(), path)]


def _fill(context: Path, checkout: Path) -> None:
    listed = run(["git", "-C", checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    for name in filter(None, listed.split("\0")):
        source = checkout / name
        if source.is_file():
            target = context / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
