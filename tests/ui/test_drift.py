"""Drift analysis: every column for who may ask the collector, as themselves; the drifted ones for everybody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

import page_process as pages
from backends import _collector, _service, own_address
from browser import go, sign_in
from collector_process import ADMIN_TOKEN
from guarded import RBAC, SYSTEM, TEAM
from page_process import World
from plugin import LAST
from refit_ui.collector import proxied
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


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (COLLECTOR, "/api/v1/namespaces/refit-system/services/http:refit-collector:8080/proxy"),
        ("http://c.ns.svc.cluster.local", "/api/v1/namespaces/ns/services/http:c:80/proxy"),
        ("http://collector.example.org:8080", None),
        ("https://refit-collector.refit-system.svc:8080", None),
        ("", None),
    ],
    ids=str,
)
def test_only_a_service_is_behind_the_api_server(url: str, expected: str | None) -> None:
    assert proxied(url) == expected


@pytest.fixture(scope="module")
def page(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A page that knows the collector, which holds the measurement; bob may ask for it, alice may not."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has the loopback address alone, to which the API server sends nothing")
    folder, plane = tmp_path_factory.mktemp("drift"), world.plane
    with _collector(plane, folder / "collector") as port:
        _service(plane, "refit-collector", 8080, address, port)
        proxy = {"apiGroups": [""], "resources": ["services/proxy"], "resourceNames": ["http:refit-collector:8080"]}
        token = {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["default"]}
        for namespace, rule, verb in ((SYSTEM, proxy, "get"), (TEAM, token, "create")):
            metadata = {"name": "refit-tracer", "namespace": namespace}
            plane.put({"apiVersion": RBAC, "kind": "Role", "metadata": metadata, "rules": [{**rule, "verbs": [verb]}]})
            plane.bind("refit-tracer", "bob", namespace=namespace, kind="Role")
        plane.bind("refit-tracer", "olga", namespace=TEAM, kind="Role")
        httpx.put(
            f"http://127.0.0.1:{port}/v1/namespaces/{TEAM}/models/heart/measurements/{LAST.key}",
            json=record(),
            headers={"authorization": f"Bearer {ADMIN_TOKEN}"},
            timeout=30,
        ).raise_for_status()
        with pages.served(plane, folder / "ui", collector_url=COLLECTOR, namespaces="team-a") as url:
            yield replace(world, url=url)


@pytest.mark.contract
def test_who_may_ask_the_collector_sees_every_column(page: World, tab: Page) -> None:
    page.renew()
    sign_in(tab, page.url, page.tokens["bob"])
    go(tab, "Drift analysis")
    rows = tab.get_by_role("table", name="Columns").locator("tbody tr")
    expect(rows).to_have_count(len(EFFECTS))
    assert [row.split()[0] for row in rows.all_inner_texts()] == list(EFFECTS)
    expect(rows.nth(1)).to_contain_text("0.55 medium")
    expect(tab.get_by_test_id("stMain")).not_to_contain_text("They are not shown")


@pytest.mark.contract
@pytest.mark.parametrize(
    ("person", "told"),
    [
        pytest.param("alice", "you may not create serviceaccounts/token of default in namespace team-a", id="no token"),
        pytest.param("olga", "you may not get services/proxy of the collector", id="no way to the collector"),
    ],
)
def test_who_may_not_sees_the_drifted_ones_and_which_right_is_missing(
    page: World, tab: Page, person: str, told: str
) -> None:
    page.renew()
    sign_in(tab, page.url, page.tokens[person])
    go(tab, "Drift analysis")
    rows = tab.get_by_role("table", name="Columns that drifted").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(tab.get_by_test_id("stMain")).to_contain_text("11 other columns did not drift")
    expect(tab.get_by_test_id("stMain")).to_contain_text(told)
