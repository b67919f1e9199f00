"""The rows of a training, read and found fit to learn from: the part that needs no numerical library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from refit.api.results import CheckOutcome
from refit_trainer.checks import check
from refit_trainer.columns import Reading, read
from refit_trainer.errors import RefusedError
from refit_trainer.expectations import check_expectations
from refit_trainer.orders import Order
from refit_trainer.progress import Report
from refit_trainer.sources import Fetched
from refit_trainer.tables import read_table

if TYPE_CHECKING:
    from refit_trainer.datasets import Late
    from refit_trainer.retrainings import Retraining


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Rows that passed; `late` tells which of them are logged requests, None where none are."""

    reading: Reading
    outcomes: tuple[CheckOutcome, ...]
    data_sha256: str
    late: Late | None = None


class DataRefusedError(RefusedError):
    """The data did not pass its checks; `checks` are all their outcomes."""

    def __init__(self, reason: str, message: str, *, checks: tuple[CheckOutcome, ...], rows: int) -> None:
        super().__init__(reason, message)
        self.checks = checks
        self.rows = rows


def checked(order: Order, fetched: Fetched | None, report: Report, retraining: Retraining | None = None) -> Checked:
    """The rows of a training; raises RefusedError where they are not fit to learn from."""
    spec = order.spec
    source = read_table(fetched.content, spec.data.format) if fetched is not None else None
    table, late = _rows(source, order, retraining)
    reading = read(table, spec.data)
    outcomes, reason = check(reading, spec)
    if spec.data.expectations:
        expected = check_expectations(spec.data.expectations, reading)
        outcomes = (*outcomes, expected)
        reason = reason or ("" if expected.passed else "ExpectationFailed")
    if reason:
        failed = "; ".join(f"{outcome.name}: {outcome.message}" for outcome in outcomes if not outcome.passed)
        raise DataRefusedError(reason, failed, checks=outcomes, rows=reading.rows)
    report("checked", rows=reading.rows, columns=len(reading.columns))
    digest = fetched.sha256 if fetched is not None else ""
    if late is not None:
        from refit_trainer.evidence import digest_of  # noqa: PLC0415 - only a retraining needs it

        digest = digest_of(reading)
    return Checked(reading=reading, outcomes=outcomes, data_sha256=digest, late=late)


def _rows(source: pa.Table | None, order: Order, retraining: Retraining | None) -> tuple[pa.Table, Late | None]:
    if retraining is None:
        return source, None
    from refit_trainer.evidence import gathered  # noqa: PLC0415 - only a retraining needs it

    inputs = tuple(column.name for column in retraining.champion.signature.inputs)
    found = gathered(retraining.order.rows, source, retraining.known, order.spec, inputs)
    return found.table, found.late
