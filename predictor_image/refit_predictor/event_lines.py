"""An answered request becomes the line of NDJSON that the collector reads (refit.api.events.PredictionEvent).

What one model's lines have in common is written once, as a template; of columns that are masked there
is no place in it. Texts are put into it as they are: the pattern of ids and orjson leave nothing to escape.
Numbers are put in as integers where they can be, since a bytes template takes long over a fraction.
"""

from __future__ import annotations

from time import gmtime, strftime
from typing import Any

import orjson

from refit.api.dataspec import ColumnType
from refit.api.signature import Signature
from refit_predictor.graph import Answers
from refit_predictor.intake import Rows

Answered = tuple[str, float, float, Rows, Answers, int]
"""A request that got predictions: its id, when (seconds since 1970), in how many seconds, and its size in bytes.

A plain tuple: the event loop makes one for each request, and one with names costs it five times as much.
"""


class Lines:
    """Writes the lines of one version of a model. Not for several threads at a time."""

    def __init__(self, signature: Signature, version: int, mask: frozenset[str] = frozenset()) -> None:
        numbers = [column.name for column in signature.inputs if column.type is ColumnType.NUMBER]
        words = [column.name for column in signature.inputs if column.type is ColumnType.CATEGORY]
        self._numbers = [at for at, name in enumerate(numbers) if name not in mask]
        self._words = [at for at, name in enumerate(words) if name not in mask]
        self._all_numbers = len(self._numbers) == len(numbers)
        self._labels = [orjson.dumps(name) for name in signature.classes]
        kept = [*(numbers[at] for at in self._numbers), *(words[at] for at in self._words)]
        masked = [column.name for column in signature.inputs if column.name in mask]
        self._template = _template(signature, version, kept, masked)
        self._second = -1
        self._up_to_second = b""

    def line(self, answered: Answered) -> bytes:
        inference_id, time, seconds, rows, answers, _ = answered
        second = int(time)
        if second != self._second:  # neighbours share all of their time but its fraction
            self._second, self._up_to_second = second, strftime("%Y-%m-%dT%H:%M:%S", gmtime(second)).encode()
        labels = self._labels
        return self._template % (
            inference_id.encode(),
            self._up_to_second,
            int((time - second) * 1e6),
            rows.count,
            *self._values(rows),
            *(() if answers.positions is None else (b",".join([labels[at] for at in answers.positions]),)),
            orjson.dumps(answers.values, option=orjson.OPT_SERIALIZE_NUMPY),
            int(seconds * 1e6),
        )

    def _values(self, rows: Rows) -> list[bytes]:
        """Each kept column's values, separated by commas; orjson writes NaN, which is a missing number, as null."""
        count, numbers = rows.count, rows.numbers
        if count == 1:
            if not self._all_numbers:
                numbers = [numbers[at] for at in self._numbers]
            values = orjson.dumps(numbers)[1:-1].split(b",") if numbers else []
        else:
            # Column by column, so that other threads get their turn within a large request.
            values = [orjson.dumps(numbers[at * count : (at + 1) * count])[1:-1] for at in self._numbers]
        if self._words:
            values += [orjson.dumps([word or None for word in rows.words[at]])[1:-1] for at in self._words]
        return values


def _template(signature: Signature, version: int, kept: list[str], masked: list[str]) -> bytes:
    def text(value: Any) -> bytes:
        return orjson.dumps(value).replace(b"%", b"%%")

    inputs = b",".join(b"%b:[%%b]" % text(name) for name in kept)
    if signature.classes:
        answers = b'"classes":%b,"labels":[%%b],"probabilities":%%b' % text(signature.classes)
    else:
        answers = b'"predictions":%b'
    hidden = b'"masked":%b,' % text(masked) if masked else b""
    return (
        b'{"id":"%%b","version":%d,"time":"%%b.%%06dZ","rows":%%d,"inputs":{%b},%b%b,"latency":%%de-3}\n'
        % (version, inputs, hidden, answers)
    )  # fmt: skip
