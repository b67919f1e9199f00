"""Words and numbers as a page shows them. What a person wrote stays what it is: characters, and nothing else."""

from __future__ import annotations

import unicodedata

from refit.api.metrics import Metric
from refit.api.proposal import LATENCY
from refit.api.times import moment

METRICS: dict[Metric, str] = {
    Metric.ACCURACY: "Accuracy",
    Metric.BALANCED_ACCURACY: "Balanced accuracy",
    Metric.PRECISION: "Precision",
    Metric.RECALL: "Recall",
    Metric.F1: "F1",
    Metric.ROC_AUC: "ROC AUC",
    Metric.PR_AUC: "PR AUC",
    Metric.LOG_LOSS: "Log loss",
    Metric.RMSE: "RMSE",
    Metric.MAE: "MAE",
    Metric.R2: "R²",
    Metric.MAPE: "MAPE",
}
SMALLEST_P = 0.0001
THOUSAND, TEN = 1000, 10
SURROGATE, CONTROL, FORMAT = "Cs", "Cc", "Cf"
JOINERS = ("\u200c", "\u200d")
"""Format characters that scripts need; all others turn or hide what stands beside them."""


def plain(text: object) -> str:
    """The text on one line, without characters that have no shape or turn others around."""
    found = " ".join(str(text).split())
    return "".join(
        character
        for character in found
        if character in JOINERS or unicodedata.category(character) not in {CONTROL, FORMAT, SURROGATE}
    )


def cut(text: object, limit: int) -> str:
    """The text, or its beginning with an ellipsis."""
    found = plain(text)
    return found if len(found) <= limit else f"{found[: limit - 1]}…"


def sentence(text: str) -> str:
    """With a capital at its beginning and a full stop at its end."""
    found = plain(text)
    end = "" if found[-1:] in {".", "!", "?", "…"} else "."
    return f"{found[:1].upper()}{found[1:]}{end}" if found else ""


def number(value: str | float) -> str:
    """Three decimals for a small number, none for a large one."""
    found = float(value)
    if abs(found) >= THOUSAND:
        return f"{found:,.0f}"
    return f"{found:.1f}" if abs(found) >= TEN else f"{found:.3f}"


def signed(value: str | float) -> str:
    """With its sign, a minus being a minus."""
    found = number(value)
    return f"\N{MINUS SIGN}{found[1:]}" if found.startswith("-") else f"+{found}"


def count(value: int) -> str:
    return f"{value:,}"


def p_value(value: str | float) -> str:
    found = float(value)
    return f"< {SMALLEST_P}" if found < SMALLEST_P else f"{found:.4f}"


def percent(value: str | float) -> str:
    return f"{float(value):.1%}".replace("%", " %")


def metric(name: str) -> str:
    """A metric's usual name; what is none of ours stays as it is."""
    if name == LATENCY:
        return "Latency in ms"
    return METRICS[Metric(name)] if name in set(Metric) else plain(name)


def when(stamp: str | None) -> str:
    """21 Nov 2026, 13:05 UTC."""
    return f"{moment(stamp):%-d %b %Y, %H:%M} UTC" if stamp else "—"


def day(stamp: str | None) -> str:
    return f"{moment(stamp):%-d %b %Y}" if stamp else "—"


def lasted(since: str, until: str) -> str:
    """45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    seconds = max(0, int((moment(until) - moment(since)).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if not minutes:
        return f"{seconds} s"
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if not days else f"{days} d {hours % 24} h"


def digest(value: str) -> str:
    """The beginning of a digest, for where it is only to be recognised."""
    return value.removeprefix("sha256:")[:12]


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning and its end: names that are alike differ at one of them."""
    found = plain(text)
    end = limit // 3
    return found if len(found) <= limit else f"{found[: limit - end - 1]}…{found[-end:]}"


def listed(names: list[str], most: int = 3, limit: int = 40) -> str:
    """Two or three names with an and; of many, the first and how many more."""
    found = [shortened(name, limit) for name in names]
    if len(found) > most:
        return f"{', '.join(found[:most])} and {len(found) - most} more"
    return f"{', '.join(found[:-1])} and {found[-1]}" if len(found) > 1 else "".join(found)
