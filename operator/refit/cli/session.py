"""A session: one run of the plugin, as whom it asks, where, and how it answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from refit.api import meta
from refit.api.objects import Model, Request, model_of, request_of
from refit.cli.terminal import Terminal
from refit.kube.answers import NOT_FOUND, RefusalError
from refit.kube.cluster import MODEL_DEPLOYMENT, REMEDIATION_REQUEST

if TYPE_CHECKING:
    from refit.kube.person import Person  # it takes seconds to load

DONE, PROBLEM, MISUSE = 0, 1, 2
"""Exit codes: it is done; it was refused, not found, or something is wrong; the command was wrong."""


class StopError(Exception):
    """The command ends here; the message is one line for a person."""

    def __init__(self, message: str, code: int = PROBLEM) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a command answers: a text for people, the same as data for programs, and the exit code."""

    text: str
    data: Any = field(default_factory=dict)
    code: int = DONE


@dataclass(frozen=True, kw_only=True)
class Session:
    """`named` is the namespace that was asked for by name, `system` the operator's; `for_people` is not -o json or yaml.

    All ages of one answer are counted to `now`; `clock` is for what takes time itself.
    """

    person: Person
    named: str | None
    everywhere: bool
    system: str
    terminal: Terminal
    now: datetime
    clock: Callable[[], datetime]
    for_people: bool = True

    @property
    def namespace(self) -> str:
        return self.named or self.person.namespace

    def tell(self, text: str) -> None:
        """What a person reads before they are asked; a program's standard output stays clean of it."""
        print(text, file=self.terminal.out if self.for_people else self.terminal.err)

    @property
    def scope(self) -> str | None:
        """The namespace to list, or None for all."""
        return None if self.everywhere else self.namespace

    def command(self, *words: str) -> str:
        """A command to type next, which works wherever this one did."""
        place = [] if self.namespace == self.person.namespace else ["-n", self.namespace]
        return " ".join(["kubectl refit", *words, *place])

    async def models(self) -> list[Model]:
        """Sorted by name."""
        found = await _known(self.person, "models", MODEL_DEPLOYMENT, self.scope)
        return sorted((model_of(one) for one in found), key=lambda model: (model.namespace, model.name))

    async def requests(self) -> list[Request]:
        """The newest first. On the guard's own request the operator only tries its guard."""
        found = await _known(self.person, "requests", REMEDIATION_REQUEST, self.scope)
        parsed = [request_of(one) for one in found if one["metadata"]["name"] != meta.GUARD_CANARY]
        return sorted(
            sorted(parsed, key=lambda request: (request.namespace, request.name)),
            key=lambda request: request.created,
            reverse=True,
        )

    async def find_model(self, name: str) -> Model | None:
        found = await self.person.get(MODEL_DEPLOYMENT, self.namespace, name)
        return model_of(found) if found is not None else None

    async def find_request(self, name: str) -> Request | None:
        found = await self.person.get(REMEDIATION_REQUEST, self.namespace, name)
        return request_of(found) if found is not None else None

    async def model(self, name: str) -> Model:
        """Raises StopError that says which there are."""
        found = await self.find_model(name)
        if found is None:
            raise StopError(await self._absent("ModelDeployment", name, [one.name for one in await self.models()]))
        return found

    async def request(self, name: str) -> Request:
        """Raises StopError that says which there are."""
        found = await self.find_request(name)
        if found is None:
            raise StopError(
                await self._absent("RemediationRequest", name, [one.name for one in await self.requests() if one.open])
            )
        return found

    async def _absent(self, kind: str, name: str, there: list[str]) -> str:
        known = f"there are: {', '.join(there[:20])}" if there else "there is none"
        return f"no {kind} {name!r} in namespace {self.namespace}; {known}"


async def _known(person: Person, what: str, kind: Any, namespace: str | None) -> list[dict[str, Any]]:
    try:
        return await person.list(kind, namespace)
    except RefusalError as error:
        if error.code == NOT_FOUND:
            raise StopError(f"this cluster knows no {what} of Refit: its CRDs are not installed") from error
        raise


def system_namespace(given: str | None) -> str:
    """Where the operator lives: as told, by the variable, else as the chart has it."""
    return given or os.environ.get("REFIT_SYSTEM_NAMESPACE") or "refit-system"
