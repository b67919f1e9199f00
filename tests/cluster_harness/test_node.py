"""Whether the cluster that is there is kept: a `docker` of our own on PATH plays the engine, and notes what it was asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from refit_cluster import kind
from refit_cluster.places import Places

IMAGE = "refit.local/node:v1.35.4-0123456789ab"

DOCKER = """\
#!/bin/sh
echo "$1" >> {directory}/asked
case "$1" in
    inspect) cat {directory}/container ;;
    start) touch {directory}/answers ;;
    exec) test -f {directory}/answers ;;
esac
"""


@pytest.mark.parametrize(
    ("container", "answers", "kept", "asked"),
    [
        pytest.param(f"true {IMAGE}", True, True, ["inspect", "exec"], id="a node that answers is kept"),
        pytest.param(
            f"false {IMAGE}", False, True, ["inspect", "start", "exec"], id="a node that is down is started again"
        ),
        pytest.param(f"true {IMAGE}", False, False, ["inspect", "exec"], id="one that never answers is not kept"),
        pytest.param("true refit.local/node:old", True, False, ["inspect"], id="nor one of another image"),
        pytest.param(None, False, False, ["inspect"], id="nor one that is gone"),
    ],
)
def test_keeping_a_node(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    container: str | None,
    answers: bool,
    kept: bool,
    asked: list[str],
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(DOCKER.format(directory=tmp_path))
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    places = Places(tmp_path / "cache")
    places.state.mkdir(parents=True)
    places.kubeconfig.touch()
    if container:
        (tmp_path / "container").write_text(container)
    if answers:
        (tmp_path / "answers").touch()
    assert kind.is_up(places, IMAGE, within=0) is kept
    assert (tmp_path / "asked").read_text().split() == asked


def test_without_a_kubeconfig_there_is_no_cluster_to_keep(tmp_path: Path) -> None:
    assert not kind.is_up(Places(tmp_path), IMAGE)
