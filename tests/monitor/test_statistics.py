"""Every statistic is held against SciPy's, Evidently's, or a count of all possibilities."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from evidently.legacy.calculations.stattests import (  # type: ignore[import-untyped]  # it ships no types
    chi_stat_test,
    jensenshannon_stat_test,
    ks_stat_test,
    psi_stat_test,
    wasserstein_stat_test,
)
from evidently.legacy.calculations.stattests.utils import get_binned_data  # type: ignore[import-untyped]  # as above
from evidently.legacy.core import ColumnType as Evidently  # type: ignore[import-untyped]  # as above
from scipy import special, stats
from scipy.spatial import distance

from refit_monitor import certainty, columns, effects
from refit_monitor.columns import Counts, Floats
from refit_monitor.effects import NumberPair
from refit_monitor.profiles import number_profile
from refit_trainer import profiles as trainer

MADE = {
    "continuous": lambda rng, count: rng.normal(0, 1, count),
    "whole numbers": lambda rng, count: rng.integers(30, 80, count),
    "four values": lambda rng, count: rng.choice([0.0, 1.0, 2.0, 3.0], count, p=[0.6, 0.2, 0.15, 0.05]),
}


def single(values: Any) -> Floats:
    return np.asarray(values, dtype=np.float32).astype(np.float64)


def pair(reference: Floats, window: Floats) -> NumberPair:
    return effects.number_pair(number_profile(seen(reference)), seen(window))


def seen(values: Floats) -> columns.NumbersSeen:
    return columns.numbers(pa.chunked_array([pa.array(values)]))


@pytest.fixture(params=[(240, 30), (240, 300), (3000, 1000)], ids=lambda sizes: f"{sizes[0]} and {sizes[1]} rows")
def sizes(request: pytest.FixtureRequest) -> tuple[int, int]:
    found: tuple[int, int] = request.param
    return found


@pytest.fixture(params=MADE)
def two(request: pytest.FixtureRequest, sizes: tuple[int, int]) -> tuple[Floats, Floats]:
    """A reference, and a window of which a part is shifted."""
    rng = np.random.default_rng(sizes)
    m, n = sizes
    window = MADE[request.param](rng, n) + (rng.random(n) < 0.15)
    return single(MADE[request.param](rng, m)), single(window)


def test_distances_are_scipys_and_evidentlys(two: tuple[Floats, Floats]) -> None:
    reference, window = two
    found = pair(reference, window)
    assert found.distance() == pytest.approx(stats.ks_2samp(reference, window).statistic, abs=1e-12)
    series = pd.Series(reference), pd.Series(window)
    theirs = wasserstein_stat_test.func(*series, Evidently.Numerical, 0.1)[0]
    assert found.wasserstein() == pytest.approx(theirs, rel=1e-6)


def test_shares_are_compared_as_evidently_does(two: tuple[Floats, Floats]) -> None:
    series = pd.Series(two[0]), pd.Series(two[1])
    p, q = get_binned_data(*series, Evidently.Numerical, 30, feel_zeroes=False)
    assert effects.jensen_shannon(p, q) == pytest.approx(distance.jensenshannon(p, q, 2), abs=1e-9)
    theirs = jensenshannon_stat_test.func(*series, Evidently.Numerical, 0.1)[0]
    assert effects.jensen_shannon(p, q) * np.sqrt(np.log(2)) == pytest.approx(theirs, abs=1e-9)
    p, q = get_binned_data(*series, Evidently.Numerical, 30)
    assert effects.stability_index(p, q) == pytest.approx(psi_stat_test.func(*series, Evidently.Numerical, 0.1)[0])


def test_untied_numbers_have_evidentlys_p_value(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(sizes)
    reference, window = single(rng.normal(0, 1, sizes[0])), single(rng.normal(0.35, 1, sizes[1]))
    found = pair(reference, window)
    ours = certainty.kolmogorov_smirnov(found, found.distance())
    theirs = ks_stat_test.func(pd.Series(reference), pd.Series(window), Evidently.Numerical, 0.05)[0]
    # Beyond 0.2, and with more than 2,000 distinct values, ours is the limit, which is never smaller.
    if theirs < 0.2 and sum(sizes) <= 2000:
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-12)
    else:
        assert theirs * 0.95 <= ours <= theirs * 1.5


def test_tied_numbers_have_the_p_value_of_all_possibilities() -> None:
    reference, window = single([0, 0, 1, 1, 2, 3]), single([1, 2, 2, 3])
    d = pair(reference, window).distance()
    both = np.concatenate([reference, window])
    found = [
        stats.ks_2samp(np.delete(both, chosen), both[list(chosen)], method="asymp").statistic >= d - 1e-12
        for chosen in itertools.combinations(range(10), 4)
    ]
    assert certainty.tied_kolmogorov_smirnov(d, 4, np.array([2, 3, 3, 2])) == pytest.approx(np.mean(found))


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 60, 255])
def test_the_chi_square_distribution_is_scipys(freedom: int) -> None:
    places = [0.0, 0.1, 1.0, 3.84, freedom * 1.0, freedom * 1.5, freedom + 40.0, 700.0, 3000.0]
    assert [certainty.chi_square(freedom, x) for x in places] == pytest.approx(
        [special.chdtrc(freedom, x) for x in places], rel=1e-9, abs=1e-300
    )


def test_kolmogorovs_distribution_is_scipys() -> None:
    places = [0.0, 0.2, 0.3, 0.5, 1.0, 1.63, 2.0, 3.0, 6.0]
    assert [certainty.kolmogorov(x) for x in places] == pytest.approx([special.kolmogorov(x) for x in places], abs=2e-5)


@pytest.mark.parametrize(
    ("found", "ours", "others", "n"), [(3, 5, 20, 8), (0, 7, 300, 30), (40, 60, 100, 70), (9, 9, 2000, 500)]
)
def test_two_cells_are_fishers(found: int, ours: int, others: int, n: int) -> None:
    table = [[found, ours - found], [n - found, others - n + found]]
    assert certainty.two_cells(found, ours, others, n) == pytest.approx(stats.fisher_exact(table)[1], rel=1e-6)


@pytest.mark.parametrize(
    ("reference", "window"),
    [
        pytest.param([400, 300, 200, 100], [420, 260, 230, 90], id="large counts have the chi-square distribution"),
        pytest.param([120, 90, 27, 3], [10, 9, 6, 5], id="small ones are drawn"),
    ],
)
def test_counts(reference: list[int], window: list[int]) -> None:
    statistic, p_value = certainty.counted(np.array(reference), np.array(window), np.random.default_rng(1))
    expected = stats.chi2_contingency([reference, window], correction=False)
    assert statistic == pytest.approx(expected.statistic)
    draws = stats.chi2_contingency(
        [reference, window],
        correction=False,
        method=stats.PermutationMethod(n_resamples=4000, rng=np.random.default_rng(2)),
    )
    assert p_value == pytest.approx(draws.pvalue, abs=0.02)


@pytest.mark.parametrize(
    ("window", "least", "most"),
    [
        pytest.param([20, 3, 2, 25], 0.0, 1e-9, id="a rare cell that half of the rows are in is as certain as it is"),
        pytest.param([29, 15, 4, 2], 1e-3, 1.0, id="a change that draws can tell has their share"),
    ],
)
def test_draws_are_not_the_end_of_certainty(window: list[int], least: float, most: float) -> None:
    """The least that 20,000 draws can say is 5e-5; hundreds of columns ask for less."""
    counts = np.array(window)
    _, p_value = certainty.counted(np.array([120, 90, 28, 2]), counts, np.random.default_rng(1))
    assert least <= p_value <= most
    table = [[2, 238], [window[3], int(counts.sum()) - window[3]]]
    if most < 1e-3:
        assert p_value == pytest.approx(4 * stats.fisher_exact(table)[1], rel=1e-6), "all four cells are counted"


def test_evidentlys_chi_square_is_that_of_one_sample() -> None:
    """It takes the reference's shares for the truth; with as large a reference that doubles the statistic."""
    rng = np.random.default_rng(5)
    reference, window = (rng.choice(list("abcd"), 2000, p=[0.4, 0.3, 0.2, 0.1]) for _ in range(2))
    counts: list[Counts] = [np.array([(rows == word).sum() for word in "abcd"]) for rows in (reference, window)]
    theirs = chi_stat_test.func(pd.Series(reference), pd.Series(window), Evidently.Categorical, 0.05)[0]
    one = float((((counts[1] - counts[0]) ** 2) / counts[0]).sum())
    assert certainty.chi_square(3, one) == pytest.approx(theirs)
    statistic, _ = certainty.counted(counts[0], counts[1], None)
    assert statistic == pytest.approx(one / 2, rel=0.1)


def test_the_bounded_effects() -> None:
    p, q = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    for effect in (effects.total_variation, effects.triangular, effects.jensen_shannon):
        assert [effect(p, q), effect(p, p)] == pytest.approx([1.0, 0.0])
    counts = np.array([[30, 70], [60, 40]])
    assert effects.triangular(*(effects.shares(row) for row in counts)) == pytest.approx(
        stats.contingency.association(counts, method="cramer")
    )


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("count", [0, 1, 300, 20_000])
def test_the_trainers_profile_of_numbers_is_ours(made: str, count: int) -> None:
    values = single(MADE[made](np.random.default_rng(count), count))
    values[: count // 10] = np.nan
    assert number_profile(seen(values)) == trainer.numbers(values)


def test_of_many_values_the_distance_at_knots_is_never_more_than_the_true_one() -> None:
    rng = np.random.default_rng(8)
    reference, window = single(rng.normal(0, 1, 50_000)), single(rng.normal(0.05, 1, 3000))
    found = pair(reference, window)
    true = stats.ks_2samp(reference, window).statistic
    assert len(found.knots) <= 4096
    assert true - 1 / 4096 <= found.distance() <= true
