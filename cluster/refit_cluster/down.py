"""Ending what `up` made: the cluster, the registry, and the Docker engine where it was ours. The cache stays."""

from __future__ import annotations

from typing import TextIO

from refit_cluster import engine, golang, kind, registry
from refit_cluster.places import Places
from refit_cluster.up import Cluster, Source, tool


def down(places: Places, out: TextIO) -> None:
    cluster = Cluster.read(places)
    if cluster is not None and cluster.source is Source.CONTEXT:
        out.write(f"{cluster.context} is not ours: it is left as it is\n")
    elif engine.answers():
        kind.delete(places, tool(golang.KIND, "kind", places))
        registry.stop()
        out.write(f"deleted the kind cluster {kind.NAME} and its registry\n")
    if engine.stop(places):
        out.write("stopped dockerd\n")
    (places.state / "cluster.json").unlink(missing_ok=True)
