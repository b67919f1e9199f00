"""Which model an alert is about: two of its labels, by an allow-list. Nothing else of an alert chooses anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
MODEL = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
"""As the API takes a ModelDeployment's name."""
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,127}")

KEPT = ("class", "column", "kind", "method", "metric", "name", "version")
"""Labels that are kept beside those of the target: what the shipped rules tell."""

Known = Callable[[str, str], bool]
"""Whether there is a model of that namespace and name."""


@dataclass(frozen=True)
class TargetLabels:
    """The labels that name the namespace and the model."""

    namespace: str = "namespace"
    model: str = "model"

    @classmethod
    def parse(cls, text: str) -> TargetLabels:
        """From `namespace=<label>,model=<label>`; raises ValueError."""
        pairs = [part.strip().partition("=") for part in text.split(",")]
        found = {key: label for key, _, label in pairs}
        if len(pairs) != len(found) or set(found) != {"namespace", "model"}:
            raise ValueError("must be namespace=<label>,model=<label>")
        for label in found.values():
            if LABEL.fullmatch(label) is None:
                raise ValueError(f"{label!r} is no name of a label")
        return cls(**found)

    def of(self, labels: Mapping[str, str], known: Known) -> tuple[str, str] | None:
        """The model that these labels name, if there is one."""
        return target(labels.get(self.namespace, ""), labels.get(self.model, ""), known)

    def kept(self, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The labels that are stored, sorted."""
        kept = {self.namespace, self.model, *KEPT}
        return tuple(sorted((key, value) for key, value in labels.items() if key in kept))


def target(namespace: str, model: str, known: Known) -> tuple[str, str] | None:
    """The model of that name, if the name can be one and is."""
    if NAMESPACE.fullmatch(namespace) is None or MODEL.fullmatch(model) is None:
        return None
    return (namespace, model) if known(namespace, model) else None
