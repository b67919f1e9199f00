"""The rest of a live API server's cluster, simulated at the status level: Jobs that answer, services that follow.

Each training of a model registers the next version. The InferenceService's Deployment takes over what the newest
version is told, and one server on loopback answers as that Deployment would, and as MLflow's aliases do.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web
from simulator import GOLDEN, NOW, Api, owner

from refit.api import jobs, meta
from refit.api.results import Parity, Registered, encode
from refit.core.inference import CONTAINER
from refit.core.job import CONTAINER as TRAINER
from refit.kube.cluster import DEPLOYMENT, INFERENCE_SERVICE, JOB, POD, Kind
from worlds import SHA, result

Manifest = dict[str, Any]
Name = tuple[str, str]
"""Namespace and name of a model."""
ANSWER = {"outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [8, 2], "data": [0.25, 0.75] * 8}]}


class Rest:
    """The Job controller, KServe, pods, the store and the registry."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session, self._api = session, Api(session)
        self._trained: Counter[Name] = Counter()
        self._served: dict[Name, dict[str, str]] = {}
        self.url = ""

    def application(self) -> web.Application:
        """What the pods, the store and the registry answer; `url` is where."""
        found = web.Application()
        found.router.add_get("/{namespace}/{name}/refit/v1/model", self._model)
        found.router.add_post("/{namespace}/{name}/v2/models/{_model}/infer", self._infer)
        found.router.add_get("/golden.json", _golden)
        found.router.add_post("/api/2.0/mlflow/registered-models/alias", _alias)
        return found

    async def run(self) -> None:
        """Follows Jobs and InferenceServices until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(JOB, self._train))
            tasks.create_task(self._follow(INFERENCE_SERVICE, self._serve))

    async def _follow(self, kind: Kind, act: Callable[[Manifest], Awaitable[None]]) -> None:
        async for manifest in self._api.watch(kind):
            await act(manifest)

    async def _train(self, job: Manifest) -> None:
        if job.get("status"):
            return
        metadata, template = job["metadata"], job["spec"]["template"]
        model = (metadata["namespace"], metadata["labels"][meta.LABEL_DEPLOYMENT])
        self._trained[model] += 1
        told = encode(result(metadata["annotations"][f"{meta.GROUP}/training-key"], registered=self._registered(model)))
        labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": metadata["name"]}
        named = {"name": f"{metadata['name']}-x7k2p", "namespace": model[0], "labels": labels}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**named, "ownerReferences": [owner(job)]}}
        await self._api.create(POD, {**pod, "spec": template["spec"]})
        ended = {"exitCode": 0, "reason": "Completed", "startedAt": NOW, "finishedAt": NOW, "message": told}
        container = {"name": TRAINER, "image": "trainer", "imageID": "", "ready": False, "restartCount": 0}
        states = [{**container, "state": {"terminated": ended}}]
        await self._api.set_status(POD, pod, {"phase": "Succeeded", "containerStatuses": states})
        complete = [
            {"type": kind, "status": "True", "reason": "CompletionsReached", "lastTransitionTime": NOW}
            for kind in ("SuccessCriteriaMet", "Complete")
        ]
        counts = {"active": 0, "ready": 0, "succeeded": 1, "terminating": 0}
        times = {"startTime": NOW, "completionTime": NOW}
        await self._api.set_status(JOB, job, {**counts, **times, "conditions": complete})

    def _registered(self, model: Name) -> Registered:
        version = self._trained[model]
        return Registered(
            version=version,
            artifact_uri=f"{self.url}/artifacts/{version}/model.onnx",
            artifact_sha256=SHA[version],
            golden_uri=f"{self.url}/golden.json",
            golden_sha256=hashlib.sha256(GOLDEN).hexdigest(),
            parity=Parity(rows=61, max_difference="0.0000001", differing_labels=0),
        )

    async def _serve(self, service: Manifest) -> None:
        metadata, predictor = service["metadata"], service["spec"]["predictor"]
        model = (metadata["namespace"], metadata["name"])
        told = {item["name"]: item.get("value", "") for item in predictor["model"]["env"]}
        if self._served.get(model) == told:
            return
        name = meta.predictor_name(model[1])
        labels = {**metadata["labels"], "app": f"isvc.{name}"}
        container = {"name": CONTAINER, "image": "predictor", "env": predictor["model"]["env"]}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": model[0], "labels": labels, "ownerReferences": [owner(service)]},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": labels["app"]}}, "template": template},
        }
        if model in self._served:
            await self._patch(DEPLOYMENT.path(model[0], name), {"spec": {"template": template}})
        else:
            await self._api.create(DEPLOYMENT, deployment)
            url = f"{self.url}/{model[0]}/{model[1]}"
            await self._api.set_status(INFERENCE_SERVICE, service, {"address": {"url": url}})
        self._served[model] = told
        one = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
        await self._api.set_status(DEPLOYMENT, deployment, {"observedGeneration": 1 << 16, **one})

    async def _patch(self, path: str, patch: Manifest) -> None:
        headers = {"Content-Type": "application/merge-patch+json"}
        async with self._session.patch(path, data=json.dumps(patch), headers=headers) as answer:
            answer.raise_for_status()

    async def _model(self, request: web.Request) -> web.Response:
        told = self._served[request.match_info["namespace"], request.match_info["name"]]
        return web.json_response({"sha256": told[jobs.ARTIFACT_SHA256], "version": told[jobs.MODEL_VERSION]})

    async def _infer(self, request: web.Request) -> web.Response:
        told = self._served[request.match_info["namespace"], request.match_info["name"]]
        return web.json_response({**ANSWER, "model_version": told[jobs.MODEL_VERSION]})


async def _golden(_: web.Request) -> web.Response:
    return web.Response(body=GOLDEN, content_type="application/json")


async def _alias(_: web.Request) -> web.Response:
    return web.json_response({})
