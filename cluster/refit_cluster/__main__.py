"""The command line: `python -m refit_cluster COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys

from refit_cluster import status
from refit_cluster.down import down
from refit_cluster.lock import exclusive
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError
from refit_cluster.up import up


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="refit_cluster", description="A real cluster for Refit, on any machine.")
    commands = whole.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="make the cluster, with KServe and a local registry, or find it already there")
    commands.add_parser("down", help="delete the cluster; what was built stays in the cache")
    commands.add_parser("status", help="say what runs and where its files are")
    commands.add_parser("kubeconfig", help="print the path of the kubeconfig, and nothing else")
    return whole


def main() -> int:
    chosen = parser().parse_args()
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
    except HarnessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
