"""The real Prometheus operator takes our objects, and a real Prometheus does by its configuration what they mean.

Both run as processes before a live API server: the operator makes the configuration, a Secret, from ServiceMonitors,
PodMonitor and PrometheusRule as they are shipped; that Prometheus reads it and finds our pods by asking the API server.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from refit_cluster import golang, kserve
from refit_cluster.client import Client
from refit_cluster.controlplane import ControlPlane, free_ports
from refit_cluster.golang import PROMETHEUS_OPERATOR
from refit_cluster.lock import exclusive
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError, wait_until

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
GROUP = "monitoring.coreos.com"
SYSTEM, TEAM, THEIRS = "refit-system", "team-a", "monitoring"
OURS = {"matchLabels": {"app.kubernetes.io/part-of": "refit"}}
PROMETHEUS: dict[str, Any] = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "Prometheus",
    "metadata": {"name": "main", "namespace": THEIRS},
    "spec": {
        "replicas": 1,
        **{f"{kind}Selector": OURS for kind in ("serviceMonitor", "podMonitor", "rule")},
        **{f"{kind}NamespaceSelector": {} for kind in ("serviceMonitor", "podMonitor", "rule")},
    },
}
"""As somebody has one who selects by a label, in all namespaces."""
WITHIN = 90.0


def programs() -> Path:
    """The folder of both, built the first time."""
    places = Places.from_env(os.environ)
    if not golang.is_built(PROMETHEUS_OPERATOR, places):
        try:
            with exclusive(places.lock, out=sys.stderr):
                golang.build(PROMETHEUS_OPERATOR, places)
        except HarnessError as error:
            pytest.skip(f"the Prometheus operator could not be built from its Go modules: {error}")
    return PROMETHEUS_OPERATOR.directory(places)


@contextmanager
def running(folder: Path, command: list[str | Path]) -> Iterator[None]:
    """The process, whose words are a file in the folder."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Operated:
    """What the operator made of our objects: Prometheus' configuration, its rule files, and the operator's own metrics."""

    plane: ControlPlane
    admin: Client
    configuration: dict[str, Any]
    rules: tuple[dict[str, Any], ...]
    metrics: str


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    binaries, folder = programs(), tmp_path_factory.mktemp("operator")
    with ControlPlane() as plane, Client(plane.kubeconfig) as admin:
        prepare(plane, admin)
        (port,) = free_ports(1)
        command: list[str | Path] = [
            binaries / "operator",
            f"--apiserver={plane.url}",
            f"--ca-file={plane.directory / 'ca.crt'}",
            f"--cert-file={plane.directory / 'admin.crt'}",
            f"--key-file={plane.directory / 'admin.key'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with running(folder, command):
            place = f"/api/v1/namespaces/{THEIRS}"
            try:
                wait_until(
                    lambda: configured(admin.get(f"{place}/secrets/prometheus-main").body) is not None,
                    what="a configuration with our jobs",
                    within=WITHIN,
                )
            except HarnessError as error:
                raise AssertionError((folder / "operator.log").read_text()) from error
            configuration = configured(admin.get(f"{place}/secrets/prometheus-main").accepted())
            assert configuration is not None
            maps = admin.get(f"{place}/configmaps").accepted()["items"]
            files = [text for each in maps for name, text in (each.get("data") or {}).items() if "refit" in name]
            metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).raise_for_status().text
            yield Operated(plane, admin, configuration, tuple(map(yaml.safe_load, files)), metrics)


def prepare(plane: ControlPlane, admin: Client) -> None:
    """The kinds of the Prometheus operator, our objects as shipped, and somebody's Prometheus."""
    module = golang.module_directory(PROMETHEUS_OPERATOR.module, PROMETHEUS_OPERATOR.version)
    kubectl = kserve.Kubectl(golang.KUBERNETES.binary(plane.places, "kubectl"), plane.kubeconfig)
    kubectl("create", "-f", module / "example" / "prometheus-operator-crd")
    kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    for namespace in (SYSTEM, TEAM, THEIRS):
        admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}}).accepted()
    for manifest in shipped():
        put(admin, manifest)  # under strict validation: a field that the kind does not know is refused
    put(admin, PROMETHEUS)


def shipped() -> list[dict[str, Any]]:
    folder = MANIFESTS / "monitoring"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    return [each for name in listed for each in yaml.safe_load_all((folder / name).read_text())]


def put(admin: Client, manifest: dict[str, Any]) -> None:
    group = f"apis/{manifest['apiVersion']}" if "/" in manifest["apiVersion"] else f"api/{manifest['apiVersion']}"
    plural = {"Prometheus": "prometheuses", "Endpoints": "endpoints"}.get(
        manifest["kind"], f"{manifest['kind'].lower()}s"
    )
    admin.create(f"/{group}/namespaces/{manifest['metadata']['namespace']}/{plural}", manifest).accepted()


def configured(secret: dict[str, Any]) -> dict[str, Any] | None:
    """The configuration in the Secret, once our three jobs are in it."""
    packed = (secret.get("data") or {}).get("prometheus.yaml.gz")
    if packed is None:
        return None
    found: dict[str, Any] = yaml.safe_load(gzip.decompress(base64.b64decode(packed)))
    return found if len(found.get("scrape_configs") or ()) == 3 else None


def test_the_operator_rejects_nothing_and_selects_all_of_ours(operated: Operated) -> None:
    told = [line for line in operated.metrics.splitlines() if line.startswith("prometheus_operator_managed_resources")]
    counts = {
        (kind, state): sum(
            float(line.rpartition(" ")[2])
            for line in told
            if f'resource="{kind}"' in line and f'state="{state}"' in line and 'controller="prometheus"' in line
        )
        for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")
        for state in ("selected", "rejected")
    }
    assert counts == {
        ("ServiceMonitor", "selected"): 2,
        ("ServiceMonitor", "rejected"): 0,
        ("PodMonitor", "selected"): 1,
        ("PodMonitor", "rejected"): 0,
        ("PrometheusRule", "selected"): 1,
        ("PrometheusRule", "rejected"): 0,
    }


def test_the_rules_reach_prometheus_as_they_are(operated: Operated) -> None:
    written = yaml.safe_load((MANIFESTS / "monitoring" / "rules.yaml").read_text())["groups"]
    assert [each["groups"] for each in operated.rules] == [written]


OPERATOR, COLLECTOR, PREDICTOR, OTHER = (f"192.0.2.{number}" for number in (10, 11, 12, 13))
"""Addresses of documentation: nothing is sent there, for all scrapes go to a proxy on this machine, which answers for them."""
TOLD = {
    OPERATOR: 'refit_models{namespace="team-a",state="Ready"} 1',
    COLLECTOR: 'refit_feature_drifted{namespace="team-a",model="heart",column="thalach"} 1',
    PREDICTOR: 'refit_predictor_model_info{model="heart",version="3"} 1',
    OTHER: "someone_else 1",
}


class Proxy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{TOLD[str(urlsplit(self.path).hostname)]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not to the terminal."""


def pod(namespace: str, name: str, ip: str, **labels: str) -> dict[str, Any]:
    ports = [{"name": "user-port", "containerPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "none", "ports": ports}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
    }


def served(admin: Client, manifest: str, ip: str) -> None:
    """The Service as shipped, with a pod behind each of its ports."""
    documents = yaml.safe_load_all((MANIFESTS / manifest).read_text())
    (service,) = [each for each in documents if each["kind"] == "Service"]
    put(admin, service)
    metadata = {name: service["metadata"][name] for name in ("name", "namespace", "labels")}
    behind = {"ip": ip, "targetRef": {"kind": "Pod", "name": f"{metadata['name']}-0", "namespace": SYSTEM}}
    ports = [{"name": each["name"], "port": each["port"]} for each in service["spec"]["ports"]]
    subsets = [{"addresses": [behind], "ports": ports}]
    put(admin, {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets})
    run(admin, pod(SYSTEM, f"{metadata['name']}-0", ip))


def run(admin: Client, manifest: dict[str, Any]) -> None:
    """A pod that a kubelet would have started."""
    put(admin, {name: value for name, value in manifest.items() if name != "status"})
    path = f"/api/v1/namespaces/{manifest['metadata']['namespace']}/pods/{manifest['metadata']['name']}/status"
    admin.merge(path, {"status": manifest["status"]}).accepted()


@contextmanager
def prometheus(operated: Operated, folder: Path, proxy: str) -> Iterator[str]:
    """The address of a Prometheus with that configuration, as its pod would have it: by the reloader, which fills in
    $(SHARD), with the rule files mounted, and, unlike its pod, with a kubeconfig and through the proxy."""
    rules = folder / "rules"
    rules.mkdir()
    for number, each in enumerate(operated.rules):
        (rules / f"{number}.yaml").write_text(yaml.safe_dump(each))
    found = json.loads(json.dumps(operated.configuration).replace("$(SHARD)", "0"))
    found["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
    found["rule_files"] = [f"{rules}/*.yaml"]
    for job in found["scrape_configs"]:
        job["proxy_url"] = proxy
        for discovery in job["kubernetes_sd_configs"]:
            discovery["kubeconfig_file"] = str(operated.plane.kubeconfig)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(found))
    (port,) = free_ports(1)
    command: list[str | Path] = [
        programs() / "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(folder, command):
        yield f"http://127.0.0.1:{port}/api/v1"


def asked(url: str, **query: str) -> dict[str, Any]:
    """The answer's data; none while it can not be had."""
    try:
        found: dict[str, Any] = httpx.get(url, params=query, timeout=30).raise_for_status().json()["data"]
    except httpx.HTTPError:
        return {}
    return found


def series(url: str, query: str) -> list[dict[str, str]]:
    return [one["metric"] for one in asked(f"{url}/query", query=query).get("result", ())]


def test_prometheus_finds_our_pods_by_it_and_no_others_and_names_them_as_the_rules_expect(
    operated: Operated, tmp_path: Path
) -> None:
    admin = operated.admin
    served(admin, "operator.yaml", OPERATOR)
    served(admin, "collector.yaml", COLLECTOR)
    role = {"app.kubernetes.io/managed-by": "refit", "refit.dev/role": "predictor"}
    run(admin, pod(TEAM, "heart-predictor-0", PREDICTOR, **role))
    run(admin, pod(TEAM, "trainer-0", OTHER, **{"app.kubernetes.io/managed-by": "refit"}))
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        with prometheus(operated, tmp_path, f"http://127.0.0.1:{proxy.server_port}") as url:
            try:
                wait_until(lambda: len(series(url, "up == 1")) >= 3, what="three scrapes", within=WITHIN)
            except HarnessError as error:
                raise AssertionError((tmp_path / "prometheus.log").read_text()) from error
            up = {(one["job"], one["namespace"], one["pod"], one["instance"]) for one in series(url, "up")}
            models, drifted, info = (
                series(url, name) for name in ("refit_models", "refit_feature_drifted", "refit_predictor_model_info")
            )
            groups = asked(f"{url}/rules")["groups"]
        proxy.shutdown()
    assert up == {
        ("refit-operator", SYSTEM, "refit-operator-0", f"{OPERATOR}:8080"),
        ("refit-collector", SYSTEM, "refit-collector-0", f"{COLLECTOR}:8080"),
        ("refit-system/refit-predictors", TEAM, "heart-predictor-0", f"{PREDICTOR}:8080"),
    }
    # What speaks of a model in another namespace keeps that namespace; a predictor gets its own.
    assert [one["namespace"] for one in (*models, *drifted, *info)] == [TEAM, TEAM, TEAM]
    written = yaml.safe_load((MANIFESTS / "monitoring" / "rules.yaml").read_text())["groups"]
    assert {each["name"]: len(each["rules"]) for each in groups} == {
        each["name"]: len(each["rules"]) for each in written
    }
