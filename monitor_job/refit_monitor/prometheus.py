"""What Prometheus is asked: the user's own expressions, and how many of the answered requests were kept.

Not being answered is told, and never a breach.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from refit.api.measured import QueryResult
from refit.api.monitoring import Query
from refit_monitor.doors import Call, Door
from refit_monitor.errors import UnreachableError
from refit_monitor.measured_columns import decimal


class Prometheus:
    """One Prometheus; `base` is empty where there is none."""

    def __init__(self, door: Door, base: str) -> None:
        self._door = door
        self._base = base.rstrip("/")

    def results(self, queries: Iterable[Query], time: str) -> tuple[QueryResult, ...]:
        """Every expression's value at a moment, and whether it keeps its bounds."""
        return tuple(self._result(query, time) for query in queries)

    def coverage(self, namespace: str, model: str, version: int, seconds: int, time: str) -> float | None:
        """The share of requests that reached the collector, of those that a predictor tried to send; None if nobody counts."""
        chosen = f'{{namespace="{namespace}",model="{model}",version="{version}"}}[{seconds}s]'
        found = {}
        for name in ("sent", "dropped"):
            try:
                found[name] = self._value(f"sum(increase(refit_request_log_{name}_total{chosen}))", time)
            except UnreachableError:
                return None
        sent, dropped = found["sent"] or 0.0, found["dropped"] or 0.0
        return sent / (sent + dropped) if sent + dropped > 0 else None

    def _result(self, query: Query, time: str) -> QueryResult:
        if not self._base:
            return QueryResult(name=query.name, message="no Prometheus is named in the operator's settings")
        try:
            value = self._value(query.promql, time)
        except UnreachableError as error:
            return QueryResult(name=query.name, message=str(error)[:256])
        if value is None:
            return QueryResult(name=query.name, message="no value: the expression matches no series")
        low = query.min is not None and value < float(query.min)
        high = query.max is not None and value > float(query.max)
        bound = f"{value:.6g} is less than min {query.min}" if low else f"{value:.6g} is more than max {query.max}"
        return QueryResult(
            name=query.name, value=decimal(value), breached=low or high, message=bound if low or high else ""
        )

    def _value(self, expression: str, time: str) -> float | None:
        """The one number that an expression gives; None if it gives none. Raises UnreachableError."""
        if not self._base:
            raise UnreachableError("no Prometheus")
        address = f"{self._base}/api/v1/query"
        call = Call(method="GET", address=address, query={"query": expression, "time": time})
        answer = self._door.ask("Prometheus", call)
        try:
            data = answer.json()["data"]
            found = [data["result"]] if data["resultType"] == "scalar" else [one["value"] for one in data["result"]]
            values = [float(value) for _, value in found]
        except (ValueError, KeyError, TypeError) as error:
            raise UnreachableError(f"Prometheus at {address}: not an answer of Prometheus to an expression") from error
        if len(values) > 1:
            raise UnreachableError(
                f"the expression gives {len(values)} series, one is needed: aggregate, as sum() does"
            )
        return values[0] if values and math.isfinite(values[0]) else None
