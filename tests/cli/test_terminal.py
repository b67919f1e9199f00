"""What a terminal is given: aligned columns, no control characters, ages in one unit."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from refit.api.times import age, until
from refit.cli.terminal import colours, pairs, printable, table

NOW = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a plain line, Größe 木 😀", "a plain line, Größe 木 😀", id="text of any script is left alone"),
        pytest.param("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m", id="escape sequences are shown"),
        pytest.param("one\r\ntwo\tthree", "one\\r\\ntwo\\tthree", id="breaks and tabs are shown"),
        pytest.param("\u202egnp.exe", "\\u202egnp.exe", id="turns of direction are shown"),
        pytest.param("a\u200bb\u2028c\x9b", "a\\u200bb\\u2028c\\x9b", id="so is what has no width, and the one-byte escape"),
        pytest.param(None, "None", id="anything is text"),
    ],
)  # fmt: skip
def test_text_of_others_is_shown_and_never_obeyed(text: object, shown: str) -> None:
    assert printable(text) == shown


def test_columns_are_aligned_by_what_a_terminal_shows() -> None:
    rows = [("heart", "True", 3), ("木木", None, 12), ("e\u0301", "False", "")]
    assert table(("NAME", "READY", "VERSION"), rows) == (
        "NAME    READY   VERSION\n"
        "heart   True    3\n"
        "木木            12\n"
        "e\u0301       False"
    )  # fmt: skip


def test_colours_do_not_move_columns_and_never_touch_the_head() -> None:
    plain, coloured = (table(("True", "B"), [("True", "x"), ("False", "y")], coloured=on) for on in (False, True))
    assert coloured == "True    B\n\x1b[32mTrue\x1b[0m    x\n\x1b[31mFalse\x1b[0m   y"
    assert plain == "True    B\nTrue    x\nFalse   y"


def test_pairs_leave_out_what_there_is_not() -> None:
    assert pairs([("a", 1), ("longer", "two\n"), ("c", None), ("d", "")]) == "a        1\nlonger   two\\n"


@pytest.mark.parametrize(
    ("then", "told"),
    [
        pytest.param("2026-11-21T13:00:00Z", "0s", id="now"),
        pytest.param("2026-11-21T12:58:01Z", "119s", id="two minutes are the first to be minutes"),
        pytest.param("2026-11-21T12:58:00Z", "2m", id="minutes"),
        pytest.param("2026-11-20T14:00:00Z", "23h", id="hours"),
        pytest.param("2026-11-19T13:00:00Z", "2d", id="days"),
        pytest.param("2026-11-21T13:05:00Z", "0s", id="what is yet to come, by a clock that is wrong"),
        pytest.param(None, "", id="nothing"),
    ],
)
def test_ages(then: str | None, told: str) -> None:
    assert age(then, NOW) == told


@pytest.mark.parametrize(
    ("then", "told"),
    [
        pytest.param("2026-11-21T16:00:00Z", "in 3h", id="yet to come"),
        pytest.param("2026-11-21T13:00:00Z", "over", id="now it is over"),
        pytest.param(None, "", id="never"),
    ],
)
def test_times_to_come(then: str | None, told: str) -> None:
    assert until(then, NOW) == told


@pytest.mark.parametrize(
    ("word", "environment", "is_terminal", "wanted"),
    [
        pytest.param("auto", {}, True, True, id="at a terminal"),
        pytest.param("auto", {}, False, False, id="not into a file"),
        pytest.param("never", {}, True, False, id="not when told so"),
        pytest.param("auto", {"NO_COLOR": "1"}, True, False, id="not with NO_COLOR"),
        pytest.param("auto", {"NO_COLOR": ""}, True, True, id="an empty NO_COLOR says nothing"),
        pytest.param("auto", {"TERM": "dumb"}, True, False, id="not where it can not be"),
    ],
)
def test_colours(word: str, environment: dict[str, str], is_terminal: bool, wanted: bool) -> None:
    assert bool(colours(word, environment, is_terminal)) is wanted
