"""What the predictor counts, as Prometheus metrics.

All of it is counted on the event loop's thread, in plain numbers and lists; Prometheus' own objects are
made only when somebody reads /metrics, since one of its histograms costs more than a prediction.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from refit.api.signature import Signature
from refit_predictor.graph import Answers
from refit_predictor.intake import Rows

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_STEPS = [digit * 10.0**exponent for exponent in range(-2, 7) for digit in (1, 2, 5)]
VALUES = (*(-step for step in reversed(_STEPS)), 0.0, *_STEPS)
"""Bounds for a prediction of any size: 1, 2 and 5 in every power of ten."""
MODEL = ("model", "version")


class Histogram:
    """Counts of values up to each bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulated counts by bound, and the sum, as HistogramMetricFamily takes them."""
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self._counts)), strict=True)), self._sum


class Metrics(Collector):
    """Everything counted about one model's requests."""

    def __init__(self, signature: Signature, name: str, version: str, sha256: str) -> None:
        self._inputs = [column.name for column in signature.inputs]
        self._classes = signature.classes
        self._model = [name, version]
        self._sha256 = sha256
        # From 0 on: of a series that begins with its first failure no increase is seen.
        self._requests = Counter({(protocol, code): 0 for protocol in ("v1", "v2") for code in (200, 500)})
        self._seconds = {protocol: Histogram(SECONDS) for protocol in ("v1", "v2")}
        self._rows = dict.fromkeys(("v1", "v2"), 0)
        self._missing = [0] * len(self._inputs)
        self._unknown = [0] * len(self._inputs)
        self._labels = [0] * len(self._classes)
        self._values = Histogram(VALUES)

    def answered(self, protocol: str, seconds: float, rows: Rows, answers: Answers) -> None:
        """Counts a request that got predictions."""
        self._requests[protocol, 200] += 1
        self._seconds[protocol].observe(seconds)
        self._rows[protocol] += rows.count
        for at, count in rows.missing.items():
            self._missing[at] += count
        for at, count in rows.unknown.items():
            self._unknown[at] += count
        if answers.positions is None:
            for value in answers.values.tolist():
                self._values.observe(value)
        else:
            for at in answers.positions:
                self._labels[at] += 1

    def refused(self, protocol: str, seconds: float, code: int) -> None:
        """Counts a request that got an error."""
        self._requests[protocol, code] += 1
        self._seconds[protocol].observe(seconds)

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("refit_predictor_model_info", "The model served.", labels=[*MODEL, "sha256"])
        info.add_metric([*self._model, self._sha256], 1)
        yield info
        yield self._counter(
            "requests",
            "Requests for predictions.",
            ["protocol", "code"],
            [([protocol, str(code)], count) for (protocol, code), count in sorted(self._requests.items())],
        )
        seconds = HistogramMetricFamily(
            "refit_predictor_request_seconds", "Time from request to answer.", labels=[*MODEL, "protocol"]
        )
        for protocol, histogram in self._seconds.items():
            seconds.add_metric([*self._model, protocol], *histogram.samples())
        yield seconds
        yield self._counter(
            "rows", "Rows predicted.", ["protocol"], [([protocol], count) for protocol, count in self._rows.items()]
        )
        by_column = [("missing_values", "Values that were missing.", self._missing)]
        by_column.append(("unknown_categories", "Words never seen in training.", self._unknown))
        for name, text, counts in by_column:
            yield self._counter(
                name, text, ["column"], [([column], count) for column, count in zip(self._inputs, counts, strict=True)]
            )
        if self._classes:
            yield self._counter(
                "predictions",
                "Predicted labels.",
                ["label"],
                [([label], count) for label, count in zip(self._classes, self._labels, strict=True)],
            )
        else:
            values = HistogramMetricFamily("refit_predictor_prediction", "Predicted numbers.", labels=MODEL)
            values.add_metric(self._model, *self._values.samples())
            yield values

    def _counter(
        self, name: str, text: str, labels: Iterable[str], samples: Iterable[tuple[list[str], int]]
    ) -> CounterMetricFamily:
        family = CounterMetricFamily(f"refit_predictor_{name}", text, labels=[*MODEL, *labels])
        for values, count in samples:
            family.add_metric([*self._model, *values], count)
        return family
