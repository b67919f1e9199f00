"""A real Chromium, Debian's own, driven by Playwright; installed where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from refit_cluster import debian

EXECUTABLE = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PATIENCE_MS = 20_000
"""The machine may be busy; nothing waits longer than what it waits for takes."""


@contextmanager
def chromium() -> Iterator[Browser]:
    debian.install(debian.absent(("chromium",)))
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=[*ARGUMENTS])
        try:
            yield browser
        finally:
            browser.close()


def window(
    browser: Browser, *, dark: bool = False, narrow: bool = False, ignore_https_errors: bool = False
) -> BrowserContext:
    """A window of its own, as another person's or another computer's would be."""
    scheme: Literal["dark", "light"] = "dark" if dark else "light"
    context = browser.new_context(
        viewport=NARROW if narrow else WIDE,  # type: ignore[arg-type]  # Playwright's own type is not exported
        color_scheme=scheme,
        reduced_motion="reduce",
        ignore_https_errors=ignore_https_errors,
    )
    context.set_default_timeout(PATIENCE_MS)
    return context


def sign_in(page: Page, url: str, token: str, path: str = "/approvals?namespace=team-a") -> None:
    """Opens the page and signs in with a token; returns when the screen is drawn."""
    page.goto(url + path)
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def settled(page: Page) -> None:
    """When nothing runs any more."""
    expect(page.locator("[data-testid=stApp]")).to_have_attribute("data-test-script-state", "notRunning")


def go(page: Page, name: str) -> None:
    """To another screen, by the navigation."""
    page.get_by_test_id("stSidebarNavLink").filter(has_text=name).click()
    expect(page.get_by_role("heading", name=name, exact=True, level=1)).to_be_visible()
    settled(page)


def card(page: Page, title: str = "Retrain heart") -> Locator:
    """The card of a request that waits."""
    return page.locator("[class*=st-key-card-]").filter(has=page.get_by_role("heading", name=title, exact=True))
