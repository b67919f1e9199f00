"""The command line: `python -m refit_cluster COMMAND`."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path

from refit_cluster import golang, projectimages, status
from refit_cluster.controlplane import ControlPlane
from refit_cluster.deploy import deploy
from refit_cluster.down import down
from refit_cluster.lock import exclusive
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError
from refit_cluster.up import tool, up


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
    commands.add_parser("apiserver", help="etcd and an API server in the foreground, until interrupted")
    return whole


def main() -> int:
    chosen = parser().parse_args()
    checkout = Path(__file__).resolve().parents[2]
    places = Places.from_env(os.environ)
    try:
        match chosen.command:
            case "up":
                with exclusive(places.lock, out=sys.stderr):
                    up(os.environ, places, sys.stdout)
                    sys.stdout.write(status.text(places))
            case "down":
                with exclusive(places.lock, out=sys.stderr):
                    down(places, sys.stdout)
            case "status":
                sys.stdout.write(status.text(places))
            case "kubeconfig":
                sys.stdout.write(f"{status.kubeconfig(places)}\n")
            case "path":
                found = (tool(golang.KUBERNETES, "kubectl", places), tool(golang.HELM, "helm", places))
                sys.stdout.write(":".join(str(Path(program).parent) for program in found) + "\n")
            case "images":
                with exclusive(places.lock, out=sys.stderr):
                    for name, reference in projectimages.publish(chosen.names, checkout, places, sys.stdout).items():
                        sys.stdout.write(f"{name}: {reference}\n")
            case "deploy":
                sys.stdout.write(deploy(checkout, places, chosen.more))
            case "apiserver":
                with ControlPlane(places) as plane, contextlib.suppress(KeyboardInterrupt):
                    sys.stdout.write(f"export KUBECONFIG={plane.kubeconfig}\n# audit log: {plane.audit_log}\n")
                    sys.stdout.flush()
                    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
                    signal.pause()
    except HarnessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
