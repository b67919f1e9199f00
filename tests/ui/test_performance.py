"""Model performance: the confusions of the version that serves, by their counts where they are stored, else by the picture."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from browser import go, sign_in
from page_process import World
from plugin import MODELS, ago, record
from refit_ui.views.confusions import MOST_SHOWN, Cell, matrix


def _stored(labels: list[str], counts: list[list[Any]]) -> bytes:
    return json.dumps({"labels": labels, "counts": counts}).encode()


def test_the_counts_are_read_with_their_share_of_the_true_class() -> None:
    found = matrix(_stored(["no", "yes"], [[30, 10], [0, 0]]))
    assert found is not None
    assert found.cells == (
        Cell(true="no", predicted="no", count=30, share=0.75),
        Cell(true="no", predicted="yes", count=10, share=0.25),
        Cell(true="yes", predicted="no", count=0, share=0.0),
        Cell(true="yes", predicted="yes", count=0, share=0.0),
    )
    assert found.rows == (("no", "30", "10", "40"), ("yes", "0", "0", "0"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"no JSON", id="no JSON"),
        pytest.param(_stored(["a", "b"], [[1, 2]]), id="a row is missing"),
        pytest.param(_stored(["a", "b"], [[1, 2], [3]]), id="a cell is missing"),
        pytest.param(_stored(["a", "b"], [[1, -2], [3, 4]]), id="less than nothing"),
        pytest.param(_stored(["a", "b"], [[1, 2.5], [3, 4]]), id="half a row of data"),
        pytest.param(_stored(["a"], [[1]]), id="one class"),
        pytest.param(
            _stored([str(one) for one in range(MOST_SHOWN + 1)], [[0] * (MOST_SHOWN + 1)] * (MOST_SHOWN + 1)),
            id="more classes than anybody reads",
        ),
    ],
)
def test_what_can_not_be_shown_is_no_matrix(content: bytes) -> None:
    assert matrix(content) is None


@pytest.mark.contract
def test_the_matrix_is_drawn_of_the_stored_counts_and_stands_below_as_a_table(fresh: World, tab: Page) -> None:
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    go(tab, "Model performance")
    place = tab.locator("[class*=st-key-confusions]")
    expect(place.locator("canvas, svg").first).to_be_visible()
    rows = place.get_by_role("table", name="Confusion matrix").locator("tbody tr")
    expect(rows).to_have_count(2)
    cells = [[int(one) for one in rows.nth(at).locator("td").all_inner_texts()[1:]] for at in range(2)]
    assert [row[0] + row[1] for row in cells] == [row[2] for row in cells]
    assert sum(row[2] for row in cells) == 300
    pictures = tab.get_by_test_id("stMain").get_by_role("img")
    expect(tab.get_by_text("ROC: true against false positive rate")).to_be_visible()
    expect(tab.get_by_text("true classes down, predicted ones across")).to_have_count(0)
    expect(pictures.first).to_be_visible()


@pytest.mark.contract
def test_an_older_version_has_the_picture_of_its_matrix(fresh: World, tab: Page) -> None:
    serving = record(3, "Serving", "0.807018", since=ago(30), createTime=ago(31), runId=fresh.runs["run1"])
    fresh.plane.admin.merge(f"{MODELS}/heart/status", {"status": {"history": [serving]}}).accepted()
    sign_in(tab, fresh.url, fresh.tokens["alice"])
    go(tab, "Model performance")
    expect(tab.get_by_text("true classes down, predicted ones across")).to_be_visible()
    expect(tab.locator("[class*=st-key-confusions]")).to_have_count(0)
