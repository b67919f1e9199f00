"""A model's life on the real cluster: trained, served, changed under load, tampered with, deleted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from load import counted, loaded
from real_cluster import EXAMPLES, SYSTEM, Space, eventually
from refit.core.pods import container_security, pod_security
from specs import RECORD, heart

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def serving(space: Space) -> Space:
    space.declare("heart", heart())
    space.becomes_ready("heart")
    return space


@pytest.fixture
def load(serving: Space) -> Iterator[str]:
    """The name of a pod that asks for predictions all the time."""
    with loaded(serving, "heart", RECORD) as name:
        yield name


def test_a_declared_model_answers_v1_and_v2(serving: Space) -> None:
    v1 = serving.ask("heart", "/v1/models/heart:predict", {"instances": [RECORD]})
    inputs = [{"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in RECORD.items()]
    v2 = serving.ask("heart", "/v2/models/heart/infer", {"id": "mine", "inputs": inputs})
    [prediction] = v1["predictions"]
    outputs = {output["name"]: output["data"] for output in v2["outputs"]}
    assert (outputs["label"], outputs["probabilities"], v2["id"]) == (
        [prediction["label"]],
        list(prediction["probabilities"].values()),
        "mine",
    )


def test_what_serves_is_what_was_registered(serving: Space) -> None:
    status = serving.deployment("heart")["status"]
    model = serving.cluster.client.get(
        serving.path("v1", "services", "heart-predictor:80/proxy/refit/v1/model")
    ).accepted()
    [record] = status["history"]
    assert (model["sha256"], model["version"]) == (record["artifact"]["sha256"], str(status["serving"]["version"]))
    alias = f"{SYSTEM}/services/mlflow:5000/proxy/api/2.0/mlflow/registered-models/alias"
    found = serving.cluster.client.get(
        f"/api/v1/namespaces/{alias}", name=f"{serving.name}.heart", alias="champion"
    ).accepted()
    assert found["model_version"]["version"] == str(record["version"])


def test_a_changed_spec_trains_again_and_rolls_over_without_a_failed_request(serving: Space, load: str) -> None:
    before = serving.deployment("heart")["status"]["serving"]["version"]
    serving.declare("heart", heart(folds=3))
    after = serving.becomes_ready("heart")["status"]["serving"]["version"]
    eventually(
        lambda: counted(serving, load)["answers"].get(str(after), 0) > 25, 60, "the new version answers for a while"
    )
    seen = counted(serving, load)
    assert after > before
    assert seen["failures"] == []
    assert set(seen["answers"]) == {str(before), str(after)}


def test_a_worse_model_is_refused_and_the_live_one_stays(serving: Space) -> None:
    live = serving.deployment("heart")["status"]["serving"]
    serving.declare("heart", heart(selection={"metric": "f1", "minimum": "0.999"}))
    stalled = serving.becomes_stalled("heart")
    assert stalled["reason"] == "BelowBound"
    assert stalled["message"].endswith(f"version {live['version']} keeps serving")
    assert serving.deployment("heart")["status"]["serving"] == live
    assert serving.ask("heart", "/v1/models/heart:predict", {"instances": [RECORD]})["model_version"] == str(
        live["version"]
    )


def test_going_back_serves_the_earlier_version_without_training_it_again(serving: Space) -> None:
    serving.declare("heart", heart())
    found = serving.becomes_ready("heart")
    first = min(record["version"] for record in found["status"]["history"])
    assert found["status"]["serving"]["version"] == first


def test_a_file_that_was_altered_in_the_store_is_never_served_and_the_reason_is_told(serving: Space) -> None:
    record = serving.deployment("heart")["status"]["serving"]
    path = record["artifact"]["uri"].split("/artifacts/", 1)[1]
    alter = f"f = open('/data/artifacts/{path}', 'r+b'); f.seek(100); b = f.read(1); f.seek(100); f.write(bytes([b[0] ^ 1]))"
    serving.cluster.run("-n", SYSTEM, "exec", "deploy/mlflow", "--", "python", "-c", alter)
    try:
        for pod in serving.pods("predictor"):
            serving.cluster.client.delete(serving.path("v1", "pods", pod["metadata"]["name"]))

        def told() -> bool:
            ready = serving.condition("heart", "Ready")
            return ready is not None and ready["status"] == "False" and "DigestMismatch" in ready["message"]

        eventually(told, 90, "the mismatch stands in the Ready condition")
        available = serving.condition("heart", "Available")
        assert available is not None
        assert available["status"] == "False"
    finally:
        serving.cluster.run("-n", SYSTEM, "exec", "deploy/mlflow", "--", "python", "-c", alter)
    serving.cluster.run("delete", "pod", "-n", serving.name, "-l", "refit.dev/role=predictor", "--wait=false")
    serving.becomes_ready("heart")


def test_data_can_come_from_a_configmap(serving: Space) -> None:
    rows = "\n".join(f"{n},{n % 7},{'yes' if n % 7 > 3 else 'no'}" for n in range(120))
    data = {"table.csv": f"id,x,grade\n{rows}\n"}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "table"}, "data": data}
    serving.cluster.run("apply", "-n", serving.name, "-f", "-", text=yaml.safe_dump(manifest))
    source = {"source": {"uri": "configmap://table/table.csv"}, "target": {"column": "grade"}, "ignore": ["id"]}
    serving.declare("table", heart(data=source))
    serving.becomes_ready("table")
    answer = serving.ask("table", "/v1/models/table:predict", {"instances": [{"x": 6}, {"x": 0}]})
    assert [prediction["label"] for prediction in answer["predictions"]] == ["yes", "no"]


WRITE = """
import random
draw = random.Random(7)
with open("/data/sub/table.csv", "w") as file:
    file.write("x,z,price\\n")
    for _ in range(200):
        x, z = draw.random(), draw.random()
        file.write(f"{x},{z},{3 * x - 2 * z}\\n")
"""


def test_data_can_come_from_a_volume(serving: Space) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "tables"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "writer"},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": pod_security(),
            "containers": [
                {
                    "name": "writer",
                    "image": serving.cluster.images["operator"],
                    "command": ["python", "-c", WRITE],
                    "securityContext": container_security(),
                    "volumeMounts": [{"name": "data", "mountPath": "/data/sub"}],
                }
            ],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "tables"}}],
        },
    }
    for manifest in (claim, pod):
        serving.cluster.run("apply", "-n", serving.name, "-f", "-", text=yaml.safe_dump(manifest))
    written = serving.path("v1", "pods", "writer")
    eventually(
        lambda: (serving.cluster.get(written) or {})["status"]["phase"] == "Succeeded", 90, "the volume has its file"
    )
    serving.cluster.client.delete(written)
    spec = heart(
        data={"source": {"uri": "pvc://tables/table.csv"}, "target": {"column": "price"}},
        candidates=[{"algorithm": "LinearRegression", "parameters": {"alpha": "0"}}],
        selection={"metric": "rmse", "maximum": "0.01"},
    )
    serving.declare("price", {"task": "Regression", **spec})
    serving.becomes_ready("price")
    [answer] = serving.ask("price", "/v1/models/price:predict", {"instances": [{"x": 1, "z": 0.5}]})["predictions"]
    assert answer == pytest.approx(2.0, abs=0.01)


def test_a_regression_answers_numbers(serving: Space) -> None:
    spec = yaml.safe_load((EXAMPLES / "houses.yaml").read_text())["spec"]
    serving.declare("houses", spec)
    found = serving.becomes_ready("houses", 300)
    assert found["status"]["metric"].split()[0] == spec["training"]["selection"]["metric"]


def test_deletion_leaves_nothing_behind(serving: Space) -> None:
    serving.cluster.run("delete", "modeldeployment", "--all", "-n", serving.name)
    kinds = "modeldeployment,job,pod,inferenceservice,servingruntime,deployment,service"

    def left() -> bool:
        return serving.cluster.run("get", kinds, "-n", serving.name, "-o", "name").split() == []

    eventually(left, 120, "nothing is left")
