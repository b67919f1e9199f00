"""Signing in by OpenID Connect: a real provider, an API server that trusts it, and decisions under people's own names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import page_process as pages
from browser import card, window
from identity_provider import GROUP_PREFIX, LIFETIME, USER_PREFIX, Provider
from page_process import ROLLBACK, World
from plugin import DIGEST, OPEN
from refit_cluster.shell import wait_until

pytestmark = pytest.mark.contract
ANNA, BEN, EVE = "anna@clinic.example", "ben@clinic.example", "eve@clinic.example"
SHORT = 12
"""Seconds: enough to sign in and write a word."""


@dataclass(frozen=True)
class Organisation:
    """A team's world whose page knows the provider, too."""

    world: World
    provider: Provider


@pytest.fixture(scope="module")
def page(world: World, identity: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("oidc")
    world.plane.bind("refit-approver", f"{USER_PREFIX}{ANNA}")
    world.plane.bind("refit-approver", f"{GROUP_PREFIX}deciders", group=True)
    secrets_file = str(identity.page_secrets(folder))
    with pages.served(
        world.plane, folder / "ui", secrets_file=secrets_file, namespaces="team-a", refresh_seconds="2"
    ) as url:
        yield replace(world, url=url)


@pytest.fixture
def organisation(page: World, identity: Provider) -> Iterator[Organisation]:
    page.renew()
    identity.groups = {BEN: ("deciders",)}
    yield Organisation(page, identity)
    identity.lifetime = LIFETIME


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A browser to whom the provider's authority is nobody's business."""
    context = window(browser, ignore_https_errors=True)
    yield context.new_page()
    context.close()


def ask(tab: Page, person: str) -> None:
    """From the page's sign-in, by the provider's form, and back."""
    tab.get_by_role("button", name="Sign in with your organisation").click()
    tab.get_by_label("E-mail").fill(person)
    tab.get_by_role("button", name="Continue").click()


def sign_in(tab: Page, person: str) -> None:
    ask(tab, person)
    expect(tab.get_by_role("button", name="Sign out")).to_be_visible()


@pytest.mark.parametrize(
    ("person", "by"),
    [
        pytest.param(ANNA, {}, id="whose name has the right"),
        pytest.param(BEN, {"groups": [f"{GROUP_PREFIX}deciders"]}, id="whose group has the right"),
    ],
)
def test_a_person_signs_in_by_the_provider_and_approves_under_their_own_name(
    organisation: Organisation, tab: Page, person: str, by: dict[str, list[str]]
) -> None:
    world, name = organisation.world, f"{USER_PREFIX}{person}"
    before = len(_writers(world))
    tab.goto(world.url)
    sign_in(tab, person)
    expect(tab.get_by_test_id("stSidebar")).to_contain_text(name)
    expect(card(tab, "Roll heart back to version 1")).to_be_visible()
    card(tab).get_by_label("Reason").fill("drift is real")
    card(tab).get_by_role("button", name="Approve").click()
    expect(card(tab)).to_contain_text(f"Stored under your name, {name}.")
    entry = {"decision": "Approved", "proposalDigest": DIGEST, "reason": "drift is real", **by}
    assert world.stored(OPEN) == {name: entry}
    assert _writers(world)[before:] == [name]
    assert set(organisation.provider.challenges) == {"S256"}


def _writers(world: World) -> list[str]:
    """Who decided on that request by the page, one after another, in the API server's own log."""
    lines = [json.loads(line) for line in world.plane.plane.audit_log.read_text().splitlines()]
    return [
        one["user"].get("username", "")
        for one in lines
        if one.get("userAgent") == "refit-ui" and one["verb"] == "patch" and one["objectRef"].get("name") == OPEN
    ]


def test_who_has_no_rights_in_the_cluster_signs_in_and_sees_nothing(organisation: Organisation, tab: Page) -> None:
    tab.goto(organisation.world.url)
    sign_in(tab, EVE)
    expect(tab.get_by_text("The cluster does not show you this")).to_be_visible()
    expect(tab.get_by_text("Retrain heart")).to_have_count(0)


def test_a_name_of_the_provider_is_nobody_elses(organisation: Organisation, tab: Page) -> None:
    """The cluster's own alice may approve; whom the provider calls alice may not."""
    tab.goto(organisation.world.url)
    sign_in(tab, "alice")
    expect(tab.get_by_test_id("stSidebar")).to_contain_text(f"{USER_PREFIX}alice")
    expect(tab.get_by_text("The cluster does not show you this")).to_be_visible()


def test_an_id_token_that_ended_asks_for_a_sign_in_and_keeps_what_was_written(
    organisation: Organisation, tab: Page
) -> None:
    world, name = organisation.world, f"{USER_PREFIX}{ANNA}"
    organisation.provider.lifetime = SHORT
    tab.goto(world.url)
    sign_in(tab, ANNA)
    reason = card(tab).get_by_label("Reason")
    reason.fill("written before the end")
    reason.blur()
    expect(tab.get_by_text("Your sign-in has ended")).to_be_visible()
    card(tab).get_by_role("button", name="Approve").click()
    expect(tab.get_by_text("Please sign in again")).to_be_visible()
    assert world.stored(OPEN) == {}
    organisation.provider.lifetime = LIFETIME
    sign_in(tab, ANNA)
    expect(card(tab).get_by_label("Reason")).to_have_value("written before the end")
    card(tab).get_by_role("button", name="Approve").click()
    wait_until(lambda: bool(world.stored(OPEN)), what="a stored decision", within=30, pause=0.1)
    assert world.stored(OPEN)[name]["reason"] == "written before the end"
    assert world.stored(ROLLBACK) == {}


def test_a_page_that_is_handed_no_id_token_says_what_is_missing(
    world: World, identity: Provider, tab: Page, tmp_path: Path
) -> None:
    secrets_file = str(identity.page_secrets(tmp_path, exposed="[]"))
    with pages.served(world.plane, tmp_path / "ui", secrets_file=secrets_file) as url:
        tab.goto(url)
        ask(tab, EVE)
        expect(tab.get_by_text('must set expose_tokens = ["id"]')).to_be_visible()
        expect(tab.get_by_role("button", name="Sign out")).to_have_count(0)


def test_after_signing_out_a_reload_is_signed_out(organisation: Organisation, tab: Page) -> None:
    tab.goto(organisation.world.url)
    sign_in(tab, ANNA)
    tab.reload()
    expect(tab.get_by_role("button", name="Sign out")).to_be_visible()  # the provider's sign-in outlives a reload
    tab.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_role("button", name="Sign in with your organisation")).to_be_visible()
    tab.reload()
    expect(tab.get_by_role("button", name="Sign in with your organisation")).to_be_visible()
    assert [one["name"] for one in tab.context.cookies() if "user" in one["name"]] == []
