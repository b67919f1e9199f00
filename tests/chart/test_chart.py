"""The chart is the manifests, with values in some places; Helm itself is asked."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from refit.api import guard
from refit.shell.settings import Settings
from refit_cluster import golang
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError
from refit_cluster.up import tool

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "refit"
IMAGES = {
    name: f"registry.example/refit-{name}@sha256:{digit * 64}"
    for name, digit in (
        ("operator", "a"),
        ("trainer", "b"),
        ("predictor", "c"),
        ("mlflow", "d"),
        ("monitor", "e"),
        ("ui", "f"),
    )
}
NAMED = {"images": IMAGES}
Manifest = dict[str, Any]
ABSENT = None
KEEP = {"helm.sh/resource-policy": "keep"}


@pytest.fixture(scope="module")
def helm() -> Path:
    """Helm that `make cluster-up` builds. `make test` does that first; only `make test-unit` on a new machine goes without."""
    try:
        return tool(golang.HELM, "helm", Places.from_env(os.environ))
    except HarnessError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def kubectl() -> Path:
    """The kubectl that `make cluster-up` builds. `make test` does that first; only `make test-unit` on a new machine goes without."""
    try:
        return tool(golang.KUBERNETES, "kubectl", Places.from_env(os.environ))
    except HarnessError as error:
        pytest.skip(str(error))


def template(helm: Path, tmp_path: Path, values: Manifest, *flags: str, namespace: str = "refit-system") -> str:
    """What `helm template` prints; raises AssertionError with Helm's words if it refuses."""
    given = tmp_path / "values.json"
    given.write_text(json.dumps(values))
    command: list[str | Path] = [helm, "template", "refit", CHART, "--namespace", namespace, "--values", given]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def parsed(text: str) -> dict[str, Manifest]:
    """The objects by kind and name."""
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in yaml.safe_load_all(text) if each}


def plain() -> dict[str, Manifest]:
    """What the plain manifests and CRDs install, with the images named."""
    found = {}
    listed = yaml.safe_load((ROOT / "manifests" / "kustomization.yaml").read_text())["resources"]
    listed += [
        "monitoring/dashboards-grafana.yaml"
    ]  # with defaults; kinds of the Prometheus operator only where they are
    for path in (*(ROOT / "manifests" / name for name in listed), *(ROOT / "crds").glob("*.yaml")):
        text = re.sub(
            r"^( *(?:image|REFIT_\w+_IMAGE): )refit-(\w+)$",
            lambda line: line[1] + IMAGES[line[2]],
            path.read_text(),
            flags=re.MULTILINE,
        )
        found.update(parsed(text))
    del found["Namespace/refit-system"]  # Helm makes the release's namespace, or finds it
    return found


def test_the_templates_are_up_to_date() -> None:
    rendered = runpy.run_path(str(ROOT / "charts" / "generate.py"))["render"]()
    there = {path.name: path.read_text() for path in (CHART / "templates").glob("*.yaml")}
    assert there == rendered, "run `make generate`"


def test_with_its_defaults_the_chart_is_the_manifests(helm: Path, tmp_path: Path) -> None:
    rendered = parsed(template(helm, tmp_path, NAMED))
    # The two annotations by which the chart differs, on purpose.
    del rendered["Deployment/refit-operator"]["spec"]["template"]["metadata"]["annotations"]
    # And the one object: keys are no manifest.
    del rendered["Secret/refit-audit-keys"]
    kept = [name for name, each in rendered.items() if each["metadata"].pop("annotations", None) == KEEP]
    assert sorted(kept) == [
        "CustomResourceDefinition/modeldeployments.refit.dev",
        "CustomResourceDefinition/remediationrequests.refit.dev",
        "PersistentVolumeClaim/mlflow",
        "PersistentVolumeClaim/refit-collector",
        "PersistentVolumeClaim/refit-operator",
    ]
    assert rendered == plain()


@pytest.mark.parametrize(
    ("components", "values"),
    [
        pytest.param(["intake-tls"], {"secretName": "refit-intake-tls"}, id="TLS"),
        pytest.param(
            ["intake-tls", "intake-mtls"],
            {"secretName": "refit-intake-tls", "clientCaSecretName": "refit-intake-client-ca"},
            id="TLS with client certificates",
        ),
    ],
)
def test_the_intake_has_tls_by_chart_and_by_component_alike(
    helm: Path, kubectl: Path, tmp_path: Path, components: list[str], values: dict[str, str]
) -> None:
    manifests = os.path.relpath(ROOT / "manifests", tmp_path)
    ours = {"resources": [manifests], "components": [f"{manifests}/{name}" for name in components]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(ours))
    built = subprocess.run([kubectl, "kustomize", tmp_path], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    there = parsed(built.stdout)
    chart = parsed(template(helm, tmp_path, NAMED | {"intake": {"tls": values}}))
    pod = chart["Deployment/refit-operator"]["spec"]["template"]
    del pod["metadata"]["annotations"]
    pod["spec"]["containers"][0]["image"] = "refit-operator"
    data = chart["ConfigMap/refit-settings"]["data"]
    data.update({name: f"refit-{name.split('_')[1].lower()}" for name in data if name.endswith("_IMAGE")})
    changed = ("ConfigMap/refit-settings", "Deployment/refit-operator", "Service/refit-operator")
    assert {name: there[name] for name in changed} == {name: chart[name] for name in changed}


def test_another_namespace_takes_the_place_of_ours_everywhere(helm: Path, tmp_path: Path) -> None:
    ours, theirs = template(helm, tmp_path, NAMED), template(helm, tmp_path, NAMED, namespace="ml-ops")
    # The checksum differs with the settings, and keys are random.
    without = re.compile(r"refit\.dev/settings: \w+|^  k1: .*$", flags=re.MULTILINE)
    assert without.sub("", theirs) == without.sub("", ours.replace("refit-system", "ml-ops"))


def test_the_guard_is_up_to_date() -> None:
    rendered = runpy.run_path(str(ROOT / "manifests" / "generate.py"))["render"]()
    assert {name: (ROOT / "manifests" / name).read_text() for name in rendered} == rendered, "run `make generate`"


@pytest.mark.parametrize("namespace", ["refit-system", "ml-ops", "n" * 63])
def test_the_guard_knows_the_operator_of_this_release(helm: Path, tmp_path: Path, namespace: str) -> None:
    objects = parsed(template(helm, tmp_path, NAMED, namespace=namespace))
    account = objects["Deployment/refit-operator"]["spec"]["template"]["spec"]["serviceAccountName"]
    identity = f"system:serviceaccount:{namespace}:{account}"
    expected = {f"{each['kind']}/{each['metadata']['name']}": each for each in guard.objects(identity)}
    assert {name: objects[name] for name in expected} == expected
    assert objects["ConfigMap/refit-settings"]["data"]["REFIT_IDENTITY"] == identity


def roles() -> dict[str, Manifest]:
    return parsed((ROOT / "manifests" / "roles.yaml").read_text())


def test_every_action_that_changes_something_has_its_role_and_one_role_has_them_all() -> None:
    approved = {
        name.removeprefix("ClusterRole/"): [
            place for rule in role["rules"] if rule["verbs"] == [guard.APPROVE] for place in rule["resources"]
        ]
        for name, role in roles().items()
    }
    places = {action: f"modeldeployments/{guard.subresource_of(action)}" for action in guard.RISKY}
    assert approved == {
        "refit-viewer": [],
        "refit-requester": [],
        **{f"refit-approver-{action.lower()}": [at] for action, at in places.items()},
        "refit-approver": list(places.values()),
        "refit-tracer": [],
        "Role/refit-tracer": [],
    }


def test_no_role_is_added_to_view_edit_or_admin_and_none_has_a_wildcard() -> None:
    texts = [json.dumps(role) for role in roles().values()]
    assert [text for text in texts if "aggregat" in text or "*" in text] == []


def place(objects: dict[str, Manifest], at: str) -> object:
    """The value at `Kind/name key key 0 ...`, or ABSENT."""
    name, *steps = at.split()
    found: Any = objects.get(name)
    for step in steps:
        if found is None:
            return ABSENT
        found = found[int(step)] if isinstance(found, list) else found.get(step)
    return found


SETTINGS = "ConfigMap/refit-settings data"
OPERATOR = "Deployment/refit-operator spec template spec"
MLFLOW = "Deployment/mlflow spec template spec"
CLAIM = "PersistentVolumeClaim/mlflow spec"
COLLECTOR = "Deployment/refit-collector spec template spec"
COLLECTOR_CLAIM = "PersistentVolumeClaim/refit-collector spec"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(
            {"mlflow": {"enabled": False, "trackingUri": "https://mlflow.example"}},
            {
                f"{SETTINGS} REFIT_TRACKING_URI": "https://mlflow.example",
                "Deployment/mlflow": ABSENT,
                "Service/mlflow": ABSENT,
                "PersistentVolumeClaim/mlflow": ABSENT,
            },
            id="with a MLflow of one's own none is installed",
        ),
        pytest.param(
            {"mlflow": {"trackingUri": "http://mlflow.example", "allowedHosts": ["mlflow.example"]}},
            {
                f"{SETTINGS} REFIT_TRACKING_URI": "http://mlflow.example",
                "Service/mlflow kind": "Service",
                f"{MLFLOW} containers 0 args 5": "--allowed-hosts="
                "mlflow,mlflow:*,"
                "mlflow.refit-system,mlflow.refit-system:*,"
                "mlflow.refit-system.svc,mlflow.refit-system.svc:*,"
                "mlflow.refit-system.svc.cluster.local,mlflow.refit-system.svc.cluster.local:*,"
                "localhost,localhost:*,127.0.0.1,127.0.0.1:*,"
                "mlflow.example,mlflow.example:*",
            },
            id="the MLflow installed here may have another address",
        ),
        pytest.param(
            {"mlflow": {"backendStoreUri": {"secretName": "mlflow-database"}}},
            {
                f"{MLFLOW} containers 0 env 0": {
                    "name": "MLFLOW_BACKEND_STORE_URI",
                    "valueFrom": {"secretKeyRef": {"name": "mlflow-database", "key": "uri"}},
                },
            },
            id="the database's address comes from a Secret",
        ),
        pytest.param(
            {"mlflow": {"storage": {"size": "20Gi", "className": "fast"}}},
            {f"{CLAIM} resources requests storage": "20Gi", f"{CLAIM} storageClassName": "fast"},
            id="the volume has the size and class that are named",
        ),
        pytest.param(
            {"mlflow": {"resources": {"limits": {"memory": "4Gi"}}}, "operator": {"resources": {"limits": {"cpu": 1}}}},
            {
                f"{MLFLOW} containers 0 resources limits": {"memory": "4Gi"},
                f"{OPERATOR} containers 0 resources limits": {"cpu": 1, "memory": "512Mi"},
            },
            id="resources are merged with the defaults",
        ),
        pytest.param(
            {"collector": {"enabled": False, "url": "http://collector.example"}},
            {
                f"{SETTINGS} REFIT_COLLECTOR_URL": "http://collector.example",
                "ServiceAccount/refit-collector": ABSENT,
                "ClusterRole/refit-collector": ABSENT,
                "ClusterRoleBinding/refit-collector": ABSENT,
                "Deployment/refit-collector": ABSENT,
                "Service/refit-collector": ABSENT,
                "PersistentVolumeClaim/refit-collector": ABSENT,
            },
            id="with a collector of one's own none is installed",
        ),
        pytest.param(
            {
                "collector": {
                    "retentionHours": 24,
                    "maxBytes": 107374182400,
                    "storage": {"size": "200Gi", "className": "fast"},
                    "resources": {"limits": {"memory": "2Gi"}},
                }
            },
            {
                f"{COLLECTOR} containers 0 env 2": {"name": "REFIT_COLLECTOR_RETENTION_HOURS", "value": "24"},
                f"{COLLECTOR} containers 0 env 3": {"name": "REFIT_COLLECTOR_MAX_BYTES", "value": "107374182400"},
                f"{COLLECTOR} containers 0 resources limits": {"memory": "2Gi"},
                f"{COLLECTOR_CLAIM} resources requests storage": "200Gi",
                f"{COLLECTOR_CLAIM} storageClassName": "fast",
            },
            id="how much the collector keeps, and where",
        ),
        pytest.param(
            {
                "intake": {
                    "tls": {
                        "secretName": "cert",
                        "clientCaSecretName": "cert",
                        "clientNames": ["alertmanager", "am.example"],
                        "strict": True,
                    }
                }
            },
            {
                f"{SETTINGS} REFIT_INTAKE_TLS_CLIENT_NAMES": "alertmanager,am.example",
                f"{SETTINGS} REFIT_INTAKE_STRICT": "true",
                f"{OPERATOR} volumes 0": {"name": "intake-tls", "secret": {"secretName": "cert"}},
                f"{OPERATOR} volumes 1": {
                    "name": "intake-client-ca",
                    "secret": {"secretName": "cert", "items": [{"key": "ca.crt", "path": "ca.crt"}]},
                },
                f"{OPERATOR} containers 0 ports 1": {"name": "intake", "containerPort": 8443},
                "Service/refit-operator spec ports 1": {"name": "intake", "port": 8443, "targetPort": "intake"},
                f"{OPERATOR} containers 0 readinessProbe httpGet port": "http",
            },
            id="the intake's certificate and who may call with one, all from Secrets that are named",
        ),
        pytest.param(
            {"crds": {"install": False}},
            {
                "CustomResourceDefinition/modeldeployments.refit.dev": ABSENT,
                "CustomResourceDefinition/remediationrequests.refit.dev": ABSENT,
            },
            id="the CRDs can be left to somebody else",
        ),
        pytest.param(
            {"imagePullSecrets": [{"name": "registry"}]},
            {
                f"{OPERATOR} imagePullSecrets": [{"name": "registry"}],
                f"{MLFLOW} imagePullSecrets": [{"name": "registry"}],
                f"{COLLECTOR} imagePullSecrets": [{"name": "registry"}],
            },
            id="pull secrets reach every pod of the chart",
        ),
        pytest.param(
            {
                "images": IMAGES | {"report": IMAGES["trainer"]},
                "settings": {
                    "namespaces": ["team-a", "team-b"],
                    "workers": 4,
                    "resyncSeconds": 60,
                    "rolloutTimeoutSeconds": 900,
                    "trainingAttempts": 1,
                    "clusterName": "blue",
                    "logLevel": "DEBUG",
                    "httpPort": 9090,
                },
            },
            {
                SETTINGS: {
                    "REFIT_NAMESPACES": "team-a,team-b",
                    "REFIT_WORKERS": "4",
                    "REFIT_RESYNC_SECONDS": "60",
                    "REFIT_ROLLOUT_TIMEOUT_SECONDS": "900",
                    "REFIT_TRAINING_ATTEMPTS": "1",
                    "REFIT_CLUSTER_NAME": "blue",
                    "REFIT_LOG_LEVEL": "DEBUG",
                    "REFIT_HTTP_PORT": "9090",
                    "REFIT_TRAINER_IMAGE": IMAGES["trainer"],
                    "REFIT_PREDICTOR_IMAGE": IMAGES["predictor"],
                    "REFIT_MONITOR_IMAGE": IMAGES["monitor"],
                    "REFIT_REPORT_IMAGE": IMAGES["trainer"],
                    "REFIT_COLLECTOR_URL": "http://refit-collector.refit-system.svc:8080",
                    "REFIT_IDENTITY": "system:serviceaccount:refit-system:refit-operator",
                    "REFIT_INTAKE_TOKEN_FILE": "/etc/refit/intake/tokens",
                    "REFIT_INTAKE_EVENTS_SECRET_FILE": "/etc/refit/intake/events",
                    "REFIT_INTAKE_GITHUB_SECRET_FILE": "/etc/refit/intake/github",
                    "REFIT_TRACKING_URI": "http://mlflow.refit-system.svc:5000",
                },
                f"{OPERATOR} containers 0 ports 0 containerPort": 9090,
                "Service/refit-operator spec ports 0": {"name": "http", "port": 8080, "targetPort": "http"},
            },
            id="every setting reaches the operator",
        ),
    ],
)
def test_values(helm: Path, tmp_path: Path, values: Manifest, expected: dict[str, object]) -> None:
    objects = parsed(template(helm, tmp_path, NAMED | values))
    assert {at: place(objects, at) for at in expected} == expected


def test_the_operator_starts_anew_when_its_settings_change(helm: Path, tmp_path: Path) -> None:
    at = "Deployment/refit-operator spec template metadata annotations refit.dev/settings"
    before = place(parsed(template(helm, tmp_path, NAMED)), at)
    after = place(parsed(template(helm, tmp_path, NAMED | {"settings": {"workers": 3}})), at)
    assert before != after


UNNAMED = {name: reference for name, reference in IMAGES.items() if name != "trainer"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({"replicas": 2}, "replicas", id="an unknown value is refused"),
        pytest.param({"settings": {"workerCount": 2}}, "workerCount", id="an unknown setting is refused"),
        pytest.param({"mlflow": {"persistence": True}}, "persistence", id="an unknown value deeper down is refused"),
        pytest.param({"settings": {"workers": "many"}}, "/settings/workers", id="a word where a number belongs"),
        pytest.param({"settings": {"workers": 65}}, "/settings/workers", id="a number past its bound"),
        pytest.param({"settings": {"logLevel": "LOUD"}}, "/settings/logLevel", id="a level that does not exist"),
        pytest.param({"settings": {"namespaces": "a,b"}}, "/settings/namespaces", id="a word where a list belongs"),
        pytest.param({"crds": {"install": "yes"}}, "/crds/install", id="a word where true or false belongs"),
        pytest.param({"mlflow": {"trackingUri": "mlflow:5000"}}, "/mlflow/trackingUri", id="an address without scheme"),
        pytest.param({"mlflow": {"storage": {"size": "big"}}}, "/mlflow/storage/size", id="a size that is no quantity"),
        pytest.param(
            {"images": IMAGES | {"trainer": "registry.example/refit-trainer:1.0"}},
            "/images/trainer",
            id="an image by tag is refused",
        ),
        pytest.param({"images": UNNAMED}, "images.trainer: name the image by digest", id="an image must be named"),
        pytest.param(
            {"mlflow": {"enabled": False}},
            "mlflow.trackingUri: needed when mlflow.enabled is false",
            id="without the MLflow of the chart another must be named",
        ),
        pytest.param(
            {"intake": {"tls": {"clientCaSecretName": "ca"}}},
            "intake.tls.secretName: needed with intake.tls.clientCaSecretName",
            id="client certificates are asked for by TLS alone",
        ),
        pytest.param(
            {"intake": {"tls": {"secretName": "cert", "strict": True}}},
            "intake.tls.clientCaSecretName: needed with intake.tls.strict",
            id="strict needs an authority of client certificates",
        ),
        pytest.param(
            {"intake": {"tls": {"secretName": "cert", "clientNames": ["alertmanager"]}}},
            "intake.tls.clientCaSecretName: needed with intake.tls.clientNames",
            id="so do their names",
        ),
    ],
)
def test_refused_values(helm: Path, tmp_path: Path, values: Manifest, words: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(words)):
        template(helm, tmp_path, NAMED | values)


def test_helm_has_nothing_to_say_against_the_chart(helm: Path) -> None:
    done = subprocess.run([helm, "lint", "--strict", CHART], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_kustomize_builds_the_manifests(kubectl: Path) -> None:
    done = subprocess.run([kubectl, "kustomize", ROOT / "manifests"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = parsed(done.stdout)
    assert set(built) == {"Namespace/refit-system"} | {
        name for name in plain() if not name.startswith("CustomResourceDefinition/")
    }
    # It would give policies a namespace, which they can not have, if it was told one for all.
    written = parsed((ROOT / "manifests" / "guard.yaml").read_text())
    assert {name: built[name] for name in written} == written


ELSEWHERE = {
    "trainerImage",
    "predictorImage",
    "monitorImage",
    "reportImage",
    "trackingUri",
    "collectorUrl",
    "prometheusUrl",
    "auditDatabase",
    "auditDatabasePasswordFile",
    "auditKeys",
    "notifyFolder",
    "notifyOutbox",
    "auditCheckpointCopy",
    "identity",
    "kubeconfig",
    "context",
}
"""Settings with keys of their own in values.yaml, and those that have no meaning in a pod."""


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def test_the_schema_bounds_each_setting_as_the_operator_does() -> None:
    properties = Settings.model_json_schema()["properties"]
    kept = ("type", "minimum", "maximum", "pattern")
    wanted = {
        camel(name): {word: declared[word] for word in kept if word in declared}
        for name, declared in properties.items()
        if camel(name) not in ELSEWHERE
    }
    schema = json.loads((CHART / "values.schema.json").read_text())
    found = {
        name: {word: declared[word] for word in kept if word in declared}
        for name, declared in schema["properties"]["settings"]["properties"].items()
    }
    assert found == wanted


def test_the_schema_bounds_images_as_the_operator_does() -> None:
    declared = Settings.model_json_schema()["properties"]["trainer_image"]["pattern"]
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["definitions"]["image"]["pattern"] == f"^$|{declared}"


def test_values_yaml_tells_every_setting_with_its_default() -> None:
    commented = re.findall(r"^  # (\w+): (\S+) +# \S", (CHART / "values.yaml").read_text(), flags=re.MULTILINE)
    told = {name: yaml.safe_load(text) for name, text in commented}
    declared = {
        camel(name): list(field.default) if isinstance(field.default, tuple) else field.default
        for name, field in Settings.model_fields.items()
        if camel(name) not in ELSEWHERE
    }
    assert told == declared


MONITORING_API = ("--api-versions", "monitoring.coreos.com/v1")


def monitoring() -> dict[str, Manifest]:
    """What manifests/monitoring/ installs."""
    folder = ROOT / "manifests" / "monitoring"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    return {name: each for file in listed for name, each in parsed((folder / file).read_text()).items()}


def test_the_rule_object_is_up_to_date() -> None:
    folder = ROOT / "manifests" / "monitoring"
    rendered = runpy.run_path(str(folder / "generate.py"))["render"]()
    assert {name: (folder / name).read_text() for name in rendered} == rendered, "run `make generate`"


@pytest.mark.parametrize(
    ("objects", "flags", "there"),
    [
        pytest.param("Auto", (), False, id="where the Prometheus operator is not installed"),
        pytest.param("Auto", MONITORING_API, True, id="where it is"),
        pytest.param("Always", (), True, id="where somebody says that it will be"),
        pytest.param("Never", MONITORING_API, False, id="where it is, and is not wanted"),
    ],
)
def test_monitoring_objects(helm: Path, tmp_path: Path, objects: str, flags: tuple[str, ...], there: bool) -> None:
    rendered = parsed(template(helm, tmp_path, NAMED | {"monitoring": {"objects": objects}}, *flags))
    expected = monitoring()
    assert {name: each for name, each in rendered.items() if name in expected} == (expected if there else {})


def test_monitoring_objects_bear_the_labels_by_which_they_are_selected_and_name_our_pages(
    helm: Path, tmp_path: Path
) -> None:
    chosen = {"objects": "Always", "labels": {"release": "prometheus"}, "runbooks": "https://wiki.example/refit"}
    rendered = parsed(template(helm, tmp_path, NAMED | {"monitoring": chosen}))
    expected = json.loads(json.dumps(monitoring()).replace("docs/runbooks/", "https://wiki.example/refit/"))
    for each in expected.values():
        each["metadata"]["labels"]["release"] = "prometheus"
    assert {name: rendered[name] for name in expected} == expected


def test_kustomize_builds_the_monitoring_objects(kubectl: Path) -> None:
    command: list[str | Path] = [kubectl, "kustomize", ROOT / "manifests" / "monitoring"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert parsed(done.stdout) == monitoring()
