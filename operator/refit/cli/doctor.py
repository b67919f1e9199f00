"""`doctor`: whether all that Refit needs is there. Each line is ok, a problem with what to do, or not to be known from here."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from refit.api import crd, meta
from refit.api.conditions import ConditionStatus
from refit.api.reasons import ConditionType
from refit.cli import guard
from refit.cli.finding import OK, PROBLEM_WORD, UNKNOWN_WORD, Finding, paths, told
from refit.cli.guard import OPERATOR
from refit.cli.services import SETTINGS, AwayError, Service, settings
from refit.cli.session import DONE, PROBLEM, Result, Session
from refit.cli.terminal import table
from refit.kube.answers import NOT_FOUND
from refit.kube.cluster import DEPLOYMENT, ClusterError, Kind

if TYPE_CHECKING:
    from refit.kube.person import Person  # it takes seconds to load

CLOCK_SECONDS = 5.0
"""More than a request takes, less than any deadline of Refit's."""
CRD = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole")
KSERVE = "/apis/serving.kserve.io/v1beta1"

Check = Callable[[Session, dict[str, str]], Awaitable[Finding]]


async def doctor(session: Session, _: Namespace) -> Result:
    """Every check is made, whatever the others say; one that may not look says so."""
    known = await _settings(session)
    found = [await _checked(name, check, session, known) for name, check in CHECKS.items()]
    rows = [(one.name, one.verdict, one.message) for one in found]
    text = table(("CHECK", "VERDICT", "WHAT"), rows, coloured=session.terminal.colours)
    todo = [f"{one.name}: {one.todo}" for one in found if one.verdict == PROBLEM_WORD and one.todo]
    if todo:
        text += "\n\nTo do:\n" + "\n".join(f"  {line}" for line in todo)
    bad = any(one.verdict == PROBLEM_WORD for one in found)
    return Result(text=text, data=[vars(one) for one in found], code=PROBLEM if bad else DONE)


async def _checked(name: str, check: Check, session: Session, known: dict[str, str]) -> Finding:
    try:
        found = await check(session, known)
    except (ClusterError, AwayError) as error:
        found = told(UNKNOWN_WORD, f"could not be looked at: {error}")
    return found.named(name)


async def _settings(session: Session) -> dict[str, str]:
    try:
        return await settings(session)
    except ClusterError:
        return {}


async def _definitions(session: Session, _: dict[str, str]) -> Finding:
    """The fields of the cluster's CRDs beside those of this plugin's types."""
    for make in crd.DEFINITIONS.values():
        ours = make()
        name = ours["metadata"]["name"]
        answer = await session.person.ask("GET", f"{CRD.path(None)}/{name}")
        if not answer.ok:
            install = "install the chart: docs/install.md"
            return told(
                PROBLEM_WORD if answer.code == NOT_FOUND else UNKNOWN_WORD, f"{name}: {answer.message}", install
            )
        versions = {one["name"]: one for one in answer.json()["spec"]["versions"]}
        if meta.VERSION not in versions:
            return told(PROBLEM_WORD, f"{name} has no version {meta.VERSION}", "apply the CRDs of this release")
        there, here = (
            paths(one["schema"]["openAPIV3Schema"]) for one in (versions[meta.VERSION], ours["spec"]["versions"][0])
        )
        if here - there:
            lacking = ", ".join(sorted(here - there)[:3])
            return told(
                PROBLEM_WORD, f"{name} is older than this plugin: it has no {lacking}", "apply the CRDs of this release"
            )
        if there - here:
            newer = ", ".join(sorted(there - here)[:3])
            return told(PROBLEM_WORD, f"{name} is newer than this plugin: it also has {newer}", "upgrade the plugin")
    return told(OK, f"{len(crd.DEFINITIONS)} definitions with the fields of this plugin")


async def _operator(session: Session, _: dict[str, str]) -> Finding:
    return await _running(session, OPERATOR)


async def _running(session: Session, name: str) -> Finding:
    found = await session.person.get(DEPLOYMENT, session.system, name)
    if found is None:
        todo = "install the chart, or name the namespace with --system-namespace"
        return told(PROBLEM_WORD, f"no Deployment {name} in {session.system}", todo)
    status, wanted = found.get("status") or {}, (found.get("spec") or {}).get("replicas", 1)
    available = status.get("availableReplicas", 0)
    if available < max(1, wanted):
        look = f"kubectl -n {session.system} describe pods -l app.kubernetes.io/name={name}"
        return told(PROBLEM_WORD, f"{available} of {wanted} pods are available", look)
    return told(OK, f"{available} of {wanted} pods are available")


async def _rights(session: Session, known: dict[str, str]) -> Finding:
    """What its ClusterRole says the operator's account may really do, and to approve is not among it."""
    account = known.get("REFIT_IDENTITY") or f"system:serviceaccount:{session.system}:{OPERATOR}"
    answer = await session.person.ask("GET", f"{CLUSTER_ROLE.path(None)}/{OPERATOR}")
    if not answer.ok:
        verdict = PROBLEM_WORD if answer.code == NOT_FOUND else UNKNOWN_WORD
        return told(verdict, f"ClusterRole {OPERATOR}: {answer.message}", "install the chart: docs/install.md")
    asked = [
        (group, resource, verb)
        for rule in answer.json().get("rules") or ()
        if not rule.get("resourceNames")
        for group in rule.get("apiGroups") or ()
        for resource in rule.get("resources") or ()
        for verb in rule["verbs"]
    ]
    for group, resource, verb in asked:
        if not await _may(session.person, account, group, resource, verb, session.namespace):
            what = f"{account} may not {verb} {resource}{f'.{group}' if group else ''}"
            return told(
                PROBLEM_WORD, what, f"bind ClusterRole {OPERATOR} to it: kubectl get clusterrolebindings -o wide"
            )
    for what in ("retrain", "rollback", "promote"):
        resource = f"{meta.DEPLOYMENTS}/{what}"
        if await _may(session.person, account, meta.GROUP, resource, "approve", session.namespace):
            todo = "take verb approve from every role that is bound to it, and admin rights too"
            return told(PROBLEM_WORD, f"{account} may approve {what}: its word would be as good as a person's", todo)
    return told(OK, "what its role says is granted, and to approve is not")


async def _may(person: Person, account: str, group: str, resource: str, verb: str, namespace: str) -> bool:
    plural, _, subresource = resource.partition("/")
    attributes = {"group": group, "resource": plural, "subresource": subresource, "verb": verb, "namespace": namespace}
    _, _, of, _ = account.split(":") if account.count(":") == 3 else ("", "", "", "")  # noqa: PLR2004  # a ServiceAccount's name
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{of}", "system:authenticated"]
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": account, "groups": groups, "resourceAttributes": attributes},
    }
    found = await person.review("authorization.k8s.io", "subjectaccessreviews", body)
    return bool(found["status"].get("allowed"))


async def _word_of_operator(session: Session, _: dict[str, str]) -> Finding:
    """What the operator says of its own guard, on the models that are here."""
    for model in await session.models():
        one = model.condition(ConditionType.APPROVAL_GUARD)
        if one is not None:
            good = one.status == ConditionStatus.TRUE
            logs = f"kubectl -n {session.system} logs deploy/{OPERATOR}"
            return told(OK if good else PROBLEM_WORD, f"{one.reason}: {one.message}", logs)
    return told(UNKNOWN_WORD, f"no model in namespace {session.namespace} tells of it")


async def _kserve(session: Session, _: dict[str, str]) -> Finding:
    answer = await session.person.ask("GET", KSERVE)
    if not answer.ok and answer.code != NOT_FOUND:
        return told(UNKNOWN_WORD, answer.message)
    there = {one["name"] for one in answer.json().get("resources") or ()} if answer.ok else set()
    if "inferenceservices" not in there:
        return told(PROBLEM_WORD, "this cluster knows no InferenceService", "install KServe: docs/install.md")
    found = await session.person.list(DEPLOYMENT, None)
    running = [one for one in found if one["metadata"]["name"] == "kserve-controller-manager"]
    if not running:
        return told(PROBLEM_WORD, "its kinds are there, its controller is not", "install KServe: docs/install.md")
    if not (running[0].get("status") or {}).get("availableReplicas"):
        place = running[0]["metadata"]["namespace"]
        return told(PROBLEM_WORD, "its controller has no pod", f"kubectl -n {place} describe pods")
    return told(OK, "InferenceServices are known, the controller runs")


def _answers(name: str, setting: str, path: str, unset: str) -> Check:
    async def check(session: Session, known: dict[str, str]) -> Finding:
        if not known:
            return told(UNKNOWN_WORD, f"ConfigMap {SETTINGS} in {session.system} could not be read")
        url = known.get(setting)
        if not url:
            return told(OK, unset)
        service = Service(name=name, url=url)
        if service.proxied() is None:
            return told(UNKNOWN_WORD, f"{url} is no Service of this cluster; ask it from a pod")
        answer = await service.get(session.person, path)
        if not answer.ok:
            return told(PROBLEM_WORD, f"{url}{path} answers {answer.code}", f"kubectl -n {session.system} get pods")
        return told(OK, f"{url} answers")

    return check


async def _clocks(session: Session, _: dict[str, str]) -> Finding:
    answer = await session.person.ask("GET", "/version")
    date = next((value for name, value in answer.headers.items() if name.lower() == "date"), None)
    if date is None:
        return told(UNKNOWN_WORD, "the API server names no time")
    apart = (session.clock() - parsedate_to_datetime(date)).total_seconds()
    if abs(apart) > CLOCK_SECONDS:
        where = "ahead of" if apart > 0 else "behind"
        todo = "set the clock (NTP): ages and expiries shown here are wrong by that much"
        return told(PROBLEM_WORD, f"this machine is {abs(apart):.0f} s {where} the API server", todo)
    return told(OK, f"this machine and the API server agree within {CLOCK_SECONDS:.0f} s")


CHECKS: dict[str, Check] = {
    "definitions": _definitions,
    "operator": _operator,
    "operator's rights": _rights,
    "approval policy": guard.policies,
    "approval refused": guard.refused,
    "requester refused": guard.requester,
    "operator's word": _word_of_operator,
    "KServe": _kserve,
    "MLflow": _answers("MLflow", "REFIT_TRACKING_URI", "/health", "not set"),
    "collector": _answers("the collector", "REFIT_COLLECTOR_URL", "/readyz", "not set: nothing is kept or measured"),
    "Prometheus": _answers("Prometheus", "REFIT_PROMETHEUS_URL", "/-/ready", "not set: queries are not asked"),
    "clocks": _clocks,
}
