"""The cluster gone, text that would like to be more than text, and addresses that ask for what one may not see."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser import card, go, settled, sign_in
from guarded import ELSEWHERE, REQUESTS
from page_process import EVIL, EVIL_MARKDOWN, FORMULA, World
from plugin import MODELS, OPEN, asking, model, renew
from refit_cluster.controlplane import Part

pytestmark = pytest.mark.contract


def test_a_cluster_that_is_gone_leaves_what_was_read_and_turns_buttons_off(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    expect(card(tab).get_by_role("button", name="Approve")).to_be_enabled()
    fresh.plane.plane.kill(Part.API_SERVER)
    try:
        expect(tab.get_by_text("The cluster can not be reached")).to_be_visible()
        expect(tab.get_by_text("What stands below was read at")).to_be_visible()
        expect(card(tab).get_by_role("button", name="Approve")).to_be_disabled()
    finally:
        fresh.plane.plane.start(Part.API_SERVER)
        fresh.plane.plane.wait_ready()
    expect(card(tab).get_by_role("button", name="Approve")).to_be_enabled(timeout=60_000)
    assert fresh.stored(OPEN) == {}


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(f"?namespace={ELSEWHERE}", id="a namespace in which the person may see nothing"),
        pytest.param("?namespace=team-a/../team-b", id="a path"),
        pytest.param("?namespace=%3Cscript%3Ewindow.pwned=1%3C/script%3E&request=%22%3E%3Cimg%20src=x%20onerror=window.pwned=1%3E", id="a script"),
    ],
)  # fmt: skip
def test_an_address_reads_nothing_beyond_the_persons_rights(fresh: World, tab: Page, query: str) -> None:
    there = {**model("secret-model"), "metadata": {"name": "secret-model", "namespace": ELSEWHERE}}
    fresh.plane.admin.delete(f"{MODELS.replace('team-a', ELSEWHERE)}")
    fresh.plane.admin.create(MODELS.replace("team-a", ELSEWHERE), there).accepted()
    sign_in(tab, fresh.url, fresh.tokens["alice"], f"/{query}")
    settled(tab)
    go(tab, "Overview")
    expect(tab.get_by_text("secret-model")).to_have_count(0)
    assert tab.evaluate("() => window.pwned") is None


def _with_evil_words(world: World) -> None:
    """Everything a person may write: notes, reasons, categories, names of columns, texts of a proposal."""
    plane = world.plane
    asked = asking()
    asked["status"]["proposal"]["text"] = EVIL
    asked["status"]["proposal"]["change"] = [{"what": EVIL, "from": EVIL_MARKDOWN, "to": FORMULA}]
    asked["status"]["diagnosis"]["reasoning"] = EVIL_MARKDOWN
    plane.admin.delete(f"{REQUESTS}/{OPEN}").accepted()
    renew(plane, OPEN, note=FORMULA)
    plane.write_status(f"{REQUESTS}/{OPEN}", asked)
    entry: dict[str, Any] = {
        "decision": "Approved",
        "proposalDigest": asked["status"]["proposal"]["digest"],
        "reason": EVIL,
    }
    plane.who("bob").merge(f"{REQUESTS}/{OPEN}/status", {"status": {"approvals": {"bob": entry}}}).accepted()
    columns = [{"name": "num"}, {"name": EVIL[:128]}, {"name": EVIL_MARKDOWN[:128]}, {"name": "c", "type": "Category", "categories": [EVIL[:64], FORMULA]}]  # fmt: skip
    manifest = model("evil")
    manifest["spec"]["data"]["columns"] = columns
    plane.admin.create(MODELS, manifest).accepted()
    features = [{"column": EVIL[:128], "method": "ks", "effect": "0.9", "pValue": "0"}]
    known = plane.admin.get(f"{MODELS}/heart").accepted()["status"]
    status = {
        **{name: known[name] for name in ("observedGeneration", "conditions", "serving", "url", "history")},
        "metric": EVIL,
        "drift": FORMULA,
        "lastMeasurement": known["lastMeasurement"] | {"features": features, "message": EVIL_MARKDOWN},
    }
    plane.admin.merge(f"{MODELS}/evil/status", {"status": status}).accepted()


def test_whatever_people_wrote_is_shown_and_runs_nowhere(fresh: World, tab: Page) -> None:
    _with_evil_words(fresh)
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    sign_in(tab, fresh.url, fresh.tokens["alice"], "/?namespace=team-a&model=evil")
    expect(card(tab)).to_contain_text(EVIL_MARKDOWN)
    for screen in ("Overview", "Model performance", "Drift analysis", "Historical trends", "Agent activity", "Compare versions", "Reports", "Try a prediction", "Request a repair"):  # fmt: skip
        go(tab, screen)
        assert tab.evaluate("() => window.pwned") is None, screen
        assert tab.locator("img[src=x], a[href^='javascript'], img[src*='192.0.2.7']").count() == 0, screen
    assert [
        url for url in asked if not url.startswith((fresh.url, fresh.url.replace("http", "ws", 1), "data:", "blob:"))
    ] == []


def test_the_file_of_activities_holds_no_formula(fresh: World, tab: Page) -> None:
    _with_evil_words(fresh)
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    go(tab, "Agent activity")
    with tab.expect_download() as found:
        tab.get_by_role("button", name="Download as CSV").click()
    text = found.value.path().read_text(encoding="utf-8-sig")
    assert "heart-retrain" in text
    assert [
        cell
        for line in text.splitlines()
        for cell in line.split('","')
        if cell.strip('"')[:1] in "=+@" and cell.strip('"')
    ] == []
