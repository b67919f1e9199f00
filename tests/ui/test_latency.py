"""Latency on the page: a median that a real Prometheus computes of what a real predictor's registry exposes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import page_process as pages
from browser import go, sign_in
from exposed import Prometheus, prometheus
from page_process import World
from plugin import MODEL_STATUS, MODELS, model, record
from refit.api.objects import model_of
from refit_cluster import packages
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError, wait_until
from refit_ui.inference import median_seconds

pytestmark = pytest.mark.contract
RULES = Path(__file__).parents[2] / "manifests" / "monitoring" / "rules.yaml"
NAMESPACE = "ml"
"""That of the predictor whose requests are counted."""
IN_ML = MODELS.replace("team-a", NAMESPACE)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    try:
        program = packages.program(packages.PROMETHEUS, "prometheus", Places.from_env(os.environ))
    except HarnessError as error:
        pytest.skip(str(error))  # a machine that is not Debian's and has none; `make cluster-up` brings it elsewhere
    with prometheus(program, RULES, {"verdict": "NoDrift"}, tmp_path_factory.mktemp("prometheus")) as found:
        yield found


@pytest.fixture(scope="module")
def page(world: World, running: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    plane = world.plane
    plane.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    plane.bind("refit-viewer", "olga", namespace=NAMESPACE)
    manifest = model("heart")
    manifest["metadata"]["namespace"] = NAMESPACE
    plane.admin.create(IN_ML, manifest).accepted()
    status = {**MODEL_STATUS, "history": [record(3, "Serving", "0.835616", since="2026-01-01T00:00:00Z")]}
    plane.admin.merge(f"{IN_ML}/heart/status", {"status": status}).accepted()
    folder = tmp_path_factory.mktemp("latency")
    with pages.served(plane, folder / "ui", prometheus_url=running.url, namespaces=NAMESPACE) as url:
        yield url


def test_the_median_is_the_one_that_prometheus_computes(
    world: World, page: str, running: Prometheus, tab: Page
) -> None:
    there = model_of(world.plane.admin.get(f"{IN_ML}/heart").accepted())
    wait_until(
        lambda: median_seconds(running.url, there, 3) is not None, what="a rate of requests", within=30, pause=0.2
    )
    told = median_seconds(running.url, there, 3)
    assert told is not None
    assert 0 < told < 0.01  # its requests take 2 and 4 ms, and a histogram knows them by its buckets
    sign_in(tab, page, world.tokens["olga"], f"/?namespace={NAMESPACE}")
    go(tab, "Model performance")
    tile = tab.locator(".rf-tile").filter(has_text="Latency")
    expect(tile).to_contain_text(f"{1000 * told:.1f} ms")
    expect(tile).to_contain_text("no earlier version to compare with")


def test_a_version_that_answered_nobody_has_no_latency(world: World, page: str, running: Prometheus) -> None:
    assert page
    there = model_of(world.plane.admin.get(f"{IN_ML}/heart").accepted())
    assert median_seconds(running.url, there, 99) is None
    assert median_seconds("http://127.0.0.1:1", there, 3) is None
