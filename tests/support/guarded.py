"""A control plane with the guard as it is shipped: CRDs, roles, policies, and people with certificates of their own."""

from __future__ import annotations

import copy
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from refit.api import guard, meta
from refit_cluster import golang
from refit_cluster.client import Answer, Client
from refit_cluster.controlplane import ControlPlane
from refit_cluster.shell import wait_until

Manifest = dict[str, Any]

ROOT = Path(__file__).parents[2]
SYSTEM = "refit-system"
OPERATOR = "system:serviceaccount:refit-system:refit-operator"
TEAM, ELSEWHERE = "team-a", "team-b"
DIGEST = "sha256:" + "0123456789abcdef" * 4
OLDER = "sha256:" + "f" * 64
REQUESTS = f"/apis/{meta.API_VERSION}/namespaces/{TEAM}/{meta.REQUESTS}"
ENFORCED_WITHIN = 30.0
"""A policy holds a few seconds after it was written."""
PARAMETERS: dict[str, dict[str, Any]] = {
    "Rollback": {"toVersion": 3},
    "Promote": {"toVersion": 3},
    "Scale": {"replicas": 2},
    "ChangeConfig": {"config": {"training.folds": "3"}},
}
PLURALS = {
    "Namespace": "/api/v1/namespaces",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    guard.POLICY_KIND: f"/apis/{guard.REGISTRATION}/validatingadmissionpolicies",
    guard.BINDING_KIND: f"/apis/{guard.REGISTRATION}/validatingadmissionpolicybindings",
}
NAMESPACED = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


@dataclass(frozen=True)
class Known:
    """Somebody, by groups and by ClusterRoles that are bound in a namespace."""

    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    namespace: str = TEAM


PEOPLE = {
    "alice": Known(roles=("refit-approver-retrain",)),
    "bob": Known(roles=("refit-approver",)),
    "carol": Known(groups=("ml-approvers",)),  # may approve, as all of that group
    "grace": Known(groups=("release-board",), roles=("refit-approver",)),
    "rita": Known(roles=("refit-requester", "refit-approver")),
    "hugo": Known(),  # may approve retraining of heart alone
    "erin": Known(roles=("refit-approver",), namespace=ELSEWHERE),
    "mallory": Known(roles=("refit-requester",)),  # may write the status of requests, as the account of a page might
    "olga": Known(roles=("refit-viewer",)),
    "root": Known(groups=("system:masters",)),
    OPERATOR: Known(groups=("system:serviceaccounts", f"system:serviceaccounts:{SYSTEM}")),
}
RBAC = "rbac.authorization.k8s.io/v1"
WRITER: Manifest = {
    "apiVersion": RBAC,
    "kind": "Role",
    "metadata": {"name": "status-writer", "namespace": TEAM},
    "rules": [
        {"apiGroups": [meta.GROUP], "resources": [meta.REQUESTS], "verbs": ["get", "update", "patch", "delete"]},
        {"apiGroups": [meta.GROUP], "resources": [f"{meta.REQUESTS}/status"], "verbs": ["get", "update", "patch"]},
    ],
}


def _owner() -> Manifest:
    """The Role that docs/security.md gives as its example."""
    text = (ROOT / "docs" / "security.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (found,) = [
        each
        for block in blocks
        for each in yaml.safe_load_all(block)
        if each["kind"] == "Role" and each["metadata"]["name"] == "heart-approver"
    ]
    return dict(found)


OWNER = _owner()


def place(manifest: Mapping[str, Any]) -> str:
    """The URL path of an object."""
    metadata = manifest["metadata"]
    kind = manifest["kind"]
    collection = PLURALS[kind] if kind in PLURALS else NAMESPACED[kind].format(metadata["namespace"])
    return f"{collection}/{metadata['name']}"


def shipped(name: str) -> list[Manifest]:
    """The objects of a file in manifests/ or crds/."""
    return [each for each in yaml.safe_load_all((ROOT / name).read_text()) if each]


def yes(digest: str = DIGEST, **more: Any) -> Manifest:
    return {"decision": "Approved", "proposalDigest": digest, **more}


def no(digest: str = DIGEST) -> Manifest:
    return {"decision": "Rejected", "proposalDigest": digest, "reason": "not at night"}


def approvals(entries: Mapping[str, Any] | None) -> Manifest:
    return {"status": {"approvals": entries}}


def request(name: str, by: str, action: str = "Retrain", target: str = "heart", **metadata: Any) -> Manifest:
    """A RemediationRequest as its requester would write it."""
    return {
        "apiVersion": meta.API_VERSION,
        "kind": meta.REQUEST_KIND,
        "metadata": {"name": name, "namespace": TEAM, **metadata},
        "spec": {
            "targetRef": {"name": target},
            "action": action,
            "parameters": PARAMETERS.get(action, {}),
            "trigger": {"type": "Human"},
            "requestedBy": by,
        },
    }


def awaiting(digest: str = DIGEST, phase: str = "AwaitingApproval", **approval: Any) -> Manifest:
    """The status by which the operator asks for a decision."""
    proposal: dict[str, Any] = {"digest": digest, "text": "retrain heart"}
    if approval:
        proposal["approval"] = approval
    return {"status": {"observedGeneration": 1, "phase": phase, "proposal": proposal}}


class Person(Client):
    """Requests as one user; `acting` lets those who may impersonate be another for a while."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(kubeconfig)
        self._plain = dict(self._headers)

    def acting(self, user: str, group: str = "") -> Self:
        self._headers = {**self._plain, "Impersonate-User": user} | ({"Impersonate-Group": group} if group else {})
        return self


@dataclass
class Guarded:
    """The plane, its administrator, and everybody else by name."""

    plane: ControlPlane
    admin: Person
    stack: ExitStack
    people: dict[tuple[str, ...], Person] = field(default_factory=dict)
    _count: int = 0

    def person(self, user: str, *groups: str) -> Person:
        """A client of that user in these groups, whom the API server knows by certificate."""
        key = (user, *groups)
        if key not in self.people:
            self.people[key] = self.stack.enter_context(Person(self.plane.kubeconfig_for(user, *groups)))
        return self.people[key]

    @property
    def impersonator(self) -> Person:
        """An administrator who acts for others."""
        return self.person("impersonator", "system:masters")

    @property
    def operator(self) -> Person:
        return self.who(OPERATOR)

    def put(self, *manifests: Mapping[str, Any]) -> None:
        for each in manifests:
            self.admin.apply(place(each), each, "tests").accepted()

    def bind(
        self, role: str, user: str, *, namespace: str = TEAM, group: bool = False, kind: str = "ClusterRole"
    ) -> None:
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group" if group else "User", "name": user}
        name = f"{role}-{user}".replace(":", "-").replace("@", "-").lower()
        self.put(
            {
                "apiVersion": RBAC,
                "kind": "RoleBinding",
                "metadata": {"name": name, "namespace": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
                "subjects": [subject],
            }
        )

    def settle(self) -> None:
        """Gives everybody in PEOPLE what they may do."""
        self.put(WRITER, OWNER)
        for user, found in PEOPLE.items():
            for role in found.roles:
                self.bind(role, user, namespace=found.namespace)
        self.bind("refit-approver", "ml-approvers", group=True)
        for role, user in (("status-writer", "mallory"), ("heart-approver", "hugo")):
            self.bind(role, user, kind="Role")

    def who(self, user: str) -> Person:
        return self.person(user, *PEOPLE[user].groups)

    def name(self, stem: str = "case") -> str:
        self._count += 1
        return f"{stem}-{self._count}"

    def asked(
        self,
        by: str = OPERATOR,
        *,
        action: str = "Retrain",
        target: str = "heart",
        status: Mapping[str, Any] | None = None,
        decided: Mapping[str, Any] | None = None,
        name: str = "",
    ) -> str:
        """The path of a request that awaits a decision, made, asked and decided by those who would."""
        made = request(name or self.name(), by, action, target)
        self.who(by).create(REQUESTS, made).accepted()
        path = f"{REQUESTS}/{made['metadata']['name']}"
        self.write_status(path, awaiting() if status is None else status)
        for user, entry in (decided or {}).items():
            self.who(user).merge(f"{path}/status", approvals({user: entry})).accepted()
        return path

    def write_status(self, path: str, status: Mapping[str, Any]) -> None:
        """The operator's server-side apply of a status, as its passes write it."""
        body = {"apiVersion": meta.API_VERSION, "kind": meta.REQUEST_KIND, "metadata": {"name": path.rsplit("/", 1)[1]}}
        self.operator.apply(f"{path}/status", {**body, **status}, meta.FIELD_MANAGER).accepted()

    def decided(self, path: str) -> Manifest:
        found: Manifest = self.admin.get(path).accepted()["status"].get("approvals") or {}
        return found

    # -- the guard itself

    def await_enforced(self) -> None:
        """Until both policies are asked: the API server takes a few seconds to notice that they are there."""
        path = self._probe()
        wait_until(
            lambda: (
                "operator may not decide" in self.try_as_operator(path).message
                and "your own user name" in self.try_forged().message
            ),
            what="an answer of both policies",
            within=ENFORCED_WITHIN,
            pause=0.1,
        )

    def await_unenforced(self) -> None:
        path = self._probe()
        wait_until(
            lambda: self.try_as_operator(path).code == 200,
            what="the end of the policy",
            within=ENFORCED_WITHIN,
            pause=0.1,
        )

    def _probe(self) -> str:
        probe = request("probe", "admin")
        self.admin.create(REQUESTS, probe)
        return f"{REQUESTS}/probe"

    def try_as_operator(self, path: str) -> Answer:
        return self.operator.merge(f"{path}/status", approvals({OPERATOR: yes()}), dryRun="All")

    def try_forged(self) -> Answer:
        return self.admin.create(REQUESTS, request("forged", "somebody"), dryRun="All")

    @contextmanager
    def changed(self, path: str, change: Callable[[Manifest], object]) -> Iterator[None]:
        """That object of the guard with a change made to its spec, and afterwards as it was."""
        body = self.admin.get(path).accepted()
        spec = copy.deepcopy(body["spec"])
        change(body["spec"])
        self.admin.replace(path, body).accepted()
        try:
            yield
        finally:
            body = self.admin.get(path).accepted()
            self.admin.replace(path, {**body, "spec": spec}).accepted()

    @contextmanager
    def without(self, path: str) -> Iterator[None]:
        """That object of the guard gone, and afterwards there again."""
        there = self.admin.get(path).accepted()
        fresh = {name: there[name] for name in ("apiVersion", "kind", "spec")}
        metadata = {name: there["metadata"][name] for name in ("name", "labels")}
        self.admin.delete(path).accepted()
        try:
            yield
        finally:
            self.admin.create(path.rsplit("/", 1)[0], {**fresh, "metadata": metadata}).accepted()


@contextmanager
def guarded(*extra_arguments: str, enforced: bool = True) -> Iterator[Guarded]:
    """A plane of its own: what the guard refuses other tests do."""
    with ControlPlane(extra_arguments=extra_arguments) as plane, ExitStack() as stack:
        found = Guarded(plane, stack.enter_context(Person(plane.kubeconfig)), stack)
        for name in ("modeldeployments", "remediationrequests"):
            found.put(*shipped(f"crds/{name}.yaml"))
            served = f"/apis/{meta.API_VERSION}/{name}"
            wait_until(
                lambda at=served: found.admin.get(at).code == 200,  # type: ignore[misc]
                what=f"an answer at {served}",
                within=30,
                pause=0.05,
            )
        found.put(
            *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": one}} for one in (SYSTEM, TEAM, ELSEWHERE))
        )
        found.put(*shipped("manifests/rbac.yaml"), *shipped("manifests/roles.yaml"))
        found.settle()
        found.put(*shipped("manifests/guard.yaml"))
        if enforced:
            found.await_enforced()
        yield found


@contextmanager
def type_checked(of: Guarded) -> Iterator[None]:
    """With the controller that checks the types of policies and writes what it finds to their status."""
    binary = golang.KUBERNETES.binary(of.plane.places, "kube-controller-manager")
    command = [
        str(binary),
        "--controllers=validatingadmissionpolicy-status-controller",
        f"--kubeconfig={of.plane.kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",
    ]
    log = of.plane.directory / "controller-manager.log"
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.kill()
        process.wait()
