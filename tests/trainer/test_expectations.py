from __future__ import annotations

import warnings
from typing import Any

import pytest

from refit.api.dataspec import DataFormat, Expectation
from refit_trainer.columns import Reading, read
from refit_trainer.errors import RefusedError
from refit_trainer.expectation_kinds import KINDS
from refit_trainer.expectations import check_expectations, evaluate
from refit_trainer.tables import read_table

ROWS = {
    "age": [31, 45, 62, 62, None, 70, 44, 58, 39, 51] * 3,
    "weight": [70.5, 82, 61, 90, 77, 68, 59.5, 101, 73, 80] * 3,
    "site": ["north", "south", "east", None, "north", "east", "south", "north", "east", "north"] * 3,
    "code": [f"p-{n:03}" for n in range(30)],
    "ill": ["yes", "no"] * 15,
}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("expect_column_values_to_be_between", {"column": "age", "min_value": 31, "max_value": 70}),
    ("expect_column_values_to_be_between", {"column": "age", "min_value": 31, "max_value": 70, "strict_min": True}),
    ("expect_column_values_to_be_between", {"column": "age", "min_value": 40, "mostly": 0.75}),
    ("expect_column_values_to_be_between", {"column": "age", "min_value": 40, "mostly": 0.8}),
    ("expect_column_values_to_be_between", {"column": "age", "max_value": 69}),
    ("expect_column_values_to_be_in_set", {"column": "site", "value_set": ["north", "south", "east"]}),
    ("expect_column_values_to_be_in_set", {"column": "site", "value_set": ["north", "south"], "mostly": 0.6}),
    ("expect_column_values_to_be_in_set", {"column": "age", "value_set": [31, 45, 62, 70, 44, 58, 39, 51]}),
    ("expect_column_values_to_not_be_in_set", {"column": "site", "value_set": ["west"]}),
    ("expect_column_values_to_not_be_in_set", {"column": "site", "value_set": ["east"]}),
    ("expect_column_values_to_not_be_null", {"column": "weight"}),
    ("expect_column_values_to_not_be_null", {"column": "age"}),
    ("expect_column_values_to_not_be_null", {"column": "age", "mostly": 0.9}),
    ("expect_column_values_to_be_null", {"column": "age"}),
    ("expect_column_values_to_be_null", {"column": "age", "mostly": 0.1}),
    ("expect_column_values_to_be_unique", {"column": "code"}),
    ("expect_column_values_to_be_unique", {"column": "weight"}),
    ("expect_column_values_to_match_regex", {"column": "code", "regex": r"^p-\d{3}$"}),
    ("expect_column_values_to_match_regex", {"column": "code", "regex": r"-00"}),
    ("expect_column_values_to_not_match_regex", {"column": "site", "regex": "^n"}),
    ("expect_column_values_to_not_match_regex", {"column": "site", "regex": "^w"}),
    ("expect_column_value_lengths_to_be_between", {"column": "site", "min_value": 4, "max_value": 5}),
    ("expect_column_value_lengths_to_be_between", {"column": "site", "min_value": 5}),
    ("expect_column_value_lengths_to_equal", {"column": "code", "value": 5}),
    ("expect_column_value_lengths_to_equal", {"column": "site", "value": 5}),
    ("expect_column_min_to_be_between", {"column": "age", "min_value": 31, "max_value": 31}),
    ("expect_column_max_to_be_between", {"column": "age", "max_value": 69}),
    ("expect_column_mean_to_be_between", {"column": "weight", "min_value": 76, "max_value": 77}),
    ("expect_column_mean_to_be_between", {"column": "weight", "min_value": 77}),
    ("expect_column_median_to_be_between", {"column": "weight", "min_value": 75, "max_value": 75}),
    ("expect_column_sum_to_be_between", {"column": "age", "min_value": 1386, "max_value": 1386}),
    ("expect_column_stdev_to_be_between", {"column": "weight", "min_value": 12.5, "max_value": 12.7}),
    ("expect_column_stdev_to_be_between", {"column": "weight", "max_value": 12.4}),
    ("expect_column_unique_value_count_to_be_between", {"column": "site", "min_value": 3, "max_value": 3}),
    ("expect_column_unique_value_count_to_be_between", {"column": "site", "min_value": 4}),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "site", "max_value": 0.12}),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "site", "max_value": 0.1}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "site", "value_set": ["north", "south", "east", "west"]}),
    ("expect_column_distinct_values_to_contain_set", {"column": "site", "value_set": ["north", "west"]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "site", "value_set": ["east", "north", "south"]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "site", "value_set": ["north"]}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "weight", "column_B": "age", "ignore_row_if": "either_value_is_missing"}),
    ("expect_column_pair_values_a_to_be_greater_than_b",
     {"column_A": "weight", "column_B": "age", "ignore_row_if": "either_value_is_missing", "mostly": 0.8}),
    ("expect_column_pair_values_to_be_equal", {"column_A": "weight", "column_B": "weight"}),
    ("expect_column_pair_values_to_be_equal", {"column_A": "site", "column_B": "ill"}),
    ("expect_column_to_exist", {"column": "age"}),
    ("expect_column_to_exist", {"column": "height"}),
    ("expect_column_to_exist", {"column": "age", "column_index": 1}),
    ("expect_table_row_count_to_be_between", {"min_value": 30, "max_value": 30}),
    ("expect_table_row_count_to_be_between", {"min_value": 31}),
    ("expect_table_row_count_to_equal", {"value": 30}),
    ("expect_table_row_count_to_equal", {"value": 3}),
    ("expect_table_column_count_to_be_between", {"min_value": 5, "max_value": 9}),
    ("expect_table_column_count_to_equal", {"value": 5}),
    ("expect_table_columns_to_match_set", {"column_set": ["ill", "site", "code", "age", "weight"]}),
    ("expect_table_columns_to_match_set", {"column_set": ["age"], "exact_match": False}),
    ("expect_table_columns_to_match_set", {"column_set": ["age"]}),
    ("expect_table_columns_to_match_ordered_list", {"column_list": ["age", "weight", "site", "code", "ill"]}),
    ("expect_table_columns_to_match_ordered_list", {"column_list": ["weight", "age", "site", "code", "ill"]}),
]  # fmt: skip


@pytest.fixture(scope="module")
def reading(made: Any) -> Reading:
    spec = made.order(spec__data__ignore=[]).spec
    return read(read_table(made.csv(ROWS), DataFormat.CSV), spec.data)


@pytest.fixture(scope="module")
def reference() -> dict[int, bool]:
    """What the real Great Expectations says of each case."""
    import great_expectations as gx  # noqa: PLC0415 - seconds of import, for this fixture only
    import pandas as pd  # noqa: PLC0415
    from great_expectations.expectations.expectation_configuration import (  # noqa: PLC0415
        ExpectationConfiguration,
    )

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]  # as its documentation says
    source = context.data_sources.add_pandas("pandas").add_dataframe_asset("rows")
    batch = source.add_batch_definition_whole_dataframe("whole").get_batch(
        batch_parameters={"dataframe": pd.DataFrame(ROWS)}
    )
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for place, (kind, kwargs) in enumerate(CASES):
            # One by one: a suite keeps only the last expectation of a type and column.
            result = batch.validate(ExpectationConfiguration(type=kind, kwargs=kwargs).to_domain_obj())
            assert not result.exception_info.get("raised_exception"), result
            found[place] = bool(result.success)
    return found


@pytest.mark.parametrize("place", range(len(CASES)), ids=[f"{kind} {kwargs}" for kind, kwargs in CASES])
def test_great_expectations_says_the_same(reading: Reading, reference: dict[int, bool], place: int) -> None:
    kind, kwargs = CASES[place]
    assert evaluate(Expectation(type=kind, kwargs=kwargs), reading).success == reference[place]


def test_every_type_is_compared_with_great_expectations() -> None:
    assert {kind for kind, _ in CASES} == set(KINDS)
    assert len(KINDS) >= 15


@pytest.mark.parametrize(
    ("expectations", "passed", "message"),
    [
        pytest.param([{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "age"}}], False,
                     "expect_column_values_to_not_be_null age: not so in 3 rows (5, 15, 25)", id="a critical one refuses"),
        pytest.param([{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "age"}, "severity": "Warning"}], True,
                     "warning: expect_column_values_to_not_be_null age: not so in 3 rows (5, 15, 25)", id="a warning is told"),
        pytest.param([{"type": "expect_table_row_count_to_equal", "kwargs": {"value": 1}, "severity": "Info"}], True,
                     "info: expect_table_row_count_to_equal: found 30", id="so is what is only noted"),
        pytest.param([{"type": "expect_table_row_count_to_equal", "kwargs": {"value": 30}}], True, "1 met", id="all met"),
    ],
)  # fmt: skip
def test_severity(reading: Reading, expectations: list[dict[str, Any]], passed: bool, message: str) -> None:
    found = check_expectations(tuple(Expectation.model_validate(each) for each in expectations), reading)
    assert (found.name, found.passed, found.message) == ("expectations", passed, message)


@pytest.mark.parametrize(
    ("kind", "kwargs", "said"),
    [
        pytest.param("expect_column_to_be_nice", {"column": "age"},
                     "'expect_column_to_be_nice' is unknown; known: expect_column_values_to_be_between,", id="an unknown type"),
        pytest.param("expect_column_values_to_not_be_null", {"column": "age", "mostlyy": 1}, "'mostlyy' is unknown; it takes column, mostly",
                     id="an unknown argument"),
        pytest.param("expect_column_values_to_be_in_set", {"column": "age"}, "'value_set' is required", id="an argument is absent"),
        pytest.param("expect_column_values_to_match_regex", {"column": "code", "regex": "("}, "unterminated", id="a broken pattern"),
        pytest.param("expect_column_mean_to_be_between", {"column": "site"}, "column 'site' does not hold numbers", id="a mean of words"),
        pytest.param("expect_column_mean_to_be_between", {"column": "height"}, "column 'height' is missing; found: age,", id="an unknown column"),
        pytest.param("expect_column_values_to_be_between", {"column": "age", "min_value": "x"}, "could not convert", id="a bound that is no number"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused(reading: Reading, kind: str, kwargs: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        evaluate(Expectation(type=kind, kwargs=kwargs), reading)
    assert said in refused.value.message
