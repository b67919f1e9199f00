"""People decide in a real browser, and what counts is what the API server then holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser import card, sign_in
from guarded import REQUESTS, SYSTEM, TEAM, approvals, yes
from page_process import ROLLBACK, World
from plugin import DIGEST, OPEN, asking
from refit_cluster.shell import wait_until

pytestmark = pytest.mark.contract


def decided(world: World, name: str = OPEN) -> dict[str, Any]:
    """The decisions, as soon as there is one."""
    wait_until(lambda: bool(world.stored(name)), what="a stored decision", within=30, pause=0.1)
    return world.stored(name)


def writes(world: World, verb: str = "patch") -> list[dict[str, Any]]:
    """Writes of a request's status by the page, as the API server's own audit log has them."""
    lines = (json.loads(line) for line in world.plane.plane.audit_log.read_text().splitlines())
    return [
        one
        for one in lines
        if one.get("userAgent") == "refit-ui"
        and one["verb"] == verb
        and one["objectRef"].get("subresource") == "status"
    ]


def test_an_approver_signs_in_reads_and_approves_under_their_own_name(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    shown = card(tab)
    for told in ("thalach 0.71 high", "0.82", "90 % interval 0.77 to 0.86", "a newly trained version, if it is better"):
        expect(shown).to_contain_text(told)
    shown.get_by_label("Reason").fill("drift is real")
    shown.get_by_role("button", name="Approve").click()
    expect(shown).to_contain_text("You approved this.")
    assert decided(fresh) == {"alice": {"decision": "Approved", "proposalDigest": DIGEST, "reason": "drift is real"}}
    expect(shown.get_by_role("button", name="Approve")).to_have_count(0)


def test_a_rejection_needs_a_reason_and_takes_it_along(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    card(tab).get_by_role("button", name="Reject").click()
    expect(card(tab)).to_contain_text("A rejection needs a reason")
    assert fresh.stored(OPEN) == {}
    card(tab).get_by_label("Reason").fill("not at night")
    card(tab).get_by_role("button", name="Reject").click()
    expect(card(tab)).to_contain_text("You rejected this.")
    assert decided(fresh)["alice"]["decision"] == "Rejected"


def test_all_of_it_works_without_a_mouse(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    card(tab).get_by_label("Reason").focus()
    tab.keyboard.type("by keys alone")
    tab.keyboard.press("Control+Enter")  # sends nothing: a decision is not made by chance
    tab.keyboard.press("Tab")
    expect(card(tab).get_by_role("button", name="Approve")).to_be_focused()
    assert fresh.stored(OPEN) == {}
    tab.keyboard.press("Enter")
    expect(card(tab)).to_contain_text("You approved this.")
    assert decided(fresh)["alice"]["reason"] == "by keys alone"


def test_a_viewer_sees_no_button_and_a_forged_call_is_refused(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["olga"])
    expect(card(tab)).to_contain_text("You may read this, not decide on it")
    expect(tab.get_by_role("button", name="Approve")).to_have_count(0)
    expect(tab.get_by_role("button", name="Reject")).to_have_count(0)
    answer = fresh.plane.who("olga").merge(f"{REQUESTS}/{OPEN}/status", approvals({"olga": yes()}))
    assert (answer.code, fresh.stored(OPEN)) == (403, {})


def test_who_asked_may_not_decide_and_is_told_so(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["rita"])
    expect(card(tab, "Roll heart back to version 1")).to_contain_text(
        "You asked for this, so somebody else must decide."
    )
    assert fresh.stored(ROLLBACK) == {}


def test_a_double_click_is_one_decision(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    before = len(writes(fresh))
    card(tab).get_by_role("button", name="Approve").dblclick()
    expect(card(tab)).to_contain_text("You approved this.")
    assert list(decided(fresh)) == ["alice"]
    assert len(writes(fresh)) == before + 1


def test_two_tabs_are_one_decision_and_the_second_says_so(fresh: World, tab: Page, other_tab: Page) -> None:
    for one in (tab, other_tab):
        sign_in(one, fresh.url, fresh.tokens["alice"])
        expect(card(one).get_by_role("button", name="Approve")).to_be_enabled()
    card(tab).get_by_role("button", name="Approve").click()
    expect(card(tab)).to_contain_text("You approved this.")
    other_tab.evaluate("() => 0")
    reject = card(other_tab).get_by_role("button", name="Reject")
    if reject.count():  # it has not refreshed itself yet
        card(other_tab).get_by_label("Reason").fill("on second thoughts")
        if reject.count():
            reject.click()
    expect(card(other_tab)).to_contain_text("a decision is final")
    assert decided(fresh)["alice"]["decision"] == "Approved"


def _another_proposal(world: World) -> None:
    asked = asking("sha256:" + "ab" * 32)
    asked["status"]["proposal"]["text"] = "Retrain heart on everything"
    asked["status"]["proposal"]["predictedImpact"]["predicted"] = "0.60"
    world.plane.write_status(f"{REQUESTS}/{OPEN}", asked)


def _gone(world: World) -> None:
    world.plane.admin.delete(f"{REQUESTS}/{OPEN}").accepted()


def test_a_stale_page_says_what_changed_and_decides_nothing_until_it_was_looked_at(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    expect(card(tab).get_by_role("button", name="Approve")).to_be_enabled()
    _another_proposal(fresh)
    expect(card(tab)).to_contain_text("Changed since you opened it")
    expect(card(tab)).to_contain_text("Retrain heart on everything")
    expect(card(tab).get_by_role("button", name="Approve")).to_be_disabled()
    assert fresh.stored(OPEN) == {}
    card(tab).get_by_role("button", name="I have looked at it").click()
    expect(card(tab).get_by_role("button", name="Approve")).to_be_enabled()
    card(tab).get_by_role("button", name="Approve").click()
    expect(card(tab)).to_contain_text("You approved this.")
    assert decided(fresh)["alice"]["proposalDigest"] == "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(_another_proposal, "Changed since you opened it", id="another proposal"),
        pytest.param(_gone, "Nothing waits|Roll heart back", id="the request is gone"),
    ],
)
def test_a_click_on_what_changed_a_moment_ago_decides_nothing(
    fresh: World, tab: Page, change: Callable[[World], None], told: str
) -> None:
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    button = card(tab).get_by_role("button", name="Approve")
    expect(button).to_be_enabled()
    change(fresh)
    if button.count() and button.is_enabled():
        button.click()
    alternatives = told.split("|")
    expect(tab.get_by_text(alternatives[-1]).first).to_be_visible()
    found = fresh.plane.admin.get(f"{REQUESTS}/{OPEN}")
    assert found.code == 404 or "approvals" not in found.accepted()["status"]


def test_a_sign_in_that_ends_before_the_click_keeps_what_was_written(fresh: World, tab: Page) -> None:
    account, plane = f"/api/v1/namespaces/{TEAM}/serviceaccounts", fresh.plane
    made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "approver", "namespace": TEAM}}
    name = f"system:serviceaccount:{TEAM}:approver"
    plane.bind("refit-approver", name)

    def token() -> str:
        plane.put(made)
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        return str(plane.admin.create(f"{account}/approver/token", body).accepted()["status"]["token"])

    sign_in(tab, fresh.url, token())
    card(tab).get_by_label("Reason").fill("written before the end")
    plane.admin.delete(
        f"{account}/approver"
    ).accepted()  # its token is no longer taken, as soon as the server forgets it
    expect(tab.get_by_text("Your sign-in has ended")).to_be_visible()
    card(tab).get_by_role("button", name="Approve").click()
    expect(tab.get_by_text("Please sign in again")).to_be_visible()
    assert fresh.stored(OPEN) == {}
    tab.get_by_label("Token", exact=True).fill(token())
    tab.get_by_role("button", name="Sign in", exact=True).click()
    expect(card(tab).get_by_label("Reason")).to_have_value("written before the end")
    card(tab).get_by_role("button", name="Approve").click()
    expect(card(tab)).to_contain_text("You approved this.")
    assert decided(fresh)[name]["reason"] == "written before the end"


def test_the_pages_own_account_may_do_nothing(fresh: World) -> None:
    account = fresh.plane.person(f"system:serviceaccount:{SYSTEM}:refit-ui", "system:serviceaccounts")
    paths = (
        REQUESTS,
        f"/apis/refit.dev/v1alpha1/namespaces/{TEAM}/modeldeployments",
        f"/api/v1/namespaces/{TEAM}/secrets",
    )
    assert [account.get(path).code for path in paths] == [403, 403, 403]
    assert account.merge(f"{REQUESTS}/{OPEN}/status", approvals({"alice": yes()})).code == 403
