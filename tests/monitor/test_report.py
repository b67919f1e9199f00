"""The report is Evidently's, bounded, and made in a process that may fail without taking the measurement along."""

from __future__ import annotations

import numpy as np

from monitored import profile, rows, table
from refit_monitor.report import LARGEST
from refit_monitor.reporting import in_a_process, sampled
from refit_monitor.windows import from_collector

RNG = np.random.default_rng


def test_a_report_of_any_window_is_bounded_and_shows_every_column() -> None:
    inputs = rows(3000, RNG(2))
    inputs["dose"][:] = np.nan  # Evidently itself would refuse a column without values
    window = from_collector(table(inputs, RNG(3)))
    assert sampled(window, "m1").num_rows == 2000
    page = in_a_process(profile(RNG(1)), window, "m1")
    assert (len(page) <= LARGEST, page.lstrip()[:5].lower()) == (True, b"<!doc")
    assert all(name.encode() in page for name in ("age", "vessels", "site", "smoker", "probability.yes"))
