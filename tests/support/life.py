"""One ModelDeployment in a simulated cluster, and an operator that can be asked for a pass."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fake_cluster import FakeCluster
from refit.api.conditions import find
from refit.api.deploymentstatus import ModelDeploymentStatus, status_of
from refit.api.entries import Entry
from refit.api.measured import LastMeasurement
from refit.api.notices import Notice
from refit.api.times import stamp
from refit.audit import keys
from refit.audit.ledger import Ledger, LedgerError, Row
from refit.core.observed import Config
from refit.kube.cluster import INFERENCE_SERVICE, MODEL_DEPLOYMENT
from refit.shell.echoes import Echoes
from refit.shell.loads import Loads
from refit.shell.metrics import Metrics
from refit.shell.observe import Sources
from refit.shell.oversight import Overseer
from refit.shell.reconcile import Reconciler
from refit.shell.requests import Keys
from refit.shell.tracing import Tracer
from simulated import NAMESPACE, FakeAlerts, FakeEndpoint, FakeGuard, FakeRegistry, end_job, model_deployment, roll_out
from worlds import CONFIG, NOW, SPEC, minutes, result

KEY = (NAMESPACE, "heart")
KEYS = keys.Keys(current="k1", secrets={"k1": b"made up for tests" * 2})


class BreakableLedger(Ledger):
    """The real one, whose disk may be full."""

    broken = ""

    async def write(self, entry: Entry) -> Row:
        if self.broken:
            raise LedgerError(self.broken)
        return await super().write(entry)


@dataclass
class Life:
    """One ModelDeployment in a simulated cluster, and an operator that can be asked for a pass. `loads` is all that an
    operator may remember."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    now: datetime = NOW
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    alerts: FakeAlerts = field(default_factory=FakeAlerts)
    known: Keys = field(default_factory=Keys)
    noticed: Keys = field(default_factory=Keys)
    told: dict[str, Notice] = field(default_factory=dict)
    config: Config = CONFIG

    def __post_init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.tracer = Tracer(SimpleSpanProcessor(self.spans), "test")
        self.endpoint = FakeEndpoint(self.cluster)
        self.loads = Loads(self.cluster, self.endpoint, lambda: self.now)
        self.metrics = Metrics()
        self.guard = FakeGuard()
        self.ledger = BreakableLedger(Path(tempfile.mkdtemp()) / "audit.db", lambda: self.now, lambda: KEYS)

    def tell(self, notices: Iterable[Notice]) -> None:
        """What people would be told, each once, as the outbox has it."""
        self.told |= {notice.key: notice for notice in notices if notice.key not in self.told}

    def declare(self, **changes: Any) -> None:
        """Kubectl apply."""
        spec = copy.deepcopy(SPEC) | changes
        there = self.cluster.objects.get((MODEL_DEPLOYMENT, *KEY))
        if there is None:
            self.cluster.put(model_deployment(spec))
        else:
            there["spec"] = spec
            there["metadata"]["generation"] += 1
            there["metadata"]["resourceVersion"] += "-edited"

    async def look(self, times: int = 1) -> timedelta | None:
        """Passes, each by an operator that has just started: it remembers nothing."""
        again = None
        for _ in range(times):
            overseer = Overseer(cluster=self.cluster, ledger=self.ledger, guard=self.guard, identity=CONFIG.identity)
            reconciler = Reconciler(
                sources=Sources(
                    cluster=self.cluster,
                    endpoint=self.endpoint,
                    alerts=self.alerts,
                    overseer=overseer,
                    loads=self.loads,
                ),
                ledger=self.ledger,
                registry=self.registry,
                teller=self,
                tracer=self.tracer,
                config=self.config,
                metrics=self.metrics,
                clock=lambda: self.now,
                echoes=Echoes(),
                known=self.known,
                noticed=self.noticed,
            )
            self.cluster.now = stamp(self.now)
            again = await reconciler(KEY)
        return again

    def status(self) -> ModelDeploymentStatus:
        return status_of(self.cluster.objects[MODEL_DEPLOYMENT, *KEY])

    def ready(self) -> tuple[str, str]:
        return self.condition("Ready")

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition; empty if it is not there."""
        found = find(self.status().conditions, kind)
        return (found.status.value, found.reason) if found is not None else ("", "")

    def job(self) -> str:
        training = self.status().training
        assert training is not None
        return training.job

    def trained(self, version: int = 1, **changes: Any) -> None:
        """The newest Job answers."""
        training = self.status().training
        assert training is not None
        end_job(self.cluster, training.job, result(training.key, version, **changes))

    def measured(self, answer: Callable[[str], LastMeasurement] | None) -> None:
        """The newest measurement's Job answers; or fails without a word."""
        measurement = self.status().measurement
        assert measurement is not None
        told = answer(measurement.key).model_copy(update={"time": stamp(self.now)}) if answer is not None else None
        failure = "" if told is not None else "BackoffLimitExceeded"
        end_job(self.cluster, measurement.job, told, failure=failure, container="monitor")

    async def measure(self, answer: Callable[[str], LastMeasurement] | None) -> None:
        """Time goes on to the next measurement, which is ordered, made, and taken in."""
        self.now += minutes(5)
        await self.look()
        self.measured(answer)
        await self.look(2)

    async def serve(self, version: int = 1) -> None:
        """From the Job's answer to a version that serves."""
        self.trained(version)
        await self.look(2)
        roll_out(self.cluster)
        await self.look(2)

    def served(self) -> str:
        model = self.cluster.objects[INFERENCE_SERVICE, *KEY]["spec"]["predictor"]["model"]
        return str({item["name"]: item["value"] for item in model["env"]}["REFIT_MODEL_VERSION"])
