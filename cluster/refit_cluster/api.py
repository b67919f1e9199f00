"""The harness for other programs, tests above all: one call, and what it promises is there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from refit_cluster import status
from refit_cluster.lock import exclusive
from refit_cluster.places import Places
from refit_cluster.up import Cluster, up


def ensure_up() -> Path:
    """The kubeconfig of a cluster with KServe that answers; it is made, or started again, if need be."""
    places = Places.from_env(os.environ)
    known = Cluster.read(places)
    if known is None or not known.kubectl(places).succeeds("get", "--raw", "/readyz", "--request-timeout=5s"):
        with exclusive(places.lock, out=sys.stderr):
            up(os.environ, places, sys.stderr)
    return status.kubeconfig(places)
