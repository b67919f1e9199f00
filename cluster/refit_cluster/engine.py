"""The Docker engine: the one that answers, else the distribution's, started and ended by the harness itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from refit_cluster import capability, debian, oci_runtime, process
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError, found, run, succeeds, wait_until

SOCKET = Path("/var/run/docker.sock")
# Unix socket paths must be short, which the cache's path may not be.
EXEC_ROOT = Path("/run/refit-docker")
PACKAGES = ("docker.io", "tini", "iptables", "debootstrap", "openssl", "ca-certificates")


def answers() -> bool:
    return succeeds(["docker", "version", "--format", "{{.Server.Version}}"], timeout=10)


def pid_file(places: Places) -> Path:
    return places.state / "dockerd.pid"


def is_ours(places: Places) -> bool:
    remembered = process.Remembered.read(pid_file(places))
    return remembered is not None and remembered.is_alive()


def was_lost(places: Places) -> bool:
    """Whether an engine that we started, and did not stop, is gone."""
    return process.Remembered.read(pid_file(places)) is not None and not is_ours(places)


def can_be_installed() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and found("apt-get") is not None


def start(places: Places) -> None:
    """Starts dockerd with everything it keeps inside the cache, after clearing what a killed one left."""
    dockerd = found("dockerd", Path("/usr/sbin"))
    if dockerd is None:
        raise HarnessError("dockerd is not installed")
    inner_pid_file = places.state / "docker-engine.pid"
    clear_leftovers((inner_pid_file, SOCKET), EXEC_ROOT)
    arguments: list[str | Path] = [
        dockerd,
        *("--data-root", places.docker_data),
        *("--exec-root", EXEC_ROOT),
        *("--pidfile", inner_pid_file),
        *("--host", f"unix://{SOCKET}"),
        # Lowering the score needs CAP_SYS_RESOURCE, and nothing here should outlive the user's work anyway.
        *("--oom-score-adjust", "0"),
        *_runtime_arguments(places),
    ]
    places.state.mkdir(parents=True, exist_ok=True)
    log = places.logs / "dockerd.log"
    started = process.start(arguments, pid_file=pid_file(places), log=log)
    wait_until(lambda: answers() or not started.is_alive(), what="an answer of dockerd", within=60)
    if not answers():
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise HarnessError(f"dockerd ended at once ({log}):\n{tail}")


def stop(places: Places) -> bool:
    return process.stop(pid_file(places))


def clear_leftovers(files: Iterable[Path], exec_root: Path) -> None:
    """Removes what would keep a new dockerd from starting after an earlier one was killed.

    Its containers may have outlived it. What the exec root knows of them must stay, or the new dockerd would start
    them a second time beside themselves; with it, it ends the old ones first. Only containerd's pid file must go: a
    number there that is not free makes dockerd wait for a containerd that never answers.
    """
    pid_file = exec_root / "containerd" / "containerd.pid"
    if pid_file.exists() and pid_file.read_text().strip().isdigit():
        process.Remembered(int(pid_file.read_text()), "containerd").write(pid_file)
        process.stop(pid_file)
    for leftover in (*files, pid_file):
        leftover.unlink(missing_ok=True)


def _runtime_arguments(places: Places) -> list[str]:
    lacking = capability.missing(Path("/proc/self/status").read_text())
    if not lacking:
        return []
    wrapper = places.root / "oci-runtime" / "refit-runtime"
    wrapper.parent.mkdir(parents=True, exist_ok=True)
    source = Path(oci_runtime.__file__).read_text()
    # The base interpreter, not a virtual environment's: the engine outlives the checkout that started it.
    interpreter = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    wrapper.write_text(f"#!{interpreter} -IS\n{source}")
    wrapper.chmod(0o755)
    (wrapper.parent / "missing-capabilities").write_text("\n".join(sorted(lacking)))
    return ["--add-runtime", f"refit={wrapper}", "--default-runtime", "refit"]


def docker(*arguments: str | Path, timeout: float | None = None) -> str:
    return run(["docker", *arguments], timeout=timeout, env={"DOCKER_BUILDKIT": "0"})


def absent_packages() -> tuple[str, ...]:
    """What is missing of the packages; the caller says so before it installs them."""
    return debian.absent(PACKAGES)
