"""The approval page before a live API server with the guard, a MLflow and a predictor, and a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page

import page_process as pages
from backends import _mlflow
from browser import chromium, window
from guarded import guarded
from identity_provider import Provider, provider
from onnx_models import HEART, make
from page_process import World
from predictor_process import environment
from predictor_process import started as predictor_started
from refit.api import crd


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """Whom the world's API server trusts beside its own people."""
    with provider(tmp_path_factory.mktemp("identity") / "provider") as found:
        yield found


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, identity: Provider) -> Iterator[World]:
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("page")
        argument, tokens = pages.tokens(folder)
        plane = stack.enter_context(guarded(argument, *identity.api_server_arguments(folder)))
        plane.put(*(definition() for definition in crd.DEFINITIONS.values()))
        mlflow = f"http://127.0.0.1:{stack.enter_context(_mlflow(folder / 'mlflow'))}"
        made, place = make(HEART), folder / "heart"
        place.mkdir()
        (place / "model.onnx").write_bytes(made.content)
        predictor = stack.enter_context(predictor_started(place, environment(place, made.sha256)))
        predictor.wait_until_ready("heart")
        url = stack.enter_context(
            pages.served(plane, folder / "ui", tracking_uri=mlflow, namespaces="team-a", refresh_seconds="5")
        )
        yield World(plane, url, tokens, predictor.url, pages.train(mlflow, HEART), mlflow)


@pytest.fixture
def fresh(world: World) -> World:
    world.renew()
    return world


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = window(browser)
    yield context.new_page()
    context.close()


@pytest.fixture
def other_tab(browser: Browser) -> Iterator[Page]:
    context = window(browser)
    yield context.new_page()
    context.close()
