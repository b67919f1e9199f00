"""Programs out of Debian packages: unpacked into the cache, never installed, so that no service of the machine starts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from refit_cluster import debian, versions
from refit_cluster.places import Places
from refit_cluster.shell import CommandFailedError, HarnessError, found, retried, run


@dataclass(frozen=True)
class Package:
    """One package at one upstream version, whatever Debian's revision of it, and what is needed of it: name -> path inside."""

    name: str
    version: str
    files: dict[str, str]

    def directory(self, places: Places) -> Path:
        return places.binaries(self.name, self.version)

    def file(self, places: Places, name: str) -> Path:
        return self.directory(places) / name


PROMETHEUS = Package(
    "prometheus",
    versions.PROMETHEUS,
    {"prometheus": "usr/bin/prometheus", "promtool": "usr/bin/promtool"},
)
ALERTMANAGER = Package(
    "prometheus-alertmanager",
    versions.ALERTMANAGER,
    {
        "alertmanager": "usr/bin/prometheus-alertmanager",
        "amtool": "usr/bin/amtool",
        # It does not start without these, whether the configuration uses templates or not.
        "default.tmpl": "usr/share/prometheus/alertmanager/default.tmpl",
        "email.tmpl": "usr/share/prometheus/alertmanager/email.tmpl",
    },
)


def is_unpacked(package: Package, places: Places) -> bool:
    return all(package.file(places, name).is_file() for name in package.files)


def unpack(package: Package, places: Places) -> None:
    """Unpacks what is not in the cache yet. The directory appears under its name only when it is complete."""
    if is_unpacked(package, places):
        return
    if found("apt-get") is None:
        raise HarnessError(
            f"{package.name} {package.version} comes from a Debian package, and there is no apt-get here"
        )
    target = package.directory(places)
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "files").mkdir(parents=True)
    _download(package, part)
    (archive,) = part.glob("*.deb")
    run(["dpkg-deb", "--extract", archive, part / "files"])
    for name, path in package.files.items():
        (part / "files" / path).rename(part / name)
    shutil.rmtree(part / "files")
    archive.unlink()
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def _download(package: Package, into: Path) -> None:
    command = ["apt-get", "download", "-q", f"{package.name}={package.version}*"]
    try:
        run(command, cwd=into, env=debian.QUIET)
    except CommandFailedError:
        # A fresh machine has no lists of packages yet, or old ones, whose files the mirror has no more.
        retried(lambda: run(["apt-get", "update", "-q"], env=debian.QUIET))
        retried(lambda: run(command, cwd=into, env=debian.QUIET))


def program(package: Package, name: str, places: Places) -> Path:
    """The pinned program from the cache, else the one on PATH."""
    pinned = package.file(places, name)
    on_path = found(name)
    if pinned.is_file():
        return pinned
    if on_path is None:
        raise HarnessError(f"{name} is neither on PATH nor unpacked yet: run `up` first")
    return on_path


def ensure_promtool(places: Places) -> bool:
    """Promtool, so that the tests of the rules run; False where it can not be had, which is no reason to have no cluster."""
    if found("promtool") is None:
        if found("apt-get") is None:
            return False
        unpack(PROMETHEUS, places)
    return True


def ensure_alertmanager(places: Places) -> bool:
    """Alertmanager, for the test that runs it as a process; False as above."""
    if found("alertmanager") is None and found("prometheus-alertmanager") is None:
        if found("apt-get") is None:
            return False
        unpack(ALERTMANAGER, places)
    return True
