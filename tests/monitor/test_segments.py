"""Drift within segments: each is compared with the same segment of training, and all promises hold with them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from monitored import TYPES, rows
from refit.api.dataspec import ColumnType
from refit.api.measured import SegmentDrift, Verdict
from refit.api.monitoring import Monitoring
from refit.api.profile import Profile, SegmentsProfile
from refit_monitor import profiles
from refit_monitor.measured_columns import ColumnDrift, judged
from refit_monitor.measurement import Asked, Measurement, measure
from refit_monitor.windows import Window
from refit_trainer import profiles as trainer
from refit_trainer.datasets import Input

RNG = np.random.default_rng
ASKED = Asked(key="k", time="2026-11-21T12:00:00Z", namespace="", model="")
SITES = ("north", "south", "east")
Change = Callable[[dict[str, Any], np.random.Generator], None]


def arrow(inputs: dict[str, Any]) -> dict[str, pa.ChunkedArray]:
    return {name: pa.chunked_array([pa.array(values)]) for name, values in inputs.items()}


def sites(count: int, rng: np.random.Generator) -> dict[str, Any]:
    """Rows in which sites differ by nature: the doses of the north are other ones, and the south smokes."""
    found = rows(count, rng)
    found["dose"] = np.where(found["site"] == "north", found["dose"] + 4, found["dose"])
    found["smoker"] = np.where(found["site"] == "south", "yes", found["smoker"])
    return found


def reference(rng: np.random.Generator, count: int = 1000, column: str | None = "site") -> Profile:
    return profiles.made(arrow(sites(count, rng)), TYPES, segment_column=column)


def measured(profile: Profile, inputs: dict[str, Any], **monitoring: Any) -> Measurement:
    spec = Monitoring.model_validate({"segmentColumn": "site", "window": {"minRows": 30}} | monitoring)
    return measure(profile, Window(rows=len(inputs["age"]), inputs=arrow(inputs)), spec, ASKED)


def measurements(count: int, windows: int, change: Change, **monitoring: Any) -> Iterator[Measurement]:
    rng = RNG([count, windows])
    for _ in range(windows):
        profile = reference(rng)
        inputs = sites(count, rng)
        change(inputs, rng)
        yield measured(profile, inputs, **monitoring)


def nothing(_inputs: dict[str, Any], _rng: np.random.Generator) -> None:
    return


def shifted(site: str, by: float) -> Change:
    """The doses of one site, by so many standard deviations."""

    def change(inputs: dict[str, Any], _rng: np.random.Generator) -> None:
        inputs["dose"] = np.where(inputs["site"] == site, inputs["dose"] + 2 * by, inputs["dose"])

    return change


def replaced(site: str, share: float) -> Change:
    """So many of one site's smokers unknown until then."""

    def change(inputs: dict[str, Any], rng: np.random.Generator) -> None:
        chosen = (inputs["site"] == site) & (rng.random(len(inputs["site"])) < share)
        inputs["smoker"] = np.where(chosen, "pipe", inputs["smoker"])

    return change


@pytest.mark.parametrize("count", [90, 300, 1000], ids=lambda count: f"{count} rows")
def test_without_drift_at_most_one_window_in_a_hundred_is_flagged_with_segments_too(count: int) -> None:
    windows = 200
    flagged = sum(found.verdict is Verdict.DRIFT for found in measurements(count, windows, nothing))
    assert flagged / windows <= 0.01


@pytest.mark.parametrize(
    ("count", "change", "segment", "column"),
    [
        pytest.param(300, shifted("east", 1.5), "site=east", "dose", id="75 rows of 300 by 1.5 standard deviations"),
        pytest.param(1000, shifted("east", 0.9), "site=east", "dose", id="250 rows of 1,000 by 0.9"),
        pytest.param(1000, replaced("east", 0.35), "site=east", "smoker", id="a third of 250 rows of 1,000 of a new category"),
    ],
)  # fmt: skip
def test_a_change_within_one_segment_that_the_whole_dilutes_is_found_in_nine_windows_of_ten(
    count: int, change: Change, segment: str, column: str
) -> None:
    found = list(measurements(count, 40, change, drift={"threshold": "0.2"}))
    told = [[(one.segment, one.column) for one in one_window.short().segments] for one_window in found]
    assert np.mean([(segment, column) in one_window for one_window in told]) >= 0.9
    assert np.mean([bool(one_window.drifted) for one_window in found]) <= 0.1, "as a whole hardly anything drifted"
    assert [other for one_window in told for other in one_window if other[0] != segment] == []


def test_a_segment_that_differs_from_the_rest_by_nature_has_not_drifted() -> None:
    found = measured(reference(RNG(1)), sites(2000, RNG(2)))
    north = next(segment for segment in found.segments if segment.value == "north")
    assert (found.verdict, found.drifted, north.verdict) == (Verdict.NO_DRIFT, [], Verdict.NO_DRIFT)
    assert " rows, nor within 3 segments of site; " in found.message


def test_more_requests_of_one_segment_are_no_drift_within_any() -> None:
    inputs = sites(4000, RNG(3))
    chosen = np.flatnonzero((inputs["site"] != "north") | (RNG(4).random(4000) < 0.2))
    found = measured(reference(RNG(1)), {name: values[chosen] for name, values in inputs.items()})
    assert "site" in [column.column for column in found.drifted]
    assert found.drifted_segments == []


def test_the_short_answer_names_segment_and_column_and_the_verdict_is_drift() -> None:
    inputs = sites(2000, RNG(2))
    shifted("east", 0.8)(inputs, RNG(5))
    found = measured(reference(RNG(1)), inputs, drift={"threshold": "0.2"})
    (told,) = found.short().segments
    east = int((inputs["site"] == "east").sum())
    assert told == SegmentDrift(
        segment="site=east", rows=east, column="dose", method="KS", effect=told.effect, p_value=told.p_value
    )
    assert (found.verdict, found.trouble, found.short().features) == (Verdict.DRIFT, "site=east", ())
    assert found.message == (
        f"none of 5 inputs drifted in 2000 rows together; within site=east ({east} rows) "
        f"dose (KS {float(told.effect):.2f}) drifted"
    )
    (kept,) = [each for each in found.record()["segments"] if each["drift"]["drifted"]]
    assert (kept["column"], kept["value"], kept["drift"]["verdict"], kept["drift"]["measured"]) == (
        "site", "east", "Drift", 4,
    )  # fmt: skip
    assert [each["column"] for each in kept["drift"]["columns"] if each["drifted"]] == ["dose"]


def test_what_the_whole_window_says_is_not_said_again_by_segment() -> None:
    inputs = sites(2000, RNG(2))
    inputs["age"] = inputs["age"] + 15
    found = measured(reference(RNG(1)), inputs)
    assert ([feature.column for feature in found.short().features], found.short().segments) == (["age"], ())
    assert [segment.value for segment in found.drifted_segments] == list(SITES)


FEW = sites(300, RNG(2))


def renamed(inputs: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return inputs | {"site": np.where(inputs["site"] == old, new, inputs["site"]).astype(object)}


@pytest.mark.parametrize(
    ("profile", "inputs", "monitoring", "lacking"),
    [
        pytest.param(reference(RNG(1)), FEW, {"window": {"minRows": 100}}, {"east": "82 rows, need at least 100", "far": "no reference: "}, id="too few requests of it, or of training"),
        pytest.param(reference(RNG(1)), renamed(FEW, "east", "moon"), {}, {"moon": "no reference: ", "far": "no reference: "}, id="a value that training did not have"),
        pytest.param(reference(RNG(1), column="smoker"), FEW, {}, dict.fromkeys((*SITES, "far"), "no reference: "), id="segments of another column"),
        pytest.param(reference(RNG(1)), FEW, {"window": {"minRows": 400}}, {"north": "105 rows, need", "south": "110 rows, need", "east": "82 rows, need", "far": "no reference: "}, id="too few requests of all"),
    ],
)  # fmt: skip
def test_of_some_segments_nothing_can_be_said(
    profile: Profile, inputs: dict[str, Any], monitoring: dict[str, Any], lacking: dict[str, str]
) -> None:
    found = measured(profile, inputs, **monitoring)
    said = {segment.value: segment.lacking for segment in found.segments if segment.verdict is Verdict.INCONCLUSIVE}
    assert said.keys() == lacking.keys()
    assert [said[value].startswith(told) for value, told in lacking.items()] == [True] * len(said), said


def test_a_version_without_the_reference_is_to_be_trained_again() -> None:
    inputs = sites(2000, RNG(2))
    shifted("east", 1.0)(inputs, RNG(5))
    found = measured(reference(RNG(1), column=None), inputs, drift={"threshold": "0.2"})
    assert (found.verdict, found.drifted_segments) == (Verdict.NO_DRIFT, [])
    assert found.message.endswith("; the version has no reference for segments of site; train it again")


def test_lost_requests_take_the_verdict_from_segments_too() -> None:
    inputs = sites(2000, RNG(2))
    shifted("east", 1.0)(inputs, RNG(5))
    spec = Monitoring.model_validate({"segmentColumn": "site"})
    found = measure(reference(RNG(1)), Window(rows=2000, inputs=arrow(inputs)), spec, ASKED, coverage=0.5)
    assert ({segment.verdict for segment in found.segments}, found.short().segments) == ({Verdict.INCONCLUSIVE}, ())


def test_of_many_values_the_twenty_most_frequent_are_compared_and_the_rest_is_kept_together() -> None:
    def made(count: int, seed: int) -> dict[str, Any]:
        found = rows(count, RNG(seed))
        return found | {"vessels": RNG(seed + 1).geometric(0.1, count).astype(np.float64)}

    profile = profiles.made(arrow(made(6000, 1)), TYPES, segment_column="vessels")
    found = measured(profile, made(6000, 5), segmentColumn="vessels")
    assert [segment.value for segment in found.segments][:3] == ["1", "2", "3"]
    assert (len(found.segments), found.segments[-1].value, found.segments[-1].verdict) == (21, "other", "Inconclusive")
    assert sum(segment.rows for segment in found.segments) == 6000


def frame(inputs: dict[str, Any]) -> pd.DataFrame:
    """As the trainer holds rows."""
    numbers = {name: np.asarray(inputs[name], dtype=np.float32) for name in ("age", "dose", "vessels")}
    return pd.DataFrame(numbers | {name: pd.Series(inputs[name], dtype=object) for name in ("site", "smoker")})


@pytest.mark.parametrize("column", ["site", "smoker", "vessels", "dose"])
def test_the_trainers_segments_are_ours(column: str) -> None:
    inputs = sites(3000, RNG(1))
    inputs["vessels"][:40] = np.nan
    inputs["dose"] = np.round(inputs["dose"] * 4) / 8
    found = tuple(Input(name=name, type=kind, nullable=True) for name, kind in TYPES.items())
    ours = profiles.made(arrow(inputs), TYPES, segment_column=column).segments
    theirs = trainer.segments(frame(inputs), found, column)
    assert isinstance(ours, SegmentsProfile)
    assert ours == theirs


def test_a_column_of_very_many_words_is_not_told_by_segment() -> None:
    inputs = rows(2000, RNG(1)) | {"smoker": [f"w{place % 300}" for place in range(2000)]}
    made = profiles.made(arrow(inputs), TYPES, segment_column="site").segments
    assert made is not None
    assert {name for segment in made.segments for name in (*segment.numbers, *segment.texts)} == {
        "age",
        "dose",
        "vessels",
    }
    theirs = trainer.segments(
        frame(inputs), tuple(Input(name=name, type=kind, nullable=True) for name, kind in TYPES.items()), "site"
    )
    assert theirs == made


def column(name: str, p_value: float) -> ColumnDrift:
    return ColumnDrift(column=name, type=ColumnType.NUMBER, method="KS", effect=0.5, threshold=0.1, p_value=p_value)


def test_the_correction_is_the_closure_of_weighted_bonferroni_tests() -> None:
    """Over all subsets, as Marcus, Peritz and Gabriel (1976) put it together: the chance of any flag is at most alpha."""
    rng = RNG(1)
    for _ in range(20):
        p_values = rng.random(7) ** 4
        whole, within = ([column("c", p) for p in part] for part in np.split(p_values, [3]))
        weights = np.array([0.8 / 3] * 3 + [0.2 / 4] * 4)
        closed = [
            max(
                min(min(1.0, p_values[i] * weights[list(others)].sum() / weights[i]) for i in others)
                for size in range(1, 8)
                for others in itertools.combinations(range(7), size)
                if place in others
            )
            for place in range(7)
        ]
        found = judged(whole, 0.01, enough=True, within=within)
        assert [each.p_adjusted for each in found] == pytest.approx(closed)


def test_the_whole_window_keeps_four_fifths_of_alpha() -> None:
    whole = [column("a", 0.01 * 0.8 / 2 * 0.999), column("b", 0.9)]
    within = [column("c", 0.9)] * 400
    assert [each.drifted for each in judged(whole, 0.01, enough=True, within=within)][:2] == [True, False]
