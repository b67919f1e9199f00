"""Drift analysis: every column for who may ask the collector, as themselves; the drifted ones for everybody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

import page_process as pages
from backends import _collector
from browser import go, sign_in
from collector_process import ADMIN_TOKEN
from guarded import TEAM
from page_process import World
from plugin import LAST
from refit_ui.views.drift import drift, whole
from worlds_of_page import NOW

COLLECTOR = "http://refit-collector.refit-system.svc:8080"
EFFECTS = {"thalach": 0.71, "age": 0.55, "chol": 0.22, "sex": 0.04, "thal": 0.0}
DRIFTED = {"thalach", "chol"}


def record(**changes: Any) -> dict[str, Any]:
    """What a monitor's Job leaves with the collector."""
    columns = [
        {
            "column": name,
            "type": "Number",
            "method": "ks",
            "effect": effect,
            "threshold": 0.1,
            "pValue": 0.001,
            "pAdjusted": 0.002,
            "drifted": name in DRIFTED,
            "missing": 0.0,
            "statistics": {"psi": 0.3},
            "note": "",
        }
        for name, effect in EFFECTS.items()
    ]
    place = {"namespace": TEAM, "model": "heart", "key": LAST.key, "time": LAST.time, "version": 3}
    return {**place, "verdict": "Drift", "rows": 412, "columns": columns, **changes}


def test_the_whole_measurement_gives_a_bar_for_every_column_the_largest_effect_first() -> None:
    found = whole(record())
    assert found is not None
    shown = drift(LAST, NOW, found)
    assert [(one.column, one.chip.word, one.drifted) for one in shown.bars] == [
        ("thalach", "0.71 high", True),
        ("age", "0.55 medium", False),
        ("chol", "0.22 low", True),
        ("sex", "0.04 low", False),
        ("thal", "0.00 low", False),
    ]
    assert shown.others == 0


def test_without_it_there_are_the_drifted_ones_and_a_count_of_the_others() -> None:
    shown = drift(LAST, NOW)
    assert ([one.column for one in shown.bars], shown.others) == (["thalach", "chol"], 11)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"columns": [{"column": "age"}]}, id="a column without an effect"),
        pytest.param({"columns": [{"column": "age", "effect": 1.5}]}, id="an effect above 1"),
        pytest.param({"columns": [{"column": "age", "effect": float("nan")}]}, id="an effect that is no number"),
        pytest.param({"columns": "age"}, id="no columns"),
        pytest.param({"key": None}, id="no key"),
    ],
)
def test_a_record_that_is_not_as_it_should_be_is_none(changes: dict[str, Any]) -> None:
    assert whole(record(**changes)) is None


@pytest.fixture(scope="module")
def page(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A page that knows the collector, which holds the measurement; bob has the role that it takes, alice has not."""
    folder, plane = tmp_path_factory.mktemp("drift"), world.plane
    with _collector(plane, folder / "collector") as port:
        plane.bind("refit-tracer", "bob", namespace=TEAM)
        url = f"http://127.0.0.1:{port}"
        httpx.put(
            f"{url}/v1/namespaces/{TEAM}/models/heart/measurements/{LAST.key}",
            json=record(),
            headers={"authorization": f"Bearer {ADMIN_TOKEN}"},
            timeout=30,
        ).raise_for_status()
        with pages.served(plane, folder / "ui", collector_url=url, namespaces="team-a") as address:
            yield replace(world, url=address)


@pytest.mark.contract
def test_who_has_the_role_sees_every_column(page: World, tab: Page) -> None:
    page.renew()
    sign_in(tab, page.url, page.tokens["bob"])
    go(tab, "Drift analysis")
    rows = tab.get_by_role("table", name="Columns").locator("tbody tr")
    expect(rows).to_have_count(len(EFFECTS))
    assert [row.split()[0] for row in rows.all_inner_texts()] == list(EFFECTS)
    expect(rows.nth(1)).to_contain_text("0.55 medium")
    expect(tab.get_by_test_id("stMain")).not_to_contain_text("not shown")


@pytest.mark.contract
def test_who_has_not_sees_the_drifted_ones_and_which_role_is_missing(page: World, tab: Page) -> None:
    page.renew()
    sign_in(tab, page.url, page.tokens["alice"])
    go(tab, "Drift analysis")
    rows = tab.get_by_role("table", name="Columns that drifted").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(tab.get_by_test_id("stMain")).to_contain_text("11 other columns did not drift, and are not shown")
    expect(tab.get_by_test_id("stMain")).to_contain_text("That needs the role refit-tracer in namespace team-a.")
