"""The rest of a cluster at the level of status: the Job controller, KServe, pods, endpoints, store and registry.

    python benchmarks/simulator.py KUBECONFIG

Nothing is trained and nothing is served; each Job ends with an answer as soon as it is there, each
InferenceService gets its Deployment, and one server on loopback stands for every endpoint, the artifact
store and MLflow. It is a process of its own, so that what the operator costs can be read off the operator.
The first line of its output is the port of that server.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from refit.api import meta
from refit.api.metrics import Metrics
from refit.api.results import CandidateScore, CheckOutcome, Parity, Registered, TrainingOutcome, TrainingResult
from refit.api.results import encode as encode_result
from refit.api.signature import PROBABILITIES_OUTPUT, Golden
from refit.core.inference import CONTAINER
from refit.core.job import CONTAINER as TRAINER
from refit.kube.cluster import DEPLOYMENT, INFERENCE_SERVICE, JOB, POD, Kind
from refit.kube.live import connect, credentials

Manifest = dict[str, Any]
Act = Callable[[Manifest], Awaitable[None]]

AT_ONCE = 16
LIFE = 3600.0
"""Seconds that a watch may last; no benchmark lasts longer."""
NOW = "2026-11-21T12:00:00Z"
COLUMNS = ("age", "trestbps", "chol", "thalach", "oldpeak", "ca")
GOLDEN = (
    Golden(
        rows=tuple(dict.fromkeys(COLUMNS, 40.0 + row) for row in range(8)),
        answers=((0.25, 0.75),) * 8,
        tolerance=1e-5,
    )
    .model_dump_json()
    .encode()
)


class Api:
    """The API server, as its administrator."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def create(self, kind: Kind, manifest: Manifest) -> None:
        path = kind.path(manifest["metadata"]["namespace"])
        async with self._session.post(path, json=manifest) as answer:
            # What was made before a restart is still there.
            assert answer.status in (HTTPStatus.CREATED, HTTPStatus.CONFLICT), await answer.text()

    async def set_status(self, kind: Kind, manifest: Manifest, status: Manifest) -> None:
        metadata = manifest["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"], "status")
        headers = {"Content-Type": "application/merge-patch+json"}
        async with self._session.patch(path, data=json.dumps({"status": status}), headers=headers) as answer:
            assert answer.status == HTTPStatus.OK, await answer.text()

    async def watch(self, kind: Kind) -> AsyncIterator[Manifest]:
        """Every object that is there, and each one again when it changes."""
        path = f"/apis/{kind.api_version}/{kind.plural}"
        query = {"watch": "true", "labelSelector": f"{meta.LABEL_MANAGED_BY}={meta.MANAGED_BY}"}
        timeout = aiohttp.ClientTimeout(total=LIFE)
        while True:
            async with self._session.get(path, params=query, timeout=timeout) as answer:
                if answer.status == HTTPStatus.TOO_MANY_REQUESTS:  # the kind was defined a moment ago
                    await asyncio.sleep(1)
                    continue
                assert answer.status == HTTPStatus.OK, await answer.text()
                async for line in answer.content:
                    event = json.loads(line)
                    if event["type"] in ("ADDED", "MODIFIED"):
                        yield event["object"]


def digest(namespace: str, name: str) -> str:
    """The SHA-256 that the one version of a model is said to have."""
    return hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()


def answer_of(key: str, namespace: str, name: str, url: str) -> str:
    """What the trainer leaves behind; about as long as a real one."""
    return encode_result(
        TrainingResult(
            key=key,
            outcome=TrainingOutcome.REGISTERED,
            reason="Registered",
            message="LogisticRegression f1 0.824 (minimum 0.70), the best of 4 candidates on 61 held-out rows",
            run_id="0123456789abcdef0123456789abcdef",
            algorithm="LogisticRegression",
            metric="f1",
            value="0.824",
            metrics=Metrics(accuracy="0.836", precision="0.839", recall="0.81", f1="0.824", roc_auc="0.914"),
            rows=303,
            data_sha256="d" * 64,
            checks=tuple(CheckOutcome(name=check, passed=True) for check in ("schema", "columns", "target", "rows")),
            candidates=tuple(CandidateScore(algorithm=name, mean="0.81", deviation="0.03") for name in "ABCD"),
            fit_seconds="2.31",
            total_seconds="7.9",
            registered=Registered(
                version=1,
                artifact_uri=f"{url}/artifacts/{namespace}/{name}/model.onnx",
                artifact_sha256=digest(namespace, name),
                golden_uri=f"{url}/golden.json",
                golden_sha256=hashlib.sha256(GOLDEN).hexdigest(),
                parity=Parity(rows=61, max_difference="0.0000001", differing_labels=0),
            ),
        )
    )


def job_controller(api: Api, url: str) -> Act:
    """A Job is active as soon as it is there, and complete when its pod has answered."""

    async def follow(job: Manifest) -> None:
        if job.get("status"):
            return
        metadata = job["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        await api.set_status(JOB, job, {"startTime": NOW, "active": 1, "ready": 1, "terminating": 0})
        template = job["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-x7k2p",
                "namespace": namespace,
                "labels": {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": name},
                "ownerReferences": [owner(job)],
            },
            "spec": template["spec"],
        }
        await api.create(POD, pod)
        deployment = metadata["labels"][meta.LABEL_DEPLOYMENT]
        key = metadata["annotations"][f"{meta.GROUP}/training-key"]
        ended = {
            "exitCode": 0,
            "reason": "Completed",
            "startedAt": NOW,
            "finishedAt": NOW,
            "message": answer_of(key, namespace, deployment, url),
        }
        container = {"name": TRAINER, "image": "trainer", "imageID": "", "ready": False, "restartCount": 0}
        states = [{**container, "state": {"terminated": ended}}]
        await api.set_status(POD, pod, {"phase": "Succeeded", "containerStatuses": states})
        complete = [
            {"type": kind, "status": "True", "reason": "CompletionsReached", "lastTransitionTime": NOW}
            for kind in ("SuccessCriteriaMet", "Complete")
        ]
        await api.set_status(
            JOB, job, {"active": 0, "ready": 0, "succeeded": 1, "completionTime": NOW, "conditions": complete}
        )

    return follow


def kserve(api: Api, url: str) -> Act:
    """An InferenceService gets its address and its Deployment, whose one pod is available at once."""

    async def follow(service: Manifest) -> None:
        if service.get("status"):
            return
        metadata, predictor = service["metadata"], service["spec"]["predictor"]
        namespace, name = metadata["namespace"], metadata["name"]
        app = {"app": f"isvc.{meta.predictor_name(name)}"}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": meta.predictor_name(name),
                "namespace": namespace,
                "labels": {**metadata["labels"], **app},
                "ownerReferences": [owner(service)],
            },
            "spec": {
                "replicas": predictor["minReplicas"],
                "selector": {"matchLabels": app},
                "template": {
                    "metadata": {"labels": {**metadata["labels"], **app}},
                    "spec": {
                        "containers": [
                            {
                                "name": CONTAINER,
                                "image": "predictor",
                                "env": predictor["model"]["env"],
                                "resources": predictor["model"]["resources"],
                            }
                        ]
                    },
                },
            },
        }
        await api.create(DEPLOYMENT, deployment)
        await api.set_status(INFERENCE_SERVICE, service, {"address": {"url": f"{url}/{namespace}/{name}"}})
        one = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
        await api.set_status(DEPLOYMENT, deployment, {"observedGeneration": 1, **one})

    return follow


def owner(manifest: Manifest) -> Manifest:
    metadata = manifest["metadata"]
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }


def application() -> web.Application:
    """Every endpoint, the artifact store, and MLflow's alias."""

    async def model(request: web.Request) -> web.Response:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        return web.json_response({"name": name, "version": "1", "sha256": digest(namespace, name)})

    async def infer(request: web.Request) -> web.Response:
        asked = await request.json()
        rows = asked["inputs"][0]["shape"][0]
        output = {"name": PROBABILITIES_OUTPUT, "datatype": "FP32", "shape": [rows, 2], "data": [0.25, 0.75] * rows}
        return web.json_response({"model_name": request.match_info["name"], "outputs": [output]})

    async def golden(_: web.Request) -> web.Response:
        return web.Response(body=GOLDEN, content_type="application/json")

    async def alias(request: web.Request) -> web.Response:
        await request.json()
        return web.json_response({})

    found = web.Application()
    found.router.add_get("/{namespace}/{name}/refit/v1/model", model)
    found.router.add_post("/{namespace}/{name}/v2/models/{_model}/infer", infer)
    found.router.add_get("/golden.json", golden)
    found.router.add_post("/api/2.0/mlflow/registered-models/alias", alias)
    return found


async def controller(api: Api, kind: Kind, act: Act) -> None:
    """Each object once, when it is first seen; several objects at a time."""
    seen: set[str] = set()
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(manifest: Manifest) -> None:
        async with slots:
            await act(manifest)

    async with asyncio.TaskGroup() as tasks:
        async for manifest in api.watch(kind):
            uid = manifest["metadata"]["uid"]
            if uid not in seen:
                seen.add(uid)
                tasks.create_task(one(manifest))


async def simulate(kubeconfig: Path) -> None:
    runner = web.AppRunner(application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    print(port, flush=True)
    url = f"http://127.0.0.1:{port}"
    trusted = await connect(str(kubeconfig), None)
    connector = aiohttp.TCPConnector(ssl=trusted.rest_client.ssl_context, limit=2 * AT_ONCE)
    host = trusted.configuration.host
    headers = {"Authorization": (await credentials(trusted)).authorization}
    async with (
        trusted,
        aiohttp.ClientSession(host, connector=connector, headers=headers, read_bufsize=1 << 20) as session,
        asyncio.TaskGroup() as tasks,
    ):
        api = Api(session)
        tasks.create_task(controller(api, JOB, job_controller(api, url)))
        tasks.create_task(controller(api, INFERENCE_SERVICE, kserve(api, url)))


if __name__ == "__main__":
    asyncio.run(simulate(Path(sys.argv[1])))
