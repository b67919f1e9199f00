"""The command line: `python -m refit_cluster COMMAND`."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from refit_cluster import engine, golang, monitoring, projectimages, status
from refit_cluster.controlplane import ControlPlane
from refit_cluster.deploy import deploy
from refit_cluster.down import down
from refit_cluster.lock import exclusive
from refit_cluster.places import Places
from refit_cluster.progress import Progress
from refit_cluster.shell import HarnessError
from refit_cluster.up import Cluster, tool, up


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="refit_cluster", description="A real cluster for Refit, on any machine.")
    commands = whole.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="make the cluster, with KServe and a local registry, or find it already there")
    commands.add_parser("down", help="delete the cluster; what was built stays in the cache")
    commands.add_parser("status", help="say what runs and where its files are")
    commands.add_parser("kubeconfig", help="print the path of the kubeconfig, and nothing else")
    commands.add_parser("path", help="print the directories of kubectl and helm, in the form of PATH")
    images = commands.add_parser("images", help="build and push the project's images")
    images.add_argument(
        "names", nargs="*", metavar="NAME", help="those only; all that have a Dockerfile if none is named"
    )
    deployment = commands.add_parser("deploy", help="install the chart with the images as pushed")
    deployment.add_argument("more", nargs="*", help="arguments for helm, after --")
    watching = commands.add_parser("monitoring", help="install Prometheus and Alertmanager, with the project's rules")
    watching.add_argument("--interval", type=int, default=2, metavar="SECONDS", help="between scrapes (default: 2)")
    watching.add_argument(
        "--for", type=int, dest="waiting", metavar="SECONDS", help="what every `for` is made, for tests"
    )
    apiserver = commands.add_parser("apiserver", help="etcd and an API server in the foreground, until interrupted")
    apiserver.add_argument("--kserve", action="store_true", help="with KServe's CRDs and its controller beside them")
    return whole


@dataclass(frozen=True)
class Call:
    """What a command is called with."""

    chosen: argparse.Namespace
    places: Places
    checkout: Path


def main() -> int:
    chosen = parser().parse_args()
    call = Call(chosen, Places.from_env(os.environ), Path(__file__).resolve().parents[2])
    try:
        carry_out(COMMANDS[chosen.command], call)
    except HarnessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def carry_out(
    command: Callable[[Call], object], call: Call, start_again: Callable[[Call], object] | None = None
) -> None:
    """Runs a command; once more if what it failed of is that our Docker engine was ended beneath it.

    A machine that tidies up after a login session ends the daemons it left, and every command may be repeated.
    """
    try:
        command(call)
    except HarnessError as error:
        if not engine.was_lost(call.places):
            raise
        sys.stderr.write(f"the Docker engine was ended from outside, so it is started again: {error}\n")
        (start_again or _up)(call)
        command(call)


def _up(call: Call) -> None:
    with exclusive(call.places.lock, out=sys.stderr):
        up(os.environ, call.places, sys.stdout)
        sys.stdout.write(status.text(call.places))


def _down(call: Call) -> None:
    with exclusive(call.places.lock, out=sys.stderr):
        down(call.places, sys.stdout)


def _path(call: Call) -> None:
    found = (tool(golang.KUBERNETES, "kubectl", call.places), tool(golang.HELM, "helm", call.places))
    sys.stdout.write(":".join(str(Path(program).parent) for program in found) + "\n")


def _images(call: Call) -> None:
    with exclusive(call.places.lock, out=sys.stderr):
        published = projectimages.publish(call.chosen.names, call.checkout, call.places, sys.stdout)
    sys.stdout.writelines(f"{name}: {reference}\n" for name, reference in published.items())


def _deploy(call: Call) -> None:
    # Helm refuses a second release at a time, but need not wait for an image being built.
    with exclusive(call.places.root / "deploy-lock", out=sys.stderr):
        sys.stdout.write(deploy(call.checkout, call.places, call.chosen.more))


def _monitoring(call: Call) -> None:
    pace = monitoring.Pace(call.chosen.interval, call.chosen.waiting)
    cluster = Cluster.read(call.places)
    if cluster is None:
        raise HarnessError("no cluster to install monitoring in; run `python -m refit_cluster up` first")
    steps = Progress(3, sys.stdout)
    with exclusive(call.places.lock, out=sys.stderr):
        found = monitoring.get_images(cluster, call.places, steps)
    # Pods that wait for one another need not keep others from building.
    with exclusive(call.places.root / "deploy-lock", out=sys.stderr):
        monitoring.install(call.checkout, cluster, call.places, found, pace, steps)


def _apiserver(call: Call) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ControlPlane(call.places) as plane, contextlib.suppress(KeyboardInterrupt):
        if call.chosen.kserve:
            plane.start_kserve()
        sys.stdout.write(f"export KUBECONFIG={plane.kubeconfig}\n# audit log: {plane.audit_log}\n")
        sys.stdout.flush()
        signal.pause()


COMMANDS: dict[str, Callable[[Call], object]] = {
    "up": _up,
    "down": _down,
    "status": lambda call: sys.stdout.write(status.text(call.places)),
    "kubeconfig": lambda call: sys.stdout.write(f"{status.kubeconfig(call.places)}\n"),
    "path": _path,
    "images": _images,
    "deploy": _deploy,
    "monitoring": _monitoring,
    "apiserver": _apiserver,
}


if __name__ == "__main__":
    sys.exit(main())
