"""Distribution packages: installed where they are missing, and a minimal root file system to build images on.

The mirror is the one the machine's own apt uses, so nothing here names a host.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from refit_cluster import versions
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError, retried, run

QUIET = {"DEBIAN_FRONTEND": "noninteractive"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True)
class Source:
    """One line of an apt sources list."""

    uri: str
    suite: str
    components: tuple[str, ...]

    def line(self) -> str:
        return f"deb [signed-by={KEYRING}] {self.uri} {self.suite} {' '.join(self.components)}"


def sources(files: Iterable[str]) -> tuple[Source, ...]:
    """What the machine installs from, in either format of apt; other people's repositories are left out."""
    seen = [source for text in files for source in (*_one_line_format(text), *_stanza_format(text))]
    return tuple(dict.fromkeys(source for source in seen if source.suite.split("-")[0] == versions.DEBIAN))


def _one_line_format(text: str) -> Iterable[Source]:
    for match in re.finditer(r"^deb\s+(\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$", text, re.MULTILINE):
        if _is_debians(match.group(1) or ""):
            yield Source(match.group(2), match.group(3), tuple(match.group(4).split("#")[0].split()))


def _stanza_format(text: str) -> Iterable[Source]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+):\s*(.*)$", stanza, re.MULTILINE))
        if "deb" not in fields.get("Types", "").split() or not _is_debians(stanza):
            continue
        for uri in fields.get("URIs", "").split():
            for suite in fields.get("Suites", "").split():
                yield Source(uri, suite, tuple(fields.get("Components", "").split()))


def _is_debians(options: str) -> bool:
    return "signed-by" not in options.lower() or "debian-archive" in options


def machine_sources(etc: Path = Path("/etc/apt")) -> tuple[Source, ...]:
    files = [
        etc / "sources.list",
        *sorted(etc.glob("sources.list.d/*.list")),
        *sorted(etc.glob("sources.list.d/*.sources")),
    ]
    found = sources(path.read_text() for path in files if path.is_file())
    if not found:
        raise HarnessError(
            f"building the node image needs a Debian {versions.DEBIAN} machine; its apt sources name no such suite"
        )
    return found


def is_installed(package: str) -> bool:
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", package],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() == "install ok installed"


def absent(packages: Iterable[str]) -> tuple[str, ...]:
    return tuple(package for package in packages if not is_installed(package))


def install(packages: tuple[str, ...]) -> None:
    if not packages:
        return
    if os.geteuid() != 0:
        raise HarnessError(f"not root, so please install: {' '.join(packages)}")
    retried(lambda: run(["apt-get", "update", "-q"], env=QUIET))
    retried(lambda: run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages], env=QUIET))


def mounted_below(root: Path, mounts: str) -> tuple[str, ...]:
    """What is mounted in a directory, innermost first; `mounts` is the text of /proc/self/mounts."""
    places = (line.split()[1] for line in mounts.splitlines())
    return tuple(sorted((place for place in places if place.startswith(f"{root}/")), reverse=True))


def root_file_system(places: Places) -> Path:
    """A tar of a minimal Debian with this machine's apt sources and certificate authorities, made once."""
    tar = places.root / "rootfs" / f"{versions.DEBIAN}.tar"
    if tar.exists():
        return tar
    install(absent(("debootstrap",)))
    mirror = machine_sources()
    main = next((source for source in mirror if source.suite == versions.DEBIAN), None)
    if main is None:
        raise HarnessError(f"the machine's apt sources name no suite {versions.DEBIAN}")
    root = places.build / "rootfs"
    for place in mounted_below(root, Path("/proc/self/mounts").read_text()):
        # An interrupted debootstrap leaves the kernel's file systems there, which cannot be deleted.
        run(["umount", place])
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    bootstrap: list[str | Path] = [
        "debootstrap",
        "--variant=minbase",
        "--include=ca-certificates",
        versions.DEBIAN,
        root,
        main.uri,
    ]
    retried(lambda: run(bootstrap, env=QUIET), attempts=2)
    (root / "etc/apt/sources.list").write_text("".join(f"{source.line()}\n" for source in mirror))
    # Behind a proxy that inspects TLS, a build inside a container needs the authorities this machine trusts.
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        shutil.copyfile(bundle, root / "etc/ssl/certs/ca-certificates.crt")
    own = Path("/usr/local/share/ca-certificates")
    if own.is_dir():
        shutil.copytree(own, root / "usr/local/share/ca-certificates", dirs_exist_ok=True)
    for leftover in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / leftover, ignore_errors=True)
    tar.parent.mkdir(parents=True, exist_ok=True)
    part = tar.with_suffix(".part")
    run(["tar", "--numeric-owner", "-C", root, "-cf", part, "."])
    shutil.rmtree(root)
    part.rename(tar)
    return tar
