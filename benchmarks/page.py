"""What a person waits for at the approval page, in a real Chromium, before a live API server with the guard.

    python benchmarks/page.py [--rounds 8]

First paint is from the address to the first words; beside it, in turn, that of a Streamlit page which only prints
"hello". A decision is from the click to the approval that the API server holds; beside it, the same patch sent by a client.
The overview of 200 models is from a click on its name to the last row; beside it, that of 3 models.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("cluster", "tests/support", "benchmarks")]

from figures import Figure, table  # noqa: E402  # beside this script, which runs without being installed
from playwright.sync_api import Browser, Page, expect  # noqa: E402  # as above

import page_process as pages  # noqa: E402  # as above
from browser import chromium, go, sign_in, window  # noqa: E402  # as above
from collector_process import free_port  # noqa: E402  # as above
from guarded import REQUESTS, Guarded, approvals, guarded, yes  # noqa: E402  # as above
from plugin import DIGEST, MODEL_STATUS, MODELS, model, renew  # noqa: E402  # as above

ROUNDS, MANY = 8, 200
POLL_SECONDS = 0.005
ROWS = "count => document.querySelectorAll('.rf-table tbody tr').length === count"
DECISION_MS, OVERVIEW_MS = 1000, 1500
"""Goals."""


def run(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """The figures, as records."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        argument, tokens = pages.tokens(folder)
        plane = stack.enter_context(guarded(argument))
        pages.populate(plane)
        ours = stack.enter_context(pages.served(plane, folder / "ui", refresh_seconds="3600"))
        hello = stack.enter_context(_hello(folder / "hello"))
        browser = stack.enter_context(chromium())
        paints = [(_paint(browser, ours, "Sign in to Refit"), _paint(browser, hello, "hello")) for _ in range(rounds)]
        clicks = [_decided(plane, browser, ours, tokens["alice"], place) for place in range(rounds)]
        few = _overview(browser, ours, tokens["alice"], rounds, 3)
        _fill(plane)
        many = _overview(browser, ours, tokens["alice"], rounds, MANY)
    return [figure.record() for figure in _figures(paints, clicks, few, many)]


def _hello(folder: Path) -> Any:
    folder.mkdir()
    script, port = folder / "hello.py", free_port()
    script.write_text('import streamlit as st\nst.write("hello")\n')
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    command += [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    command += ["--browser.gatherUsageStats=false", "--server.fileWatcherType=none"]
    return pages.started(command, os.environ, folder, f"http://127.0.0.1:{port}")


def _paint(browser: Browser, url: str, words: str) -> float:
    """Milliseconds in a window that knows nothing of the page yet."""
    context = window(browser)
    tab = context.new_page()
    began = time.perf_counter()
    tab.goto(url, wait_until="commit")
    tab.get_by_text(words, exact=True).first.wait_for()
    found = 1000 * (time.perf_counter() - began)
    context.close()
    return found


def _decided(plane: Guarded, browser: Browser, url: str, token: str, place: int) -> tuple[float, float]:
    """Milliseconds of a click, and of the same patch by a client."""
    name, other = f"heart-retrain-bench{place}", f"heart-retrain-client{place}"
    clicked, patched = renew(plane, name), renew(plane, other)
    context = window(browser)
    tab = context.new_page()
    sign_in(tab, url, token, f"/?namespace=team-a&request={name}")
    button = tab.get_by_role("button", name="Approve").first
    expect(button).to_be_enabled()
    began = time.perf_counter()
    button.click(no_wait_after=True)
    while not plane.decided(clicked):
        time.sleep(POLL_SECONDS)
    by_click = 1000 * (time.perf_counter() - began)
    context.close()
    began = time.perf_counter()
    plane.who("alice").merge(f"{patched}/status", approvals({"alice": yes(DIGEST)})).accepted()
    by_client = 1000 * (time.perf_counter() - began)
    for one in (name, other):
        plane.admin.delete(f"{REQUESTS}/{one}").accepted()
    return by_click, by_client


def _fill(plane: Guarded) -> None:
    for place in range(MANY - 3):
        name = f"model-{place}"
        plane.admin.create(MODELS, model(name)).accepted()
        plane.admin.merge(f"{MODELS}/{name}/status", {"status": {**MODEL_STATUS, "openRequests": None}}).accepted()


def _overview(browser: Browser, url: str, token: str, rounds: int, count: int) -> list[float]:
    """Milliseconds from the click to the last row, of a reading that is made anew."""
    context = window(browser)
    tab: Page = context.new_page()
    sign_in(tab, url, token, "/?namespace=team-a")
    found = []
    for _ in range(rounds):
        go(tab, "Reports")
        time.sleep(4.1)  # what was read is good for four seconds, and a reading is what is timed
        began = time.perf_counter()
        tab.get_by_test_id("stSidebarNavLink").filter(has_text="Overview").click()
        # At each frame: the library's own waiting looks ever less often, up to a second apart.
        tab.wait_for_function(ROWS, arg=count, polling="raf")
        found.append(1000 * (time.perf_counter() - began))
    context.close()
    return found


def _figures(
    paints: list[tuple[float, float]], clicks: list[tuple[float, float]], few: list[float], many: list[float]
) -> Iterator[Figure]:
    ours, hello = (statistics.median(each) for each in zip(*paints, strict=True))
    yield Figure(
        what="first paint: p50",
        value=ours,
        unit="ms",
        compared_with=f"a page of one word: {hello:.0f} ms",
        ratio=ours / hello,
    )
    click, patch = (statistics.median(each) for each in zip(*clicks, strict=True))
    yield Figure(
        what="click to stored approval: p50",
        value=click,
        unit="ms",
        compared_with=f"a client's patch: {patch:.1f} ms",
        ratio=click / patch,
        at_most=DECISION_MS,
    )
    yield Figure(what="click to stored approval: worst", value=max(one for one, _ in clicks), unit="ms")
    small, large = statistics.median(few), statistics.median(many)
    yield Figure(
        what=f"overview of {MANY} models: p50",
        value=large,
        unit="ms",
        compared_with=f"3 models: {small:.0f} ms",
        ratio=large / small,
        at_most=OVERVIEW_MS,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    print(table(run(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
