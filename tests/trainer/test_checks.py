from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refit.api.dataspec import DataFormat
from refit.api.modeldeployment import ModelDeploymentSpec
from refit.api.results import CheckOutcome
from refit_trainer.checks import CHECKS, check
from refit_trainer.columns import read
from refit_trainer.errors import RefusedError
from refit_trainer.tables import read_table

COLUMNS = [
    {"name": "age", "min": "18", "max": "120", "nullable": False},
    {"name": "dose"},
    {"name": "site", "type": "Category", "categories": ["north", "south", "east"]},
    {"name": "ill", "type": "Category"},
]


def checked(content: bytes, spec: ModelDeploymentSpec) -> tuple[dict[str, CheckOutcome], str]:
    outcomes, reason = check(read(read_table(content, DataFormat.CSV), spec.data), spec)
    return {outcome.name: outcome for outcome in outcomes}, reason


def with_values(made: Any, column: str, values: dict[int, object]) -> bytes:
    table = made.patients()
    for row, value in values.items():
        table[column][row - 1] = value
    return bytes(made.csv(table))


def test_healthy_data_passes_all_seven(made: Any) -> None:
    outcomes, reason = checked(made.csv(made.patients()), made.order(spec__data__columns=COLUMNS).spec)
    assert (list(outcomes), [o.passed for o in outcomes.values()], reason) == (list(CHECKS), [True] * 7, "")


@pytest.mark.parametrize(
    ("column", "values", "failed", "reason", "said"),
    [
        pytest.param("age", {3: "old", 9: "x"}, "types", "WrongType",
                     "'age' is a Number but 2 rows (3, 9) hold something else; mend them or declare type: Category",
                     id="text among numbers is counted and placed"),
        pytest.param("age", dict.fromkeys(range(1, 9), "x"), "types", "WrongType",
                     "8 rows (1, 2, 3, 4, 5, ...)", id="of many rows the first five are told"),
        pytest.param("dose", {2: "inf", 4: "1e308", 5: "-Infinity"}, "types", "WrongType",
                     "'dose' holds infinite or too large numbers (beyond 3.4e38) in 3 rows (2, 4, 5)",
                     id="numbers that 32 bits can not hold"),
        pytest.param("site", {7: "=cmd|' /C calc'!A0"}, "types", "WrongType",
                     "'site' holds spreadsheet formulas in 1 row (7)", id="formula cells"),
        pytest.param("age", {5: "17.9", 6: "121"}, "ranges", "OutOfRange",
                     "'age' is less than min 18 in 1 row (5); 'age' is more than max 120 in 1 row (6)",
                     id="numbers outside their range"),
        pytest.param("age", {5: None, 6: "NaN"}, "nulls", "NullValues",
                     "'age' is not nullable but has no value in 2 rows (5, 6)", id="missing where none may be"),
        pytest.param("dose", dict.fromkeys(range(1, 201)), "nulls", "NullValues",
                     "'dose' has no value in any row; leave it out of data.columns or add it to data.ignore",
                     id="a column without values"),
        pytest.param("site", {8: "west"}, "categories", "UnknownCategory",
                     "'site' has 1 values that are not in its categories, in 1 row (8)", id="a new category"),
        pytest.param("ill", dict.fromkeys(range(1, 201)), "target", "TargetInvalid",
                     "the target 'ill' has no value in any row", id="a target without values"),
        pytest.param("ill", dict.fromkeys(range(1, 201), "no"), "target", "TargetInvalid",
                     "the target 'ill' is of the same class in every row with positiveWhen '== yes'",
                     id="a target that never changes"),
    ],
)  # fmt: skip
def test_what_fails(made: Any, column: str, values: dict[int, object], failed: str, reason: str, said: str) -> None:
    outcomes, found = checked(with_values(made, column, values), made.order(spec__data__columns=COLUMNS).spec)
    broken = {name for name, outcome in outcomes.items() if not outcome.passed}
    assert (failed in broken, found, said in outcomes[failed].message) == (True, reason, True), outcomes[failed].message


def test_every_check_is_told_not_only_the_first(made: Any) -> None:
    table = made.patients()
    table["age"][0], table["site"][1], table["dose"][2] = "17", "west", "much"
    outcomes, reason = checked(made.csv(table), made.order(spec__data__columns=COLUMNS).spec)
    assert ([n for n, o in outcomes.items() if not o.passed], reason) == (
        ["types", "ranges", "categories"],
        "WrongType",
    )


def test_columns_are_found_by_name_in_any_order_and_others_are_left_alone(made: Any) -> None:
    table = made.patients(extra=["=1+1"] * 200)
    backwards = dict(reversed(list(table.items())))
    outcomes, reason = checked(made.csv(backwards), made.order(spec__data__columns=COLUMNS).spec)
    assert (reason, outcomes["schema"].message) == ("", "200 rows, 4 columns read, 4 not used")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"spec__data__columns": [*COLUMNS, {"name": "weight"}]}, "column 'weight' is missing; found: age, dose,",
                     id="a declared column is not there"),
        pytest.param({"spec__data__target": {"column": "sick"}}, "column 'sick' is missing; found: age,", id="the target is not there"),
        pytest.param({"spec__data__ignore": ["stagee"]}, "column 'stagee' is missing", id="a misspelt column to be ignored"),
        pytest.param({"spec__data__ignore": ["age", "dose", "site", "smoker", "stage", "cost"]},
                     "no column but the target 'ill'", id="nothing is left to learn from"),
    ],
)  # fmt: skip
def test_schema(made: Any, changes: dict[str, Any], said: str) -> None:
    outcomes, _ = checked(made.csv(made.patients()), made.order(**changes).spec)
    assert (outcomes["schema"].passed, said in outcomes["schema"].message) == (False, True), outcomes["schema"].message


@pytest.mark.parametrize("rows", [0, 1, 19])
def test_too_few_rows(made: Any, rows: int) -> None:
    outcomes, reason = checked(made.csv(made.patients(rows=rows)), made.order().spec)
    assert (reason, outcomes["schema"].message) == ("DatasetTooSmall", f"{rows} rows, need at least 20")


def test_repeated_rows_are_a_warning_unless_dropped(made: Any) -> None:
    table = {name: values + values[:2] for name, values in made.patients().items()}
    kept, _ = checked(made.csv(table), made.order().spec)
    dropped, _ = checked(made.csv(table), made.order(spec__data__cleaning={"duplicates": "Drop"}).spec)
    assert kept["duplicates"].passed
    assert kept["duplicates"].message.startswith("warning: 2 repeated rows")
    assert dropped["duplicates"].message == "2 repeated rows are dropped"


def test_a_column_of_identifiers_is_refused(made: Any) -> None:
    table = made.patients(rows=300, name=[f"p{i}" for i in range(300)])
    outcomes, reason = checked(made.csv(table), made.order().spec)
    assert reason == "UnknownCategory"
    assert (
        "'name' has 300 different texts, the limit is 256; it looks like an identifier"
        in outcomes["categories"].message
    )


@pytest.mark.parametrize(
    ("target", "task", "said"),
    [
        pytest.param({"column": "age", "positiveWhen": "> old"}, "Classification", "holds numbers, 'old' is none",
                     id="a number compared with a word"),
        pytest.param({"column": "ill", "positiveWhen": "> 1"}, "Classification", "holds text; use == or !=",
                     id="a word compared by size"),
        pytest.param({"column": "ill"}, "Regression", "holds text; Regression needs numbers", id="a regression of words"),
        pytest.param({"column": "cost"}, "Classification", "classes, the limit is 100; is this a Regression?",
                     id="a classification of numbers"),
        pytest.param({"column": "age", "positiveWhen": "> 78"}, "Classification", "3 folds and a held-out part need 6",
                     id="a class that is too small"),
    ],
)  # fmt: skip
def test_target(made: Any, target: dict[str, str], task: str, said: str) -> None:
    changes: dict[str, Any] = {"spec__data__target": target, "spec__data__ignore": ["stage"], "spec__task": task}
    if task == "Regression":
        changes |= {
            "spec__training__selection": {"metric": "rmse"},
            "spec__training__candidates": [{"algorithm": "XGBoost"}],
        }
    outcomes, _ = checked(made.csv(made.patients()), made.order(**changes).spec)
    assert (outcomes["target"].passed, said in outcomes["target"].message) == (False, True), outcomes["target"].message


@pytest.mark.parametrize("text", ["1", "+1", "-1.5", ".5", "2.", "1e5", "1E-3", " 3 "])
def test_what_reads_as_a_number(made: Any, text: str) -> None:
    table = made.patients(dose=[text] * 100 + ["0"] * 100)
    reading = read(read_table(made.csv(table), DataFormat.CSV), made.order().spec.data)
    assert reading.columns["dose"].cells[0] == float(np.float32(text))


@pytest.mark.parametrize("text", ["1_000", "0x10", "1,5", "--1", "1e", "e5", "one", "1 2", "True"])
def test_what_does_not(made: Any, text: str) -> None:
    spec = made.order(spec__data__columns=COLUMNS).spec
    reading = read(read_table(made.csv(made.patients(dose=[f'"{text}"'] * 200)), DataFormat.CSV), spec.data)
    assert reading.columns["dose"].unreadable.size == 200


def test_numbers_are_rounded_to_32_bits_before_anything_else(made: Any) -> None:
    content = made.csv(made.patients(dose=["0.1"] * 200))
    reading = read(read_table(content, DataFormat.CSV), made.order().spec.data)
    assert set(reading.columns["dose"].cells.tolist()) == {float(np.float32(0.1))}


def test_a_bound_is_rounded_as_the_values_are(made: Any) -> None:
    columns = [{"name": "dose", "min": "0.1", "max": "0.1"}, {"name": "ill", "type": "Category"}]
    outcomes, _ = checked(made.csv(made.patients(dose=["0.1"] * 200)), made.order(spec__data__columns=columns).spec)
    assert outcomes["ranges"].passed


def test_a_refusal_says_its_reason_first() -> None:
    assert str(RefusedError("WrongType", "why")) == "WrongType: why"
