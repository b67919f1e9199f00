"""The pages: what they say, how they are tagged, that they are inert, and that nothing runs over."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pypdfium2  # type: ignore[import-untyped]  # it ships no types
import pytest
from pypdf import PdfReader
from pypdf.generic import DictionaryObject

from refit.api.orders import ReportOrder
from refit.api.remediationrequest import Action
from refit.api.reports import ReportKind
from refit.report.document import LARGEST, Drawn, TooLargeError, pdf
from refit.report.incident import DEEDS
from refit.report.measured import Measured, of_status
from refit.report.pages import PAGES, html
from reported import HOSTILE, MEASUREMENT, hostile, hostile_measured, measured, order

GOLDEN = Path(__file__).parent / "golden"
KINDS = [pytest.param(kind, id=f"{kind} report") for kind in ReportKind]
MARGIN_MM, PAGE_MM = 17.0, 210.0
TAGS = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "main",
        "p",
        "span",
        "h1",
        "h2",
        "h3",
        "dl",
        "dt",
        "dd",
        "div",
        "ul",
        "ol",
        "li",
        "section",
        "table",
        "caption",
        "colgroup",
        "col",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "figure",
        "svg",
        "rect",
        "path",
        "circle",
        "time",
        "strong",
    ]
)


def evidence(kind: ReportKind, found: Measured) -> Measured | None:
    return None if kind is ReportKind.DEPLOYMENT else found


@cache
def plain(kind: ReportKind) -> Drawn:
    return pdf(html(order(kind), evidence(kind, measured())))


@cache
def attacked(kind: ReportKind) -> Drawn:
    return pdf(html(hostile(kind), evidence(kind, hostile_measured())))


def texts(drawn: Drawn) -> list[str]:
    """The text of each page, its words apart by one space."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(drawn.content)).pages]


def shown(drawn: Drawn) -> str:
    """All text as a reader's own program has it. (pypdf misreads pages with a character that no font here has.)"""
    pages = [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(drawn.content)]
    return " ".join(" ".join(pages).split())


@pytest.mark.parametrize("kind", KINDS)
def test_each_page_says_just_this(kind: ReportKind) -> None:
    """To write the files anew: REFIT_GOLDEN=1, then look at what changed."""
    file = GOLDEN / f"{kind.lower()}.txt"
    found = "\n\n".join(texts(plain(kind))) + "\n"
    if os.environ.get("REFIT_GOLDEN"):
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")


def test_every_kind_has_its_page_and_every_action_its_words() -> None:
    assert set(PAGES) == set(ReportKind)
    assert set(DEEDS) == set(Action)


@pytest.mark.parametrize("drawn", [plain, attacked], ids=["plain", "with hostile texts"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_runs_into_the_margins_and_no_page_is_empty(kind: ReportKind, drawn: Any) -> None:
    for number, page in enumerate(pypdfium2.PdfDocument(drawn(kind).content), 1):
        image = page.render(scale=1.5, grayscale=True).to_pil()
        width, height = image.size
        margin = int(width * MARGIN_MM / PAGE_MM)
        for name, box in {
            "left": (0, 0, margin, height),
            "right": (width - margin, 0, width, height),
            "foot": (0, height - int(height * 8 / 297), width, height),
        }.items():
            assert image.crop(box).getextrema() == (255, 255), f"page {number} has something in its {name} margin"
        body = image.crop((0, int(height * 28 / 297), width, height - int(height * 20 / 297)))
        assert body.getextrema() != (255, 255), f"page {number} is empty"


class Elements(HTMLParser):
    """The elements of a page, and their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("kind", KINDS)
def test_what_people_wrote_is_text_and_nothing_else(kind: ReportKind) -> None:
    page = html(hostile(kind), evidence(kind, hostile_measured()))
    found = Elements()
    found.feed(page)
    assert found.tags - TAGS == set()
    assert [name for name in found.attributes if name.startswith("on") or name in {"src", "href"}] == []
    assert "\u202e" not in page
    assert "\0" not in page
    assert page.count("<style>") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_texts_are_shown_as_they_are(kind: ReportKind) -> None:
    told = "".join(shown(attacked(kind)).split())
    for text in HOSTILE[:4] if kind is not ReportKind.DEPLOYMENT else HOSTILE[1:2]:
        assert "".join(text.split())[:24] in told


@pytest.mark.parametrize("kind", KINDS)
def test_a_pdf_holds_no_link_script_or_file(kind: ReportKind) -> None:
    reader = PdfReader(io.BytesIO(attacked(kind).content))
    root: Any = reader.trailer["/Root"]
    assert [name for name in ("/OpenAction", "/AA", "/AcroForm", "/Names") if name in root] == []
    assert [page.get("/Annots") for page in reader.pages] == [None] * len(reader.pages)


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}/beacon.png", "file:///etc/hostname"])
def test_no_address_in_a_page_is_fetched(address: str, beacon: Any) -> None:
    url = address.format(port=beacon.server_port)
    style = f"<style>@import '{url}'; body {{ background: url({url}) }}</style><link rel=stylesheet href='{url}'>"
    pdf(f"<html lang=en><head><title>x</title>{style}</head><body><img alt=x src='{url}'><p>text</p></body></html>")
    pdf(html(order(ReportKind.DRIFT, cluster=f"<img src='{url}'>"), measured()))
    assert beacon.asked == []


@pytest.mark.parametrize("drawn", [plain, attacked], ids=["plain", "with hostile texts"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_pdf_is_tagged_named_and_has_its_fonts_in_it(kind: ReportKind, drawn: Any) -> None:
    reader = PdfReader(io.BytesIO(drawn(kind).content))
    root: Any = reader.trailer["/Root"]
    assert (root["/MarkInfo"]["/Marked"], root["/Lang"], root["/ViewerPreferences"]["/DisplayDocTitle"]) == (
        True, "en", True,
    )  # fmt: skip
    assert "pdfuaid:part" in root["/Metadata"].get_data().decode()
    elements: list[Any] = list(structure(root["/StructTreeRoot"]["/K"]))
    kinds = {str(element["/S"]) for element in elements}
    assert {"/H1", "/H2", "/Table", "/TH", "/TD", "/Figure", "/P"} <= kinds
    assert [element for element in elements if element["/S"] == "/Figure" and not element.get("/Alt")] == []
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]  # type: ignore[index]  # a page with text has fonts
    for font in fonts:
        descriptor = font["/DescendantFonts"][0]["/FontDescriptor"]
        assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor), f"{font['/BaseFont']} is not in the file"


def structure(node: Any) -> Iterator[DictionaryObject]:
    """The structure elements below a node."""
    found = node.get_object()
    if isinstance(found, DictionaryObject):
        if "/S" in found:
            yield found
        found = found.get("/K", [])
    for child in found if isinstance(found, list) else [found]:
        if not isinstance(child, int):
            yield from structure(child)


def test_title_and_date_come_from_the_order() -> None:
    found = PdfReader(io.BytesIO(plain(ReportKind.INCIDENT).content)).metadata
    assert found is not None
    assert (found.title, found.author, str(found.creation_date)) == (
        "Incident report: clinic/heart", "Refit", "2026-11-13 08:42:00+00:00",
    )  # fmt: skip


DRAW = """
import sys
sys.path.insert(0, sys.argv[2])
from refit.api.remediationrequest import Action
from refit.api.reports import ReportKind
from refit.report.document import pdf
from refit.report.pages import html
from reported import hostile, hostile_measured
print(pdf(html(hostile(ReportKind(sys.argv[1])), hostile_measured())).sha256)
"""


def test_equal_orders_give_equal_bytes_in_any_process() -> None:
    support = str(Path(__file__).parents[1] / "support")
    found = {
        subprocess.run(
            [sys.executable, "-c", DRAW, ReportKind.INCIDENT, support],
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert found == {attacked(ReportKind.INCIDENT).sha256 + "\n"}


START = """
import sys
ran = []
sys.addaudithook(lambda event, _: ran.append(event) if event == "subprocess.Popen" else None)
import refit.report.document
print(ran)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the loader does not know libraries by their sonames")
def test_no_other_program_is_run_to_find_a_library() -> None:
    found = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_report_is_small(kind: ReportKind) -> None:
    assert len(attacked(kind).content) < LARGEST / 10


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refit.report.document.LARGEST", 1000)
    with pytest.raises(TooLargeError, match="the limit is 1000"):
        pdf("<html lang=en><title>x</title><p>text</p></html>")


def test_long_lists_are_cut_and_say_so() -> None:
    found = shown(attacked(ReportKind.DRIFT))
    assert "The chart shows the first 16 of 89 inputs." in found
    assert "The first 60 of 89 inputs." in found
    assert "The first 8 of 9 alerts." in shown(attacked(ReportKind.INCIDENT))


def test_without_the_collector_a_report_shows_what_the_status_holds_and_says_so() -> None:
    drawn = order(ReportKind.DRIFT)
    assert drawn.measurement is not None
    [first, *_] = texts(pdf(html(drawn, of_status(drawn.measurement))))
    assert "The collector did not give this measurement. Shown are the 3 largest of 3 drifted inputs" in first
    assert MEASUREMENT["rows"] == 412


def test_what_did_not_fit_the_order_is_told() -> None:
    found = html(order(ReportKind.APPROVAL, omitted=["groups of those who decided"]), None)
    assert "Left out: groups of those who decided." in found


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param(order(ReportKind.DRIFT), "needs a measurement", id="drift without a measurement"),
        pytest.param(order(ReportKind.INCIDENT, request=None), "needs a request", id="an incident without a request"),
        pytest.param(order(ReportKind.APPROVAL, request=None), "needs a request", id="an approval without a request"),
        pytest.param(order(ReportKind.DEPLOYMENT, serving=None), "needs the version", id="a deployment of no version"),
    ],
)
def test_an_order_that_lacks_what_it_tells_of_is_refused(wrong: ReportOrder, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        html(wrong, None)
