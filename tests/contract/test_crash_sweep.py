"""The operator dies at every write from an approval to its rollback's outcome, or is not told of it: it is done once.

Real are the operator's process, its audit, the API server, its guard and its audit log; KServe and the kubelet are
simulated at the status level. The operator that one case has brought back is the one that dies in the next.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from fault_proxy import Fault, FaultProxy
from guarded import OPERATOR, SYSTEM, Guarded, approvals, guarded, yes
from refit.api import meta
from refit.audit.agreement import disagreements, events
from refit.audit.rows import COLUMNS, Row, row_of
from refit.kube.cluster import DEPLOYMENT, INFERENCE_SERVICE, MODEL_DEPLOYMENT, REMEDIATION_REQUEST, Kind
from refit.kube.live import connect
from refit_cluster import golang, kserve
from refit_cluster.controlplane import ControlPlane, free_ports
from refit_cluster.shell import wait_until
from rest_of_cluster import Rest
from warm_operator import WarmOperator
from worlds import SPEC

pytestmark = pytest.mark.contract

Manifest = dict[str, Any]
MODEL, WISH, APPROVER, ASKER = "heart", "wish", "bob", "root"
IMAGE = "registry.test/image@sha256:" + "0" * 64
WITHIN = 90.0
"""Seconds in which the operator is over any one fault (I14)."""
LEAST_WRITES = 8
SPARE = 3
"""Cases beyond the writes of an undisturbed rollback: the last of a sweep shows that none is left."""
OWN = ((r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"), (r"sha256:[0-9a-f]{64}", "DIGEST"), (r"\b[0-9a-f]{10}\b", "KEY"))
"""What differs between two models that came the same way."""


@dataclass(frozen=True)
class Ended:
    """What one rollback came to: all that stands there, in rows of the audit, and how often the service was changed."""

    state: Manifest
    rows: tuple[str, ...]
    changes: int
    applied: int


@dataclass
class Stage:
    """One API server, one operator at a time behind the proxy, and a namespace for each case."""

    plane: Guarded
    proxy: FaultProxy
    operator: WarmOperator
    audit: Path
    looked: int = 0
    undisturbed: Ended = field(init=False)
    writes: list[str] = field(init=False)

    def prepare(self, *cases: str) -> None:
        """A model that serves its second version in each of these namespaces, and a rollback that awaits approval."""
        self.operator.start()
        for case in cases:
            self.plane.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": case}})
            self.plane.bind("refit-approver", APPROVER, namespace=case)
            self.plane.admin.create(MODEL_DEPLOYMENT.path(case), _model(case)).accepted()
        self._until("the first version serves", *cases, holds=lambda case: self._serves(case, 1))
        for case in cases:
            self._annotate(MODEL_DEPLOYMENT.path(case, MODEL), "refit.dev/train-requested-at", "again")
        self._until("the second version serves", *cases, holds=lambda case: self._serves(case, 2))
        for case in cases:
            self.plane.who(ASKER).create(REMEDIATION_REQUEST.path(case), _wish(case)).accepted()
        self._until("the rollback awaits approval", *cases, holds=lambda case: self._phase(case) == "AwaitingApproval")

    def roll_back(self, case: str, fault: Fault = Fault.ANSWER_LOST, number: int = 0) -> Ended:
        """The approval, the fault at the write of that number, and all that comes of it."""
        generation = self._read(INFERENCE_SERVICE, case, MODEL)["metadata"]["generation"]
        digest = self._read(REMEDIATION_REQUEST, case, WISH)["status"]["proposal"]["digest"]
        self.proxy.arm(case, fault, number)
        path = REMEDIATION_REQUEST.path(case, WISH, "status")
        self.plane.who(APPROVER).merge(path, approvals({APPROVER: yes(digest)})).accepted()
        self._until("the rollback has ended", case, holds=lambda each: self._phase(each) in ("Executed", "Failed"))
        self._settle(case)
        service = self._read(INFERENCE_SERVICE, case, MODEL)
        wish, model = self._read(REMEDIATION_REQUEST, case, WISH), self._read(MODEL_DEPLOYMENT, case, MODEL)
        text = json.dumps([wish["status"], model["status"], service["spec"]], sort_keys=True).replace(case, "CASE")
        for pattern, name in OWN:
            text = re.sub(pattern, name, text)
        rows = [row for row in self.rows() if row.request_uid == wish["metadata"]["uid"]]
        logged = [
            event
            for event in events(self.plane.plane.audit_log.read_text().splitlines())
            if (event.user, event.resource, event.namespace) == (OPERATOR, INFERENCE_SERVICE.plural, case)
        ]
        # What is looked at again after each death had better be little.
        self.plane.admin.delete(MODEL_DEPLOYMENT.path(case, MODEL)).accepted()
        return Ended(
            state=dict(zip(("wish", "model", "service"), json.loads(text), strict=True)),
            rows=tuple(f"{row.kind} {row.digest == digest}" for row in rows),
            changes=service["metadata"]["generation"] - generation,
            applied=len(logged),
        )

    def rows(self) -> list[Row]:
        """All rows of the operator's audit."""
        with sqlite3.connect(f"file:{self.audit}?mode=ro", uri=True) as database:
            query = f"SELECT {', '.join(COLUMNS)} FROM audit ORDER BY sequence"  # noqa: S608  # names of our own
            return [row_of(row) for row in database.execute(query)]

    def _annotate(self, path: str, annotation: str, value: str) -> None:
        self.plane.admin.merge(path, {"metadata": {"annotations": {annotation: value}}}).accepted()

    def _settle(self, case: str) -> None:
        """Until a whole pass writes nothing; a fault may still come, so more than one may be needed."""
        for _ in range(SPARE):
            self.operator.start()
            before = len(self.proxy.writes)
            self._look(case)
            self._look(case)
            if self.operator.lives and len(self.proxy.writes) == before:
                return
        raise AssertionError(f"the operator does not stop writing: {self.proxy.writes}")

    def _look(self, case: str) -> None:
        """Another pass begins, so those before it have ended: one model has one pass at a time. What is touched for it is
        not what a pass writes to, so that none of its writes is refused because of that."""
        begins = f"GET {case}/{MODEL_DEPLOYMENT.plural}/{MODEL}"
        before = self.proxy.reads.count(begins)
        self.looked += 1
        self._annotate(DEPLOYMENT.path(case, meta.predictor_name(MODEL)), "tests/looked", str(self.looked))
        self._until("another pass", case, holds=lambda _: self.proxy.reads.count(begins) > before)

    def _until(self, what: str, *cases: str, holds: Callable[[str], bool]) -> None:
        def all_hold() -> bool:
            self.operator.start()  # where it has died, as whatever runs it would
            return all(map(holds, cases))

        wait_until(all_hold, what=what, within=WITHIN, pause=0.1)

    def _serves(self, case: str, version: int) -> bool:
        status = self._read(MODEL_DEPLOYMENT, case, MODEL)["status"]
        return bool((status.get("serving") or {}).get("version") == version)

    def _phase(self, case: str) -> str:
        return str((self._read(REMEDIATION_REQUEST, case, WISH).get("status") or {}).get("phase"))

    def _read(self, kind: Kind, case: str, name: str) -> Manifest:
        return self.plane.admin.get(kind.path(case, name)).accepted()


def _model(case: str) -> Manifest:
    return {
        "apiVersion": MODEL_DEPLOYMENT.api_version,
        "kind": MODEL_DEPLOYMENT.kind,
        "metadata": {"name": MODEL, "namespace": case},
        "spec": {**SPEC, "remediation": {"mode": "Act"}},
    }


def _wish(case: str) -> Manifest:
    return {
        "apiVersion": REMEDIATION_REQUEST.api_version,
        "kind": REMEDIATION_REQUEST.kind,
        "metadata": {"name": WISH, "namespace": case},
        "spec": {
            "targetRef": {"name": MODEL},
            "action": "Rollback",
            "parameters": {"toVersion": 1},
            "trigger": {"type": "Human"},
            "requestedBy": ASKER,
        },
    }


@asynccontextmanager
async def _session(kubeconfig: Path, **options: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """As whoever the kubeconfig names."""
    async with await connect(str(kubeconfig), None) as trusted:
        connector = aiohttp.TCPConnector(ssl=trusted.rest_client.ssl_context, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        host = trusted.configuration.host
        async with aiohttp.ClientSession(host, connector=connector, timeout=timeout, **options) as found:
            yield found


@contextmanager
def _beside(plane: ControlPlane, port: int, kill: Callable[[], None]) -> Iterator[tuple[FaultProxy, Rest]]:
    """The proxy at that port and the rest of the cluster, on a loop in a thread of their own."""
    found: list[tuple[FaultProxy, Rest]] = []
    begun, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            as_operator = plane.kubeconfig_for(OPERATOR, "system:serviceaccounts", f"system:serviceaccounts:{SYSTEM}")
            proxy = FaultProxy(await stack.enter_async_context(_session(as_operator, auto_decompress=False)), kill)
            rest = Rest(await stack.enter_async_context(_session(plane.kubeconfig, read_bufsize=1 << 20)))
            for application, at in ((proxy.application(), port), (rest.application(), 0)):
                runner = web.AppRunner(application, access_log=None, shutdown_timeout=0, handler_cancellation=True)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                await web.TCPSite(runner, "127.0.0.1", at).start()
                rest.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            found.append((proxy, rest))
            begun.set()
            await rest.run()

    serving = loop.create_task(serve())

    def run() -> None:
        try:
            loop.run_until_complete(serving)
        except asyncio.CancelledError:
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            begun.set()
            loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    begun.wait(WITHIN)
    try:
        [both] = found
        yield both
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(WITHIN)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "keys").mkdir()
    (folder / "keys" / "k1").write_text(os.urandom(48).hex())
    proxied, health = free_ports(2)
    address = {"name": "proxied", "cluster": {"server": f"http://127.0.0.1:{proxied}"}}
    context = {"name": "proxied", "context": {"cluster": "proxied", "user": "proxied"}}
    config = {"clusters": [address], "contexts": [context], "users": [{"name": "proxied", "user": {}}]}
    (folder / "kubeconfig").write_text(
        yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "proxied", **config})
    )
    environment = {
        **{f"REFIT_{part}_IMAGE": IMAGE for part in ("TRAINER", "PREDICTOR", "MONITOR")},
        "REFIT_KUBECONFIG": str(folder / "kubeconfig"),
        "REFIT_HTTP_PORT": str(health),
        "REFIT_AUDIT_DATABASE": str(folder / "audit.db"),
        "REFIT_AUDIT_KEYS": str(folder / "keys"),
    }
    with guarded() as plane:
        kubectl = kserve.Kubectl(golang.KUBERNETES.binary(plane.plane.places, "kubectl"), plane.plane.kubeconfig)
        definitions = kserve.custom_resource_definitions(golang.HELM.binary(plane.plane.places, "helm"))
        kubectl.apply(definitions)
        names = [f"crd/{one['metadata']['name']}" for one in definitions]
        kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
        operator = WarmOperator(environment, folder / "log")
        with _beside(plane.plane, proxied, operator.kill) as (proxy, rest):
            operator.environment["REFIT_TRACKING_URI"] = rest.url
            found = Stage(plane, proxy, operator, folder / "audit.db")
            try:
                found.prepare("undisturbed")
                found.undisturbed = found.roll_back("undisturbed")
                found.writes = list(proxy.writes)
                yield found
            finally:
                operator.kill()


def test_a_rollback_without_a_fault_is_what_the_others_are_held_against(stage: Stage) -> None:
    found = stage.undisturbed
    wish, model = found.state["wish"], found.state["model"]
    assert (wish["phase"], wish["outcome"]["result"], model["serving"]["version"]) == ("Executed", "RolledBack", 1)
    assert (found.rows, found.changes, found.applied) == (("Intent True", "Outcome True"), 1, 3), (
        "a service for each version"
    )
    assert len(stage.writes) >= LEAST_WRITES


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: str(fault.name).lower().replace("_", " "))
def test_whatever_write_it_comes_at_the_rollback_is_done_once(stage: Stage, fault: Fault) -> None:
    cases = [f"{fault.name.lower().replace('_', '-')}-{number}" for number in range(1, len(stage.writes) + SPARE)]
    stage.prepare(*cases)
    struck = []
    for number, case in enumerate(cases, start=1):
        assert stage.roll_back(case, fault, number) == stage.undisturbed, f"{case}: {stage.proxy.writes}"
        struck.append(stage.proxy.struck)
    assert struck[:LEAST_WRITES] == [True] * LEAST_WRITES
    assert not struck[-1], f"there are more writes than cases: {stage.proxy.writes}"


def test_the_audit_and_the_api_servers_log_agree(stage: Stage) -> None:
    logged = list(events(stage.plane.plane.audit_log.read_text().splitlines()))
    assert disagreements(stage.rows(), logged, OPERATOR) == []
