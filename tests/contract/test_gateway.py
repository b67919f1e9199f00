"""The gateway against a live API server: each verb, and which error each refusal becomes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from refit.kube.cluster import (
    EVENT,
    JOB,
    MODEL_DEPLOYMENT,
    ClusterError,
    ConflictError,
    Kind,
    KindMissingError,
    RefusedError,
    UnreachableError,
)
from refit.kube.live import LiveCluster, connect
from refit_cluster.client import Client
from refit_cluster.controlplane import ControlPlane

pytestmark = pytest.mark.contract

UNKNOWN = Kind("nobody.dev", "v1", "things", "Thing")
JOB_MANIFEST: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "gateway", "namespace": "default", "labels": {"refit.dev/role": "gateway"}},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}},
}


@pytest.fixture
async def gateway(plane: ControlPlane, admin: Client) -> AsyncIterator[LiveCluster]:
    assert admin
    api = await connect(str(plane.kubeconfig), None)
    async with api:
        yield LiveCluster(api)


@pytest.fixture
def declared(admin: Client, sample: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """A ModelDeployment that is there."""
    manifest = next(found for found in sample.values() if found["kind"] == "ModelDeployment")
    body = {**manifest, "metadata": {"name": "gateway", "namespace": "default"}}
    path = "/apis/refit.dev/v1alpha1/namespaces/default/modeldeployments"
    admin.delete(f"{path}/gateway")
    return admin.create(path, body).accepted()


def status_of(declared: Mapping[str, Any], message: str) -> dict[str, Any]:
    return {
        "apiVersion": declared["apiVersion"],
        "kind": declared["kind"],
        "metadata": {
            "name": "gateway",
            "namespace": "default",
            "resourceVersion": declared["metadata"]["resourceVersion"],
        },
        "status": {
            "observedGeneration": 1,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "Training",
                    "message": message,
                    "observedGeneration": 1,
                    "lastTransitionTime": "2026-11-21T12:00:00Z",
                }
            ],
        },
    }


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("plain", id="plain words"),
        pytest.param("Prüfung, 检查, \N{GRINNING FACE}", id="characters of every plane"),
        pytest.param('quotes " and \\ and\nlines: {a: b}', id="what YAML would take for something else"),
    ],
)
async def test_a_status_is_read_back_as_it_was_written(
    gateway: LiveCluster, declared: Mapping[str, Any], message: str
) -> None:
    await gateway.apply_status(status_of(declared, message))
    found = await gateway.get(MODEL_DEPLOYMENT, "default", "gateway")
    assert found is not None
    assert [condition["message"] for condition in found["status"]["conditions"]] == [message]
    assert found["spec"] == declared["spec"]


async def test_a_status_never_lands_on_an_object_that_changed_since_it_was_read(
    gateway: LiveCluster, declared: Mapping[str, Any]
) -> None:
    await gateway.patch(MODEL_DEPLOYMENT, "default", "gateway", {"metadata": {"annotations": {"a": "b"}}})
    with pytest.raises(ConflictError):
        await gateway.apply_status(status_of(declared, "late"))


async def test_a_status_never_lands_on_a_later_object_of_the_same_name(
    gateway: LiveCluster, declared: Mapping[str, Any]
) -> None:
    await gateway.delete(MODEL_DEPLOYMENT, "default", "gateway")
    fresh = {name: declared[name] for name in ("apiVersion", "kind", "spec")}
    await gateway.create({**fresh, "metadata": {"name": "gateway", "namespace": "default"}})
    with pytest.raises(ConflictError):
        await gateway.apply_status(status_of(declared, "late"))


async def test_the_life_of_an_object(gateway: LiveCluster) -> None:
    await gateway.delete(JOB, "default", "gateway")
    made = await gateway.create(JOB_MANIFEST)
    with pytest.raises(ConflictError):
        await gateway.create(JOB_MANIFEST)
    listed = await gateway.list(JOB, "default", "refit.dev/role=gateway")
    assert [found["metadata"]["uid"] for found in listed] == [made["metadata"]["uid"]]
    changed = await gateway.patch(JOB, "default", "gateway", {"metadata": {"annotations": {"a": "b"}}})
    assert changed["metadata"]["annotations"]["a"] == "b"
    await gateway.delete(JOB, "default", "gateway")
    await gateway.delete(JOB, "default", "gateway")


async def test_an_object_that_is_not_there_is_nothing(gateway: LiveCluster) -> None:
    assert await gateway.get(EVENT, "default", "nothing") is None


async def test_a_kind_that_is_not_installed_is_told_apart_from_an_object_that_is_not_there(
    gateway: LiveCluster,
) -> None:
    with pytest.raises(KindMissingError):
        await gateway.get(UNKNOWN, "default", "nothing")
    with pytest.raises(KindMissingError):
        await gateway.list(UNKNOWN, "default")


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        pytest.param({"spec": {"template": {}}}, "spec.template.spec.containers", id="an invalid object"),
        pytest.param({"metadata": {"name": "Gateway", "namespace": "default"}}, "metadata.name", id="an invalid name"),
    ],
)
async def test_what_a_person_must_mend_is_refused_with_the_field(
    gateway: LiveCluster, change: dict[str, Any], fragment: str
) -> None:
    with pytest.raises(RefusedError, match=fragment):
        await gateway.create({**JOB_MANIFEST, **change})


async def test_what_one_may_not_do_is_refused(plane: ControlPlane, admin: Client) -> None:
    assert admin
    api = await connect(str(plane.kubeconfig_for("mallory")), None)
    async with api:
        with pytest.raises(RefusedError, match="mallory"):
            await LiveCluster(api).list(JOB, "default")


async def test_no_answer_is_weather(plane: ControlPlane) -> None:
    api = await connect(str(plane.kubeconfig), None)
    api.configuration.host = "https://127.0.0.1:1"
    async with api:
        counted: list[tuple[str, str]] = []
        with pytest.raises(UnreachableError):
            await LiveCluster(api, lambda verb, code: counted.append((verb, code))).list(JOB, "default")
    assert counted == [("list", "0")]
    assert issubclass(UnreachableError, ClusterError)
