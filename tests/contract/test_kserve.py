"""What KServe's real controller makes of the objects that Refit applies: a Deployment, a Service, the pods' admission.

Nothing here makes pods of a Deployment; a pod is made of its template by hand, and only as a dry run.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from refit.api import jobs, meta
from refit.api.deploymentstatus import Artifact, ModelDeploymentStatus, VersionRecord, VersionState
from refit.api.modeldeployment import spec_of
from refit.core.inference import canary_service, covers, inference_service, serving_runtime
from refit.core.observed import Config, Deployment, Manifest
from refit.core.splitter import inference_graph, weight_of
from refit_cluster.client import Client
from refit_cluster.controlplane import ControlPlane
from refit_cluster.shell import wait_until

pytestmark = pytest.mark.contract

NAMESPACE = "serving"
SERVING = f"/apis/serving.kserve.io/v1beta1/namespaces/{NAMESPACE}/inferenceservices"
RUNTIMES = f"/apis/serving.kserve.io/v1alpha1/namespaces/{NAMESPACE}/servingruntimes"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
SCALERS = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers"
SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"

IMAGE = "localhost:5001/refit-predictor@sha256:" + "1" * 64
MODEL = "http://mlflow.refit-system:5000/artifacts/model.onnx"
CONFIG = Config(trainer_image="trainer", predictor_image=IMAGE, tracking_uri="http://mlflow.refit-system:5000")
VERSION_3 = VersionRecord(
    version=3,
    state=VersionState.CANDIDATE,
    key="0123456789",
    spec_hash="0123456789",
    artifact=Artifact(uri=MODEL, sha256="a" * 64),
    golden=Artifact(uri="http://mlflow.refit-system:5000/artifacts/golden.json", sha256="b" * 64),
    algorithm="XGBoost",
    metric="f1",
    value="0.81",
    run_id="r3",
    data_sha256="c" * 64,
    create_time="2026-11-21T13:00:00Z",
)
VERSION_4 = VERSION_3.model_copy(update={"version": 4, "artifact": Artifact(uri=f"{MODEL}?4", sha256="d" * 64)})


@pytest.fixture(scope="module")
def cluster(plane: ControlPlane, admin: Client) -> Client:
    """The API server with KServe, and a namespace that enforces the Pod Security Standard `restricted`."""
    plane.start_kserve()
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    admin.create("/api/v1/namespaces", namespace).accepted()
    return admin


@pytest.fixture
def heart(cluster: Client, sample: Mapping[str, Mapping[str, Any]]) -> Iterator[Deployment]:
    """A ModelDeployment; what was applied for it is gone at the end."""
    yield Deployment(
        created=datetime(2026, 11, 21, tzinfo=UTC),
        name="heart",
        namespace=NAMESPACE,
        uid="6a1cf8de-30c1-4ba1-9d0a-0c2f3f0cbb57",
        generation=1,
        resource_version="1",
        spec=spec_of(dict(sample["minimal"])),
        status=ModelDeploymentStatus(),
    )
    for path in (f"{SERVING}/heart", f"{RUNTIMES}/heart-refit", *made("heart")):
        cluster.delete(path)
        gone(cluster, path)


def made(name: str) -> tuple[str, ...]:
    """Nothing collects garbage here, so what KServe made is deleted by hand."""
    predictor = meta.predictor_name(name)
    return f"{DEPLOYMENTS}/{predictor}", f"{SERVICES}/{predictor}", f"{SCALERS}/{predictor}"


def gone(cluster: Client, path: str) -> None:
    wait_until(lambda: cluster.get(path).code == 404, what=f"the end of {path}", within=30, pause=0.05)


def with_serving(deployment: Deployment, **serving: Any) -> Deployment:
    spec = {**deployment.spec.wire(), "serving": serving}
    return dataclasses.replace(deployment, spec=spec_of({"spec": spec}))


def apply(cluster: Client, deployment: Deployment, record: VersionRecord = VERSION_3) -> tuple[Manifest, Manifest]:
    """Applies runtime and service as the operator does; returns both as stored once KServe has seen them."""
    runtime, service = serving_runtime(deployment, CONFIG), inference_service(deployment, record, CONFIG)
    runtime_path, service_path = f"{RUNTIMES}/{runtime['metadata']['name']}", f"{SERVING}/{deployment.name}"
    cluster.apply(runtime_path, runtime, meta.FIELD_MANAGER).accepted()
    cluster.apply(service_path, service, meta.FIELD_MANAGER).accepted()
    predictor_with(cluster, deployment.name, env_of(service["spec"]["predictor"]["model"])[jobs.ARTIFACT_SHA256])
    return cluster.get(runtime_path).accepted(), cluster.get(service_path).accepted()


def env_of(container: Mapping[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def container_of(deployment: Mapping[str, Any]) -> dict[str, Any]:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(only)


def predictor_with(cluster: Client, name: str, sha256: str) -> dict[str, Any]:
    """The Deployment that KServe made, once its template names the artifact."""
    path = f"{DEPLOYMENTS}/{meta.predictor_name(name)}"

    def there() -> bool:
        found = cluster.get(path)
        return found.code == 200 and env_of(container_of(found.body))[jobs.ARTIFACT_SHA256] == sha256

    wait_until(there, what=f"a Deployment of {sha256[:8]}", within=30, pause=0.05)
    return cluster.get(path).accepted()


SECURE = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
SECURE_POD = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "fsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def probe(path: str, **rest: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": 8080, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "successThreshold": 1,
        **rest,
    }


LABELS = {
    "app.kubernetes.io/managed-by": "refit",
    "refit.dev/deployment": "heart",
    "refit.dev/role": "predictor",
    "app": "isvc.heart-predictor",
    "component": "predictor",
    "serving.kserve.io/inferenceservice": "heart",
}
CONTAINER = {
    "name": "kserve-container",
    "image": IMAGE,
    "imagePullPolicy": "IfNotPresent",
    "env": [
        {"name": "REFIT_MODEL_NAME", "value": "heart"},
        {"name": "REFIT_MODEL_VERSION", "value": "3"},
        {"name": "REFIT_ARTIFACT_SHA256", "value": "a" * 64},
        {"name": "REFIT_REQUEST_LOG", "value": '{"mode":"None","mask":[]}'},
        {"name": "REFIT_SPILL_DIR", "value": "/tmp/request-log"},  # noqa: S108  # of the container
        {"name": "INFERENCE_SERVICE_NAME", "value": "heart"},
    ],
    "ports": [{"containerPort": 8080, "protocol": "TCP"}],
    "readinessProbe": probe("/v2/models/heart/ready", periodSeconds=1, failureThreshold=3),
    "startupProbe": probe("/v2/models/heart/ready", periodSeconds=1, failureThreshold=120),
    "livenessProbe": probe("/v2/health/live", periodSeconds=10, timeoutSeconds=5, failureThreshold=3),
    "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    "securityContext": SECURE,
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  # the container's own
}


def test_the_container_is_the_runtimes_with_the_versions_environment(cluster: Client, heart: Deployment) -> None:
    apply(cluster, heart)
    assert container_of(predictor_with(cluster, "heart", "a" * 64)) == CONTAINER


def test_the_deployment_carries_our_labels_and_takes_no_pod_before_another_is_ready(
    cluster: Client, heart: Deployment
) -> None:
    apply(cluster, heart)
    found = predictor_with(cluster, "heart", "a" * 64)
    template = found["spec"]["template"]
    assert (found["metadata"]["labels"], template["metadata"]["labels"]) == (LABELS, LABELS)
    assert found["spec"]["replicas"] == 1
    assert found["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    pod = template["spec"]
    assert (pod["securityContext"], pod["automountServiceAccountToken"]) == (SECURE_POD, False)
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {}}]


def test_the_service_leads_to_the_pods_and_its_address_is_in_the_status(cluster: Client, heart: Deployment) -> None:
    apply(cluster, heart)
    service = cluster.get(f"{SERVICES}/heart-predictor").accepted()
    assert service["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 8080}]
    assert service["spec"]["selector"] == {"app": "isvc.heart-predictor"}
    address = f"http://heart-predictor.{NAMESPACE}.svc.cluster.local"
    wait_until(
        lambda: (
            (cluster.get(f"{SERVING}/heart").accepted().get("status") or {}).get("address", {}).get("url") == address
        ),
        what=f"the address {address}",
        within=30,
        pause=0.05,
    )


@pytest.mark.parametrize(
    "serving",
    [
        pytest.param({}, id="with the defaults"),
        pytest.param({"minReplicas": 2, "maxReplicas": 2}, id="with two replicas"),
        pytest.param({"minReplicas": 1, "maxReplicas": 3}, id="when it scales"),
        pytest.param({"resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}}}, id="with half a processor"),
        pytest.param({"resources": {"limits": {"cpu": 1, "memory": 2147483648}}}, id="with numbers"),
        pytest.param({"resources": {"limits": {"cpu": "1.50", "memory": "1000M"}}}, id="with zeros at the end"),
        pytest.param({"resources": {"limits": {}}}, id="with no resources at all"),
    ],
)
def test_applying_again_changes_nothing(cluster: Client, heart: Deployment, serving: dict[str, Any]) -> None:
    deployment = with_serving(heart, **serving)
    runtime, service = apply(cluster, deployment)
    assert covers(runtime, serving_runtime(deployment, CONFIG))
    assert covers(service, inference_service(deployment, VERSION_3, CONFIG))
    again = apply(cluster, deployment)
    assert [one["metadata"]["generation"] for one in again] == [1, 1]
    assert [one["spec"] for one in again] == [runtime["spec"], service["spec"]]


def test_a_new_version_is_a_new_template(cluster: Client, heart: Deployment) -> None:
    apply(cluster, heart)
    apply(cluster, heart, VERSION_4)
    found = predictor_with(cluster, "heart", "d" * 64)
    template = found["spec"]["template"]
    assert env_of(container_of(found))["REFIT_MODEL_VERSION"] == "4"
    source = "internal.serving.kserve.io/storage-initializer-sourceuri"
    assert (found["metadata"]["generation"], template["metadata"]["annotations"][source]) == (2, f"{MODEL}?4")


def test_a_new_image_in_the_runtime_reaches_the_deployment(cluster: Client, heart: Deployment) -> None:
    apply(cluster, heart)
    newer = dataclasses.replace(CONFIG, predictor_image=IMAGE.replace("1" * 64, "2" * 64))
    cluster.apply(f"{RUNTIMES}/heart-refit", serving_runtime(heart, newer), meta.FIELD_MANAGER).accepted()
    wait_until(
        lambda: (
            container_of(cluster.get(f"{DEPLOYMENTS}/heart-predictor").accepted())["image"] == newer.predictor_image
        ),
        what="the new image in the Deployment",
        within=30,
        pause=0.05,
    )


def test_a_deployment_that_scales_has_a_scaler_and_one_that_does_not_has_none(
    cluster: Client, heart: Deployment
) -> None:
    path = f"{SCALERS}/heart-predictor"
    apply(cluster, with_serving(heart, minReplicas=2, maxReplicas=5))
    wait_until(lambda: cluster.get(path).code == 200, what="an autoscaler", within=30, pause=0.05)
    spec = cluster.get(path).accepted()["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    target = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    assert spec["metrics"] == [{"type": "Resource", "resource": target}]
    apply(cluster, with_serving(heart, minReplicas=1, maxReplicas=1))
    gone(cluster, path)
    wait_until(
        lambda: cluster.get(f"{DEPLOYMENTS}/heart-predictor").accepted()["spec"]["replicas"] == 1,
        what="one replica",
        within=30,
        pause=0.05,
    )


def pod_of(deployment: Mapping[str, Any]) -> dict[str, Any]:
    template = deployment["spec"]["template"]
    metadata = {"generateName": "heart-", **{key: template["metadata"][key] for key in ("labels", "annotations")}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": dict(template["spec"])}


def test_a_pod_gets_its_model_from_an_init_container_and_is_restricted(cluster: Client, heart: Deployment) -> None:
    apply(cluster, heart)
    answer = cluster.create(PODS, pod_of(predictor_with(cluster, "heart", "a" * 64)), dryRun="All")
    pod = answer.accepted()["spec"]
    (fetching,) = pod["initContainers"]
    assert (fetching["name"], fetching["args"]) == ("storage-initializer", [MODEL, jobs.MODEL_PATH])
    assert fetching["volumeMounts"] == [{"name": "kserve-provision-location", "mountPath": jobs.MODEL_PATH}]
    assert fetching["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container_of({"spec": {"template": {"spec": pod}}}) == {
        **CONTAINER,
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # the container's own
            {"name": "kserve-provision-location", "mountPath": jobs.MODEL_PATH, "readOnly": True},
        ],
    }


def test_the_same_pod_without_its_security_contexts_is_refused(cluster: Client, heart: Deployment) -> None:
    apply(cluster, heart)
    pod = pod_of(predictor_with(cluster, "heart", "a" * 64))
    bare = [{key: value for key, value in one.items() if key != "securityContext"} for one in pod["spec"]["containers"]]
    pod["spec"] = {**pod["spec"], "securityContext": {}, "containers": bare}
    answer = cluster.create(PODS, pod, dryRun="All")
    assert (answer.code, 'violates PodSecurity "restricted' in answer.message) == (403, True)


GRAPHS = f"/apis/serving.kserve.io/v1alpha1/namespaces/{NAMESPACE}/inferencegraphs"
MAIN = f"http://heart-predictor.{NAMESPACE}.svc.cluster.local"


@pytest.fixture
def graph(cluster: Client, heart: Deployment) -> Iterator[Deployment]:
    """A ModelDeployment whose graph is gone at the end, with what KServe made of it."""
    yield heart
    name = meta.router_name(heart.name)
    for path in (f"{GRAPHS}/{name}", f"{DEPLOYMENTS}/{name}", f"{SERVICES}/{name}"):
        cluster.delete(path)
        gone(cluster, path)


def share(cluster: Client, deployment: Deployment, weight: int) -> tuple[Manifest, dict[str, Any]]:
    """Applies the graph as the operator does; returns it as stored, and the router's Deployment that tells of it."""
    name, wanted = meta.router_name(deployment.name), inference_graph(deployment, MAIN, weight)
    cluster.apply(f"{GRAPHS}/{name}", wanted, meta.FIELD_MANAGER).accepted()

    def there() -> bool:
        found = cluster.get(f"{DEPLOYMENTS}/{name}")
        return found.code == 200 and told(found.body) == weight

    wait_until(there, what=f"a router that gives the candidate {weight} %", within=30, pause=0.05)
    return cluster.get(f"{GRAPHS}/{name}").accepted(), cluster.get(f"{DEPLOYMENTS}/{name}").accepted()


def told(router: Mapping[str, Any]) -> int:
    """The weight in the arguments of the router's container."""
    return weight_of(json.loads(container_of(router)["args"][1]))


def test_a_graph_becomes_a_router_that_is_told_the_whole_of_it(cluster: Client, graph: Deployment) -> None:
    stored, router = share(cluster, graph, 10)
    assert covers(stored, inference_graph(graph, MAIN, 10))
    container = container_of(router)
    assert (container["args"][0], container["resources"], router["spec"]["replicas"]) == (
        "--graph-json",
        {"limits": {"cpu": "1", "memory": "256Mi"}, "requests": {"cpu": "20m", "memory": "32Mi"}},
        1,
    )
    labels = router["spec"]["template"]["metadata"]["labels"]
    assert (labels["refit.dev/role"], labels["app"]) == ("router", "isvc.heart-router")
    service = cluster.get(f"{SERVICES}/heart-router").accepted()
    assert service["spec"]["ports"][0] == {"name": "heart-router", "port": 80, "protocol": "TCP", "targetPort": 8080}


def test_another_share_is_another_template_and_the_same_share_is_none(cluster: Client, graph: Deployment) -> None:
    share(cluster, graph, 0)
    first, _ = share(cluster, graph, 25)
    again, router = share(cluster, graph, 25)
    assert (first["metadata"]["generation"], again["metadata"]["generation"], told(router)) == (2, 2, 25)
    assert not covers(again, inference_graph(graph, MAIN, 0))


def test_a_candidate_stands_beside_what_serves(cluster: Client, heart: Deployment) -> None:
    apply(cluster, heart)
    name = meta.canary_name("heart")
    wanted = canary_service(heart, VERSION_4, 10, CONFIG)
    cluster.apply(f"{SERVING}/{name}", wanted, meta.FIELD_MANAGER).accepted()
    found = predictor_with(cluster, name, "d" * 64)
    assert (env_of(container_of(found))["REFIT_MODEL_NAME"], found["spec"]["replicas"]) == ("heart", 1)
    assert covers(cluster.get(f"{SERVING}/{name}").accepted(), wanted)
    assert env_of(container_of(predictor_with(cluster, "heart", "a" * 64)))["REFIT_MODEL_VERSION"] == "3"
    for path in (f"{SERVING}/{name}", *made(name)):
        cluster.delete(path)
        gone(cluster, path)


def test_where_the_standard_restricted_holds_the_routers_pod_is_refused(cluster: Client, graph: Deployment) -> None:
    """KServe names no seccomp profile for it; it is why the condition Canary may say CanaryUnavailable."""
    _, router = share(cluster, graph, 0)
    template = router["spec"]["template"]
    metadata = {"generateName": "router-", "labels": template["metadata"]["labels"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": dict(template["spec"])}
    answer = cluster.create(PODS, pod, dryRun="All")
    assert (answer.code, "seccompProfile" in answer.message) == (403, True)
