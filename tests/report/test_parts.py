"""Words, numbers and places of charts."""

from __future__ import annotations

import pytest

from refit.report.charts import Bar, Mark, band, bars, intervals, steps
from refit.report.wording import lasted, listed, metric, number, p_value, plain, sentence, shortened, signed, when


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(number("0.82"), "0.820", id="a share has three decimals"),
        pytest.param(number("24512.3"), "24,512", id="a large number has none"),
        pytest.param(number("12.345"), "12.3", id="one between has one"),
        pytest.param(signed("-0.05"), "\N{MINUS SIGN}0.050", id="a minus is a minus"),
        pytest.param(signed("0.05"), "+0.050", id="a plus is told"),
        pytest.param(p_value("1e-12"), "< 0.0001", id="a tiny p is not zero"),
        pytest.param(p_value("0.0312"), "0.0312", id="a p has four decimals"),
        pytest.param(metric("roc_auc"), "ROC AUC", id="a metric has its usual name"),
        pytest.param(metric("mine"), "mine", id="another stays as it is"),
        pytest.param(when("2026-11-03T07:05:00Z"), "3 Nov 2026, 07:05 UTC", id="a moment"),
        pytest.param(when(None), "—", id="no moment"),
        pytest.param(lasted("2026-11-03T07:05:00Z", "2026-11-05T09:06:00Z"), "2 d 2 h", id="days and hours"),
        pytest.param(lasted("2026-11-03T07:05:00Z", "2026-11-03T07:05:09Z"), "9 s", id="seconds"),
        pytest.param(lasted("2026-11-03T07:05:00Z", "2026-11-03T06:00:00Z"), "0 s", id="never less than nothing"),
        pytest.param(plain("a\u202eb\x00c\n d\u200be"), "abc de", id="no character that hides or turns others"),
        pytest.param(plain("नमस्\u200dते"), "नमस्\u200dते", id="a joiner that a script needs stays"),
        pytest.param(sentence("version 3 serves"), "Version 3 serves.", id="a sentence"),
        pytest.param(sentence("Why?"), "Why?", id="a question"),
        pytest.param(shortened("column_with_a_long_name_017", 18), "column_with…me_017", id="both ends of a name"),
        pytest.param(listed(["a", "b", "c"]), "a, b and c", id="three names"),
        pytest.param(listed(["a", "b", "c", "d", "e"]), "a, b, c and 2 more", id="many names"),
    ],
)
def test_words(found: str, expected: str) -> None:
    assert found == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "low"), (0.4999, "low"), (0.5, "medium"), (0.7, "medium"), (0.7001, "high"), (1.0, "high")],
)
def test_bands_are_those_of_severity(value: float, expected: str) -> None:
    assert band(value) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        pytest.param(0.71, 0.86, (0.7, 0.75, 0.8, 0.85, 0.9), id="shares"),
        pytest.param(0.8, 0.8, (0.75, 0.8, 0.85), id="one value"),
        pytest.param(0.0, 0.0, (-0.05, 0.0, 0.05), id="nothing"),
        pytest.param(-12.0, 31000.0, (-10000.0, 0.0, 10000.0, 20000.0, 30000.0, 40000.0), id="a regression's errors"),
    ],
)
def test_an_axis_has_round_places_that_hold_all(low: float, high: float, expected: tuple[float, ...]) -> None:
    found = steps(low, high)
    assert (found[0] <= low, high <= found[-1]) == (True, True)
    assert found == pytest.approx(expected)


def test_bars_are_as_long_as_their_values_and_never_longer_than_the_axis() -> None:
    chart = bars([Bar(name="a", value=0.5, threshold=0.1, flagged=True), Bar(name="b", value=7.0)], "two")
    assert [(bar.width, bar.threshold, bar.tone) for bar in chart.bars] == [
        (215.0, 213.0, "medium"),
        (430.0, None, "quiet"),
    ]


def test_an_interval_stands_around_its_value() -> None:
    chart = intervals([Mark(name="f1", value=0.8, low=0.77, high=0.86, bound=0.75)], "one")
    [mark] = chart.marks
    assert mark.bound is not None
    assert mark.low is not None
    assert mark.high is not None
    assert mark.bound < mark.low < mark.x < mark.high
