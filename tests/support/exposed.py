"""The metrics of all parts, as a Prometheus scrapes them: real registries, in which more has happened at each look."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from intake_server import free_port
from noticed import configured, notice, settings
from refit.api.dataspec import ColumnType
from refit.api.deploymentstatus import ModelDeploymentStatus, VersionState
from refit.api.modeldeployment import ModelDeploymentSpec, Task
from refit.api.remediationrequest import (
    Action,
    RemediationRequestSpec,
    RemediationRequestStatus,
    RequestPhase,
    TargetRef,
    Trigger,
    TriggerType,
)
from refit.api.signature import InputColumn, Signature
from refit.core.observed import RequestSeen
from refit.core.serving import serving_status
from refit.intake.metrics import IntakeMetrics
from refit.notify.notifier import Notifier
from refit.notify.outbox import Outbox
from refit.shell.metrics import Metrics as OperatorMetrics
from refit_cluster.shell import wait_until
from refit_collector.measurements import Gauges, Measured
from refit_collector.metrics import Metrics as CollectorMetrics
from refit_predictor.graph import Answers
from refit_predictor.intake import Rows
from refit_predictor.metrics import Metrics as PredictorMetrics
from refit_predictor.tally import LogMetrics, Reason, Tally
from worlds import SPEC, WATCHED, deployment, record

MODEL = ("ml", "heart")
SERVED = ModelDeploymentStatus(serving=serving_status((record(3, VersionState.SERVING),)))
PLACE = {"namespace": "ml", "pod": "heart-1"}
CADVISOR = """\
container_memory_working_set_bytes{container="kserve-container",namespace="ml",pod="heart-1"} 9e8
container_spec_memory_limit_bytes{container="kserve-container",namespace="ml",pod="heart-1"} 1e9
"""
"""As a kubelet tells of a predictor that uses nine tenths of its memory."""


def request(phase: RequestPhase, now: datetime) -> RequestSeen:
    """A retraining in that phase."""
    return RequestSeen(
        name="heart-retrain-1",
        uid="u",
        generation=1,
        resource_version="1",
        created=now - timedelta(hours=2),
        ours=True,
        spec=RemediationRequestSpec(
            target_ref=TargetRef(name="heart"),
            action=Action.RETRAIN,
            trigger=Trigger(type=TriggerType.HUMAN),
            requested_by="bob",
        ),
        status=RemediationRequestStatus(phase=phase),
    )


@dataclass
class Parts:
    """An operator, a collector and a predictor: just their counting."""

    measurement: dict[str, Any]
    folder: Path
    looks: int = 0
    operator: OperatorMetrics = field(default_factory=OperatorMetrics)
    collector: CollectorMetrics = field(default_factory=CollectorMetrics)
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        signature = Signature(
            task=Task.CLASSIFICATION,
            target="y",
            inputs=(InputColumn(name="age", type=ColumnType.NUMBER),),
            classes=("0", "1"),
        )
        self.predictor = PredictorMetrics(signature, "heart", "3", "0" * 64)
        self.intake = IntakeMetrics(self.operator.registry)
        self.gauges = Gauges(lambda: 0)
        self.gauges.tell(*MODEL, Measured(int(datetime.now(UTC).timestamp() * 1e6), self.measurement))
        self.collector.registry.register(self.gauges)
        self.operator.watch_queue(lambda: 3, lambda: 0.5, lambda: 0.2)
        self.operator.audit.writable.set(1)
        self.operator.audit.exported.labels("ConfigMap").set(1)
        configuration = configured(
            self.folder, settings({"name": "team", "slack": {"urlFile": "url"}}), url="http://127.0.0.1:9"
        )
        self.outbox = Outbox(self.folder / "outbox.db")
        self.outbox.take([notice()], configuration, datetime.now(UTC) - timedelta(minutes=1))
        self.notifier = Notifier(
            outbox=self.outbox,
            configuration=configuration,
            cluster="test",
            sender=None,  # type: ignore[arg-type]  # nothing is sent here
            clock=lambda: datetime.now(UTC),
            registry=self.operator.registry,
        )

    def looked_at(self) -> None:
        """Some more of everything."""
        self.looks += 1
        self.predictor.answered(
            "v2",
            0.004,
            Rows(count=2, numbers=[], words=[], missing={0: 1}, unknown={}),
            Answers(np.zeros((1, 2), np.float32), positions=[1]),
        )
        for code in (422, 500):
            self.predictor.refused("v2", 0.002, code)
        self.tally.drop(Reason.QUEUE)
        for count in (self.collector.events, self.collector.duplicates, self.collector.labels):
            count.labels(*MODEL).inc()
        self.collector.rejected.inc()
        self.collector.disk.set(4096 * self.looks)
        with self.operator.passes.time():
            pass
        self.operator.count_request("GET", "200")
        self.operator.created({"kind": "Job", "metadata": {"labels": {"refit.dev/role": "trainer"}}})
        self.operator.created({"kind": "RemediationRequest", "spec": {"action": "Retrain"}})
        self.intake.alerts.labels("stored").inc()
        self.notifier.metrics.deliveries.labels("team", "sent").inc()
        now = datetime.now(UTC)
        asked = [request(phase, now) for phase in (RequestPhase.AWAITING_APPROVAL, RequestPhase.EXECUTING)]
        seen = deployment(spec=ModelDeploymentSpec.model_validate(SPEC | WATCHED), status=SERVED)
        self.operator.models.saw(replace(seen, namespace=MODEL[0]), asked)
        self.operator.models.ended(asked[1], RemediationRequestStatus(phase=RequestPhase.EXECUTED), now)
        self.operator.saw(MODEL, SERVED)

    def page(self, path: str) -> bytes:
        """What that part exposes."""
        registry = CollectorRegistry()
        match path:
            case "/operator":
                self.looked_at()
                return generate_latest(self.operator.registry)
            case "/collector":
                return generate_latest(self.collector.registry)
            case "/predictor":
                registry.register(self.predictor)
                registry.register(LogMetrics(self.tally, "heart", "3"))
                return generate_latest(registry)
            case _:
                return CADVISOR.encode()


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    url: str

    def ask(self, expression: str, **more: str) -> list[dict[str, Any]]:
        """What the expression gives now; raises AssertionError with Prometheus' words."""
        with urlopen(f"{self.url}/api/v1/query?{urlencode({'query': expression, **more})}") as answer:  # noqa: S310  # of our own
            found = json.load(answer)
        assert found["status"] == "success", found
        series: list[dict[str, Any]] = found["data"]["result"]
        return series


@contextmanager
def prometheus(program: Path, rules: Path, measurement: dict[str, Any], folder: Path) -> Iterator[Prometheus]:
    """The real one as a process, with our rules, once it has looked at all parts a few times."""
    made: list[Parts] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            body = made[0].page(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    pages = HTTPServer(("127.0.0.1", 0), Page)

    def serve() -> None:
        made.append(Parts(measurement, folder))  # SQLite wants to be used where it was opened
        pages.serve_forever()

    threading.Thread(target=serve, daemon=True).start()
    labels = {"refit-predictors": PLACE}
    jobs = {
        "refit-operator": "operator",
        "refit-collector": "collector",
        "refit-predictors": "predictor",
        "cadvisor": "c",
    }
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {
                "job_name": job,
                "honor_labels": True,
                "metrics_path": f"/{path}",
                "static_configs": [{"targets": [f"127.0.0.1:{pages.server_port}"], "labels": labels.get(job, {})}],
            }
            for job, path in jobs.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(program),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        found = Prometheus(f"http://{address}")
        try:
            wait_until(
                lambda: bool(made) and made[0].looks >= 5, what="five looks of Prometheus", within=60, pause=0.2
            )  # enough for a rate
            yield found
        finally:
            process.terminate()
            pages.shutdown()
