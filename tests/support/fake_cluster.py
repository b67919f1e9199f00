"""A cluster in memory, for tests of the loop. It refuses what an API server would refuse, as far as the loop can tell.

It knows uids, generations, owner collection, the status subresource and name conflicts. What it does not
know (schemas, admission, real apply semantics) is proved in tests/contract on a live API server.
"""

from __future__ import annotations

import builtins
import copy
import itertools
from typing import Any

from refit.api import guard
from refit.kube.cluster import (
    INFERENCE_GRAPH,
    INFERENCE_SERVICE,
    SERVING_RUNTIME,
    ConflictError,
    Kind,
    KindMissingError,
    Manifest,
    NotFoundError,
    RefusedError,
    UnreachableError,
    kind_of,
)

Address = tuple[Kind, str, str]


class FakeCluster:
    """A Cluster whose objects are a dictionary; `journal` tells every write, `fail_after` breaks a chosen one.

    `rights` are those of people or groups: who, verb, API group, resource/subresource, namespace, name.
    """

    def __init__(self, *, serving: bool = True, graphs: bool = True) -> None:
        self.objects: dict[Address, Manifest] = {}
        self.journal: list[tuple[str, str, str]] = []
        self.fail_after: int | None = None
        self.silent_after: int | None = None
        self.now = "2026-11-21T12:00:00Z"
        self.unguarded = False
        self.rights: set[tuple[str, str, str, str, str, str]] = set()
        self._missing = {
            *(() if serving else (INFERENCE_SERVICE, SERVING_RUNTIME)),
            *(() if graphs else (INFERENCE_GRAPH,)),
        }
        self._numbers = itertools.count(1)

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        self._known(kind)
        return copy.deepcopy(self.objects.get((kind, namespace or "", name)))

    async def list(self, kind: Kind, namespace: str | None, selector: str = "") -> list[Manifest]:
        self._known(kind)
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        return [
            copy.deepcopy(found)
            for (other, where, _), found in self.objects.items()
            if other == kind
            and namespace in (None, where)
            and wanted.items() <= (found["metadata"].get("labels") or {}).items()
        ]

    async def create(self, manifest: Manifest) -> Manifest:
        address = self._address(manifest)
        if address in self.objects:
            raise ConflictError(f"{address[2]} exists")
        return self._write("create", address, self._new(manifest))

    async def apply(self, manifest: Manifest) -> Manifest:
        address = self._address(manifest)
        there = self.objects.get(address)
        if there is None:
            return self._write("apply", address, self._new(manifest))
        merged = _merged(there, manifest)
        if merged.get("spec") != there.get("spec"):
            merged["metadata"]["generation"] += 1
        return self._write("apply", address, merged)

    async def apply_status(self, manifest: Manifest) -> Manifest:
        address = self._address(manifest)
        there = self.objects.get(address)
        if there is None:
            raise NotFoundError(f"{address[2]} is not there")
        seen = there["metadata"]["resourceVersion"]
        if manifest["metadata"].get("resourceVersion", seen) != seen:
            raise ConflictError(f"{address[2]} changed")
        status = copy.deepcopy(manifest["status"])
        if "approvals" in there.get("status", {}):
            status["approvals"] = there["status"]["approvals"]  # people's own fields; an apply leaves them alone
        return self._write("status", address, {**there, "status": status})

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Manifest) -> Manifest:
        there = self.objects[kind, namespace, name]
        return self._write("patch", (kind, namespace, name), _merged(there, patch))

    async def rehearse_status(self, kind: Kind, namespace: str, name: str, patch: Manifest) -> None:
        """The one thing that is rehearsed is what the guard must refuse; `unguarded` is a cluster where it does not."""
        if (kind, namespace, name) not in self.objects:
            raise NotFoundError(f"{name} is not there")
        if "approvals" in patch["status"] and not self.unguarded:
            raise RefusedError(
                f"ValidatingAdmissionPolicy '{guard.APPROVAL}' denied request: {guard.OPERATOR_MAY_NOT_DECIDE}"
            )

    async def may(
        self,
        user: str,
        groups: tuple[str, ...],
        verb: str,
        group: str,
        resource: str,
        subresource: str,
        namespace: str,
        name: str,
    ) -> bool:
        asked = (verb, group, f"{resource}/{subresource}", namespace, name)
        return any((holder, *asked) in self.rights for holder in (user, *groups))

    async def delete(self, kind: Kind, namespace: str, name: str) -> None:
        address = (kind, namespace, name)
        if address in self.objects:
            self._tell("delete", address)
            self.remove(*address)
            self._answer()

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """The object and all that it owns are gone, whoever did it."""
        gone = self.objects.pop((kind, namespace, name))
        uid = gone["metadata"]["uid"]
        for address, other in list(self.objects.items()):
            owners = other["metadata"].get("ownerReferences") or []
            if address in self.objects and any(owner["uid"] == uid for owner in owners):
                self.remove(*address)

    def put(self, manifest: Manifest) -> Manifest:
        """An object as somebody else would have created it."""
        address = self._address(manifest)
        self.objects[address] = self._new(manifest)
        return self.objects[address]

    def names(self, kind: Kind) -> builtins.list[str]:
        """Names of the objects of a kind."""
        return sorted(name for other, _, name in self.objects if other == kind)

    def _address(self, manifest: Manifest) -> Address:
        kind = kind_of(manifest)
        self._known(kind)
        return kind, manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]

    def _known(self, kind: Kind) -> None:
        if kind in self._missing:
            raise KindMissingError(f"{kind.plural} are not known")

    def _new(self, manifest: Manifest) -> Manifest:
        found = copy.deepcopy(manifest)
        number = next(self._numbers)
        found["metadata"] = {
            "uid": f"uid-{number}",
            "generation": 1,
            "resourceVersion": str(number),
            "creationTimestamp": self.now,
            **found["metadata"],
        }
        return found

    def _write(self, verb: str, address: Address, found: Manifest) -> Manifest:
        self._tell(verb, address)
        found["metadata"] = {**found["metadata"], "resourceVersion": str(next(self._numbers))}
        self.objects[address] = found
        self._answer()
        return copy.deepcopy(found)

    def _answer(self) -> None:
        """A planned crash that comes after the write took effect, and before its answer."""
        if self.silent_after is not None:
            if self.silent_after == 0:
                raise UnreachableError("planned")
            self.silent_after -= 1

    def _tell(self, verb: str, address: Address) -> None:
        """Writes the journal; a planned crash comes before the write takes effect."""
        if self.fail_after is not None:
            if self.fail_after == 0:
                raise UnreachableError("planned")
            self.fail_after -= 1
        self.journal.append((verb, address[0].kind, address[2]))


def _merged(there: Any, new: Any) -> Any:
    if isinstance(there, dict) and isinstance(new, dict):
        return {key: _merged(there.get(key), new[key]) if key in new else there[key] for key in {**there, **new}}
    return copy.deepcopy(new)
