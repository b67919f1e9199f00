"""Every screen in a real browser, with what it says in numbers; and signing in."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from browser import go, settled, sign_in, window
from guarded import REQUESTS
from page_process import World

pytestmark = pytest.mark.contract
TOLD = {
    "Overview": ("heart", "Drifted", "2 of 13", "2 waiting", "lung", "Not looked at yet"),
    "Model performance": ("0.870", "+0.020 against v1", "0.836", "0.910", "no Prometheus knows it", "Confusion matrix"),
    "Drift analysis": ("thalach", "0.71 high", "0.22 low", "11 other columns did not drift"),
    "Historical trends": ("What served", "LogisticRegression", "first training"),
    "Agent activity": ("Waiting", "Auto", "Rejected", "Completed", "as predicted"),
    "Compare versions": ("LogisticRegression", "XGBoost", "0.807", "0.8356"),
    "Reports": ("No reports yet",),
}


@pytest.mark.parametrize("screen", TOLD, ids=lambda name: f"{name} says what there is")
def test_a_screen(fresh: World, tab: Page, screen: str) -> None:
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    go(tab, screen)
    main = tab.get_by_test_id("stMain")
    for told in TOLD[screen]:
        expect(main).to_contain_text(told)


def test_a_prediction_comes_from_the_model_that_serves(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    go(tab, "Try a prediction")
    tab.get_by_role("button", name="Predict").click()
    expect(tab.get_by_text("Fill in age, sex.")).to_be_visible()
    tab.get_by_label("age", exact=True).fill("63")
    tab.get_by_label("sex", exact=True).click()
    tab.get_by_role("option", name="m", exact=True).click()
    tab.get_by_role("button", name="Predict").click()
    expect(
        tab.get_by_text("disease of team-a/heart by version 7").or_(tab.get_by_text("num of team-a/heart by version 7"))
    ).to_be_visible()


def test_a_request_goes_out_in_the_persons_own_name(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["rita"])
    go(tab, "Request a repair")
    tab.get_by_text("Roll back to an earlier version").click()
    expect(tab.get_by_label("Version", exact=True)).to_have_value(re.compile("v1 · LogisticRegression"))
    tab.get_by_label("Why").fill("answers look wrong")
    tab.get_by_role("button", name="Ask for it").click()
    expect(tab.get_by_text("Asked for")).to_be_visible()
    made = [
        one["spec"]
        for one in fresh.plane.admin.get(REQUESTS).accepted()["items"]
        if one["spec"].get("note") == "answers look wrong"
    ]
    assert [(one["requestedBy"], one["action"], one["parameters"]) for one in made] == [
        ("rita", "Rollback", {"toVersion": 1})
    ]


def test_who_may_not_ask_is_told_which_right_is_missing(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["olga"])
    go(tab, "Request a repair")
    expect(tab.get_by_text("refit-requester in namespace team-a")).to_be_visible()
    expect(tab.get_by_role("button", name="Ask for it")).to_have_count(0)


@pytest.mark.parametrize(
    ("token", "told"),
    [
        pytest.param("", "Paste a token first.", id="nothing"),
        pytest.param("not-a-token-of-anybody", "The cluster does not take this token", id="a token of nobody"),
        pytest.param("two words", "That is no token", id="what can be none"),
    ],
)
def test_a_sign_in_that_fails_says_why(world: World, tab: Page, token: str, told: str) -> None:
    tab.goto(world.url)
    tab.get_by_label("Token", exact=True).fill(token)
    tab.get_by_role("button", name="Sign in", exact=True).click()
    expect(tab.get_by_text(told)).to_be_visible()


def test_after_signing_out_nothing_is_left_on_the_screen(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    tab.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_label("Token", exact=True)).to_be_visible()
    expect(tab.get_by_text("Retrain heart")).to_have_count(0)
    expect(tab.get_by_text("alice")).to_have_count(0)


def test_a_narrow_dark_screen_needs_no_scrolling_sideways(fresh: World, browser: Browser) -> None:
    context = window(browser, dark=True, narrow=True)
    tab = context.new_page()
    tab.goto(f"{fresh.url}/?namespace=team-a")
    tab.get_by_label("Token", exact=True).fill(fresh.tokens["alice"])
    tab.get_by_role("button", name="Sign in", exact=True).click()
    expect(tab.get_by_role("heading", name="Retrain heart")).to_be_visible()
    settled(tab)
    main = tab.get_by_test_id("stMain")
    assert main.evaluate("one => one.scrollWidth <= one.clientWidth")
    assert main.evaluate("one => getComputedStyle(one.closest('.stApp')).colorScheme") == "dark"
    context.close()
