"""What the harness writes and edits: OCI configs, go.mod files, kind's configuration, KServe's manifests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from refit_cluster import certificates, golang, kind, kserve, node, oci_runtime
from refit_cluster.kserve import Images

LACKING = frozenset({"CAP_SYS_RESOURCE"})


@pytest.mark.parametrize(
    ("process", "missing", "expected"),
    [
        pytest.param(
            {"capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "ambient": None}},
            LACKING,
            {"capabilities": {"bounding": ["CAP_CHOWN"], "ambient": []}},
            id="a capability the machine lacks is not asked for",
        ),
        pytest.param({"oomScoreAdj": -999}, LACKING, {}, id="a score below our own is not asked for"),
        pytest.param({"oomScoreAdj": 500}, LACKING, {"oomScoreAdj": 500}, id="a higher score is allowed to anyone"),
        pytest.param(
            {"oomScoreAdj": -999}, frozenset(), {"oomScoreAdj": -999}, id="with the capability nothing changes"
        ),
        pytest.param(
            {
                "rlimits": [
                    {"type": "RLIMIT_NOFILE", "hard": 9, "soft": 9},
                    {"type": "RLIMIT_CORE", "hard": 9, "soft": 9},
                ]
            },
            LACKING,
            {"rlimits": [{"type": "RLIMIT_CORE", "hard": 9, "soft": 9}]},
            id="a hard limit above our own is not asked for",
        ),
        pytest.param({"args": ["sh"]}, LACKING, {"args": ["sh"]}, id="a process that asks for nothing stays as it is"),
    ],
)
def test_an_oci_process(process: dict[str, Any], missing: frozenset[str], expected: dict[str, Any]) -> None:
    assert oci_runtime.without(process, missing, 0, {"RLIMIT_NOFILE": 4}) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["create", "--bundle", "/b", "id"], "/b", id="as two words"),
        pytest.param(["create", "--bundle=/b", "id"], "/b", id="as one word"),
        pytest.param(["run", "-b", "/b", "id"], "/b", id="as one letter"),
        pytest.param(["create", "id"], None, id="not at all"),
    ],
)
def test_an_option_of_runc(arguments: list[str], expected: str | None) -> None:
    assert oci_runtime.option(arguments, "bundle") == expected


GO_MOD = """\
module k8s.io/kubernetes

go 1.25.0

require (
\tk8s.io/api v0.0.0
\tk8s.io/endpointslice v0.0.0 // indirect
\tk8s.io/kube-openapi v0.0.0-20250910181357-589584f1c912
\tk8s.io/utils v0.0.0-20251002143259-bc988d571ff4
)
"""


def test_a_wrapper_replaces_staging_modules_and_only_those() -> None:
    program = golang.Program("k", "k8s.io/kubernetes", "v1.35.4", golang.How.WRAPPER, {}, "")
    assert golang.wrapper_go_mod(program, GO_MOD).splitlines() == [
        "module refit.invalid/k",
        "go 1.25.0",
        "require k8s.io/kubernetes v1.35.4",
        "replace k8s.io/api => k8s.io/api v0.35.4",
        "replace k8s.io/endpointslice => k8s.io/endpointslice v0.35.4",
    ]


@pytest.mark.parametrize(
    ("minor", "arguments"),
    [
        pytest.param(35, dict(kind.AUDIT_ARGUMENTS), id="before Kubernetes 1.36 arguments are a map"),
        pytest.param(
            36, [{"name": k, "value": v} for k, v in kind.AUDIT_ARGUMENTS.items()], id="from 1.36 on they are a list"
        ),
    ],
)
def test_the_api_server_of_kind_writes_an_audit_log_on_the_host(minor: int, arguments: object) -> None:
    rendered = kind.config(image="node:v1", kubernetes_minor=minor, state=Path("/state"))
    only = rendered["nodes"][0]
    patch = yaml.safe_load(only["kubeadmConfigPatches"][0])
    assert patch["apiServer"]["extraArgs"] == arguments
    assert only["extraMounts"][0] == {"hostPath": "/state/audit", "containerPath": "/var/log/kubernetes/audit"}
    mounted = {volume["mountPath"]: volume["readOnly"] for volume in patch["apiServer"]["extraVolumes"]}
    assert mounted == {"/etc/kubernetes/audit-policy.yaml": True, "/var/log/kubernetes/audit": False}


@pytest.mark.parametrize(
    ("image", "minor"),
    [
        pytest.param("refit.local/node:v1.35.4-0123456789ab", 35, id="ours"),
        pytest.param("kindest/node:v1.37.0@sha256:00", 37, id="kind's"),
    ],
)
def test_the_kubernetes_version_is_in_the_tag(image: str, minor: int) -> None:
    assert kind.minor_of(image) == minor


def test_storage_manifest_comes_out_of_kinds_source() -> None:
    source = 'const image = "a:1"\nconst helper = "b:2"\nconst defaultStorageManifest = `\nx: ` + image + `\ny: ` + helper + `\n`\n'
    assert yaml.safe_load(node.storage_manifest(source)) == {"x": "a:1", "y": "b:2"}


def test_containerd_gets_no_rootless_plugin_and_keeps_its_score() -> None:
    text = '[proxy_plugins]\n[proxy_plugins."f"]\n  type = "snapshot"\n\n[plugins."cri"]\n  restrict_oom_score_adj = false\n'
    assert node.adapted_containerd_config(text) == '\n[plugins."cri"]\n  restrict_oom_score_adj = true\n'


OURS = Images("r/controller@1", "r/storage@2", "r/agent@3", "r/router@4")


def named(kind_: str, name: str, **rest: object) -> dict[str, Any]:
    return {"kind": kind_, "metadata": {"name": name}, **rest}


def controller() -> dict[str, Any]:
    containers = [
        {"name": "kube-rbac-proxy", "image": "p"},
        {
            "name": "manager",
            "image": "c",
            "args": ["--metrics-addr=x", "--leader-elect"],
            "readinessProbe": {"periodSeconds": 5},
            "resources": {"limits": {"cpu": "100m"}},
        },
    ]
    return named("Deployment", kserve.DEPLOYMENT, spec={"template": {"spec": {"containers": containers}}})


def test_cert_manager_is_not_asked_for() -> None:
    manifests = [named("Certificate", "c"), named("Issuer", "i"), named("Secret", "s")]
    assert kserve.edited(manifests, OURS) == [named("Secret", "s")]


def test_the_controller_runs_alone_and_elects_nobody() -> None:
    (edited,) = kserve.edited([controller()], OURS)
    (container,) = edited["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["args"]) == ("r/controller@1", ["--metrics-addr=x"])


def test_every_image_in_the_config_is_ours() -> None:
    keys = ("agent", "logger", "batcher", "router", "storageInitializer")
    config = named("ConfigMap", "inferenceservice-config", data=dict.fromkeys(keys, '{"image": "x", "cpuLimit": "1"}'))
    (edited,) = kserve.edited([config], OURS)
    assert {key: json.loads(value) for key, value in edited["data"].items()} == {
        "agent": {"image": "r/agent@3", "cpuLimit": "1"},
        "logger": {"image": "r/agent@3", "cpuLimit": "1"},
        "batcher": {"image": "r/agent@3", "cpuLimit": "1"},
        "router": {"image": "r/router@4", "cpuLimit": "1"},
        "storageInitializer": {"image": "r/storage@2", "cpuLimit": "1"},
    }


def test_models_are_fetched_by_our_initializer() -> None:
    container = named("ClusterStorageContainer", "default", spec={"container": {"image": "x"}})
    (edited,) = kserve.edited([container], OURS)
    assert edited["spec"]["container"] == {"image": "r/storage@2", "imagePullPolicy": "IfNotPresent"}


def test_webhooks_know_who_signed_and_nothing_else_changes() -> None:
    webhook = named("ValidatingWebhookConfiguration", "v", webhooks=[{"clientConfig": {"service": {"name": "s"}}}])
    edited = kserve.with_authority([webhook, named("Secret", "s")], "QUJD")
    assert edited == [
        named(
            "ValidatingWebhookConfiguration",
            "v",
            webhooks=[{"clientConfig": {"service": {"name": "s"}, "caBundle": "QUJD"}}],
        ),
        named("Secret", "s"),
    ]


def test_beside_a_bare_api_server_webhooks_are_called_at_an_address() -> None:
    webhook = {"clientConfig": {"service": {"name": "s", "namespace": "n", "path": "/mutate-pods"}}}
    hooks = named("MutatingWebhookConfiguration", "m", webhooks=[webhook])
    kept = kserve.for_a_process([hooks, named("ConfigMap", "c"), controller()], "https://127.0.0.1:9443", "QUJD")
    called = {"clientConfig": {"url": "https://127.0.0.1:9443/mutate-pods", "caBundle": "QUJD"}}
    assert kept == [named("MutatingWebhookConfiguration", "m", webhooks=[called]), named("ConfigMap", "c")]


def test_a_certificate_names_addresses_and_hosts_apart() -> None:
    assert "subjectAltName=IP:127.0.0.1,DNS:localhost" in certificates.extension_text(["127.0.0.1", "localhost"])


def test_a_user_name_with_a_slash_stays_one_name() -> None:
    assert certificates.escaped("team/alice") == "team\\/alice"
