"""Expectations in Great Expectations' configuration format, judged as one data check.

A type or argument that is not known here is refused by name, never skipped.
"""

from __future__ import annotations

import re

from refit.api.dataspec import Expectation, Severity
from refit.api.results import CheckOutcome
from refit_trainer.checks import shortened
from refit_trainer.columns import Reading
from refit_trainer.errors import RefusedError
from refit_trainer.expectation_kinds import KINDS, Met

CHECK = "expectations"
_UNTOLD = frozenset({"result_format", "catch_exceptions", "meta", "notes", "severity", "description"})
"""What Great Expectations writes beside the arguments; it changes nothing of what is expected."""


def evaluate(expectation: Expectation, reading: Reading) -> Met:
    """Whether the data is as expected; raises RefusedError for what is not known here."""
    kind = KINDS.get(expectation.type)
    if kind is None:
        raise RefusedError(
            "UnknownExpectation", f"data.expectations: {expectation.type!r} is unknown; known: {', '.join(KINDS)}"
        )
    kwargs = {name: value for name, value in expectation.kwargs.items() if name not in _UNTOLD}
    unknown = sorted(set(kwargs) - kind.required - kind.optional)
    missing = sorted(kind.required - set(kwargs))
    if unknown or missing:
        wrong = f"{unknown[0]!r} is unknown" if unknown else f"{missing[0]!r} is required"
        raise RefusedError(
            "UnknownExpectation",
            f"data.expectations: {expectation.type}: {wrong}; it takes {', '.join(sorted(kind.required | kind.optional))}",
        )
    try:
        return kind.judge(reading, kwargs)
    except (TypeError, ValueError, re.error) as error:
        raise RefusedError("UnknownExpectation", f"data.expectations: {expectation.type}: {error}") from error


def check_expectations(expectations: tuple[Expectation, ...], reading: Reading) -> CheckOutcome:
    """All expectations as one check: failed by a critical one, else telling what the milder ones found."""
    critical, milder = [], []
    for expectation in expectations:
        met = evaluate(expectation, reading)
        if met.success:
            continue
        told = f"{expectation.type} {expectation.kwargs.get('column', '')}: {met.found}".replace(" :", ":")
        if expectation.severity is Severity.CRITICAL:
            critical.append(told)
        else:
            milder.append(f"{expectation.severity.lower()}: {told}")
    message = "; ".join([*critical, *milder]) or f"{len(expectations)} met"
    return CheckOutcome(name=CHECK, passed=not critical, message=shortened(message, 256))
