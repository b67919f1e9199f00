"""Container images, tagged by a digest of what they are made from: an image that exists is up to date by definition."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from refit_cluster import debian, engine, versions
from refit_cluster.places import Places
from refit_cluster.shell import CommandFailedError, HarnessError, retried

RECIPES = Path(__file__).resolve().parent.parent / "images"
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")

STATIC = """\
FROM scratch
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY program {path}
USER {user}
ENTRYPOINT ["{path}"]
"""


def fingerprint(*parts: str | bytes | Path) -> str:
    """Twelve characters that change when any part does; a directory stands for every file in it."""
    seen = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            files = sorted(path for path in part.rglob("*") if path.is_file()) if part.is_dir() else [part]
            for path in files:
                seen.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        else:
            seen.update((part.encode() if isinstance(part, str) else part) + b"\0")
    return seen.hexdigest()[:12]


def exists(image: str) -> bool:
    try:
        engine.docker("image", "inspect", "--format", "{{.Id}}", image)
    except HarnessError:
        return False
    return True


def tags(repository: str) -> tuple[str, ...]:
    """The tags that local images of a repository have."""
    return tuple(engine.docker("image", "ls", "--format", "{{.Tag}}", repository).replace("<none>", "").split())


def build(
    tag: str, context: Path, arguments: Mapping[str, str], dockerfile: Path | None = None, *, target: str = ""
) -> None:
    """The host's network, because the build container has no name server of its own behind some proxies."""
    # A step that fails would leave its container, and with it every layer below.
    command: list[str | Path] = ["build", "--network", "host", "--force-rm", "--tag", tag]
    for name, value in (*proxy_arguments(os.environ).items(), *arguments.items()):
        command += ["--build-arg", f"{name}={value}"]
    if dockerfile:
        command += ["--file", dockerfile]
    if target:
        command += ["--target", target]
    retried(lambda: engine.docker(*command, context), attempts=2)


def proxy_arguments(environ: Mapping[str, str]) -> dict[str, str]:
    names = ("http_proxy", "https_proxy", "no_proxy")
    return {name: environ[name] for either in names for name in (either, either.upper()) if environ.get(name)}


def can_be_had(image: str) -> bool:
    """Whether the image is here, or comes when it is pulled: tried, not guessed."""
    if exists(image):
        return True
    try:
        engine.docker("pull", image, timeout=900)
    except CommandFailedError:
        return False
    return True


def minimal(places: Places) -> str:
    """The root of every image built here."""
    tag = f"refit.local/minimal:{versions.DEBIAN}-{fingerprint(*(s.line() for s in debian.machine_sources()))}"
    if not exists(tag):
        engine.docker("import", debian.root_file_system(places), tag)
    return tag


def python_base(places: Places) -> str:
    """What the project's Dockerfiles get as BASE where python:slim cannot be pulled."""
    return of_recipe(places, "python-base", minimal(places))


def of_recipe(
    places: Places,
    name: str,
    base: str,
    *,
    arguments: Mapping[str, str] | None = None,
    files: Mapping[str, Path] | None = None,
    made_from: str = "",
) -> str:
    """An image of one of our recipes. `files` go into its build context; `made_from` names their versions."""
    given = dict(arguments or {})
    tag = f"refit.local/{name}:{fingerprint(RECIPES / name, base, made_from, *(f'{key}={given[key]}' for key in sorted(given)))}"
    if not exists(tag):
        context = fresh(places.build / f"image-{name}")
        shutil.copytree(RECIPES / name, context, dirs_exist_ok=True)
        for target, source in (files or {}).items():
            (context / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, context / target)
        build(tag, context, {"BASE": base, **given})
        shutil.rmtree(context)
    return tag


def of_binary(places: Places, name: str, binary: Path, entry: str | None = None, user: str = "0") -> str:
    """An image of one static program and the certificate authorities, under the path its manifests call."""
    path = entry or f"/usr/local/bin/{binary.name}"
    dockerfile = STATIC.format(path=path, user=user)
    tag = f"refit.local/{name}:{fingerprint(dockerfile, f'{binary.parent.name}/{binary.name}')}"
    if not exists(tag):
        context = fresh(places.build / f"image-{name}")
        (context / "Dockerfile").write_text(dockerfile)
        shutil.copy(BUNDLE, context / "ca-certificates.crt")
        shutil.copy(binary, context / "program")
        build(tag, context, {})
        shutil.rmtree(context)
    return tag


def fresh(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory
