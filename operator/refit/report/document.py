"""From a page to a PDF: tagged, with its fonts in it, and the same bytes for the same page. Nothing is fetched."""

from __future__ import annotations

import ctypes.util
import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@contextmanager
def _by_soname() -> Iterator[None]:
    """Of a library's names WeasyPrint tries the soname last, which the loader finds by itself; for each before it ctypes
    would run ldconfig, a compiler and a linker, which is a fifth of a second in all."""
    search = ctypes.util.find_library
    if sys.platform == "linux":
        ctypes.util.find_library = lambda name: None  # noqa: ARG005  # the name of its parameter is part of its type
    try:
        yield
    finally:
        ctypes.util.find_library = search


with _by_soname():
    from weasyprint import HTML  # type: ignore[import-untyped]  # it ships no types
    from weasyprint.text.fonts import FontConfiguration  # type: ignore[import-untyped]  # as above
    from weasyprint.urls import URLFetcher  # type: ignore[import-untyped]  # as above

LARGEST = 2 * 1024 * 1024
VARIANT = "pdf/ua-1"


class TooLargeError(Exception):
    """The PDF is larger than anybody wants to be sent."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A PDF and its pages' number."""

    content: bytes
    pages: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def pdf(html: str) -> Drawn:
    """The PDF; raises TooLargeError. Its id is that of its page, so that equal pages give equal files."""
    source = HTML(string=html, url_fetcher=URLFetcher(allowed_protocols=("data",)))
    document: Any = source.render(font_config=FontConfiguration())
    identifier = hashlib.sha256(html.encode()).digest()[:16]
    content: bytes = document.write_pdf(pdf_variant=VARIANT, pdf_tags=True, pdf_identifier=identifier)
    if len(content) > LARGEST:
        raise TooLargeError(f"the PDF has {len(content)} bytes, the limit is {LARGEST}")
    return Drawn(content=content, pages=len(document.pages))
