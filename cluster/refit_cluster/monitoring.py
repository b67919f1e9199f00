"""Prometheus and Alertmanager as pods: our rules, our scrape configuration, and alerts sent to the operator's intake.

What they are configured with are the files that users get, edited as data where this cluster needs it.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from refit_cluster import deploy, images, packages, registry, versions
from refit_cluster.kserve import Kubectl, Manifest
from refit_cluster.places import Places
from refit_cluster.progress import Progress
from refit_cluster.up import Cluster, Source

NAMESPACE = deploy.MONITORING
FOLDER = Path(__file__).resolve().parent.parent / "monitoring"
DISCOVERY = "discovery"
DISCOVERY_URL = "http://127.0.0.1:9099"
DISCOVERY_INTERVAL = "5s"
"""Also how long Prometheus waits for an answer, which on a machine that is busy with tests may take a while."""
CHECKSUM = "refit.dev/configuration"

INTAKE_SECRET = "refit-intake"  # noqa: S105  # a name, not a secret
INTAKE_KEY = "tokens"
TOKEN_KEY = "token"  # noqa: S105  # a name, not a secret


@dataclass(frozen=True)
class Pace:
    """How often is scraped and evaluated, and what every `for` of the rules is in its place, in seconds."""

    interval: int = 2
    waiting: int | None = None


@dataclass(frozen=True)
class Images:
    """References that pods can pull; `discovers` says whether that Prometheus can ask Kubernetes by itself."""

    prometheus: str
    alertmanager: str
    discovers: bool

    @classmethod
    def published(cls) -> Images:
        prometheus = f"docker.io/prom/prometheus:v{versions.PROMETHEUS}"
        return cls(prometheus, f"docker.io/prom/alertmanager:v{versions.ALERTMANAGER}", discovers=True)


def get_images(cluster: Cluster, places: Places, steps: Progress) -> Images:
    """Built and pushed where none can be pulled. No images may be built or dropped meanwhile: the caller holds the lock."""
    with steps.step("getting the images of Prometheus and Alertmanager", "20 s"):
        return _images(cluster.source, places)


def install(checkout: Path, cluster: Cluster, places: Places, found: Images, pace: Pace, steps: Progress) -> None:
    """Both, as the arguments say; what is there already is left alone."""
    kubectl = cluster.kubectl(places)
    with steps.step("configuring them"):
        token, is_new = _token(kubectl)
        folder = checkout / "manifests" / "monitoring"
        rules = yaml.safe_load((folder / "rules.yaml").read_text())
        scraped = yaml.safe_load((folder / "scrape.yaml").read_text())["scrape_configs"]
        kubectl.apply(objects(found, pace, rules, scraped, token))
    with steps.step("waiting for them"):
        if is_new and kubectl.succeeds("get", "deployment", deploy.OPERATOR, "--namespace", deploy.NAMESPACE):
            # It looks for its tokens when it starts.
            kubectl("rollout", "restart", f"deployment/{deploy.OPERATOR}", "--namespace", deploy.NAMESPACE)
        for name in ("prometheus", "alertmanager"):
            kubectl("rollout", "status", f"deployment/{name}", "--namespace", NAMESPACE, "--timeout=180s")


def objects(
    found: Images, pace: Pace, rules: dict[str, Any], scraped: list[dict[str, Any]], token: str
) -> list[Manifest]:
    """Everything in the namespace, whose pods are replaced when what they are configured with has changed."""
    configured = {
        "prometheus": {
            "prometheus.yml": yaml.safe_dump(prometheus_config(pace, scraped, discovers=found.discovers)),
            "rules.yaml": yaml.safe_dump(paced(rules, pace), sort_keys=False),
        },
        "alertmanager": {"alertmanager.yml": (FOLDER / "alertmanager.yml").read_text()},
    }
    references = {"prometheus": found.prometheus, "alertmanager": found.alertmanager}
    manifests = list(yaml.safe_load_all((FOLDER / "objects.yaml").read_text()))
    for manifest in manifests:
        if manifest["kind"] != "Deployment":
            continue
        template, name = manifest["spec"]["template"], manifest["metadata"]["name"]
        template["metadata"]["annotations"] = {CHECKSUM: images.fingerprint(json.dumps([configured[name], token]))}
        containers = template["spec"]["containers"]
        kept = [each for each in containers if each["name"] != DISCOVERY or not found.discovers]
        template["spec"]["containers"] = [{**each, "image": references[each["image"]]} for each in kept]
    secret = _secret(NAMESPACE, {TOKEN_KEY: token})
    # The namespace is the first of them, and what a pod mounts should be there before it.
    return [manifests[0], secret, *(_config_map(name, data) for name, data in configured.items()), *manifests[1:]]


def prometheus_config(pace: Pace, scraped: list[dict[str, Any]], *, discovers: bool) -> dict[str, Any]:
    interval = f"{pace.interval}s"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": ["/etc/prometheus/rules.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"alertmanager.{NAMESPACE}.svc:9093"]}]}]},
        "scrape_configs": scraped if discovers else [_by_http(job) for job in scraped],
    }


def _by_http(job: dict[str, Any]) -> dict[str, Any]:
    """The same job, its targets asked of our discovery."""
    asked = [
        {"url": url, "refresh_interval": DISCOVERY_INTERVAL}
        for config in job["kubernetes_sd_configs"]
        for url in _discovery_urls(config)
    ]
    return {name: value for name, value in job.items() if name != "kubernetes_sd_configs"} | {"http_sd_configs": asked}


def _discovery_urls(config: dict[str, Any]) -> Iterable[str]:
    labels = [("label", selector["label"]) for selector in config.get("selectors", ())]
    for namespace in config.get("namespaces", {}).get("names", [None]):
        query = urlencode([*labels, *([("namespace", namespace)] if namespace else [])])
        yield f"{DISCOVERY_URL}/{config['role']}" + (f"?{query}" if query else "")


def paced(rules: dict[str, Any], pace: Pace) -> dict[str, Any]:
    """The rules as shipped, or with all their waiting made that short, for those who can not wait so long."""
    if pace.waiting is None:
        return rules
    waiting = f"{pace.waiting}s"

    def hurried(rule: dict[str, Any]) -> dict[str, Any]:
        return {name: waiting if name in ("for", "keep_firing_for") else value for name, value in rule.items()}

    groups = [{"name": group["name"], "rules": [hurried(rule) for rule in group["rules"]]} for group in rules["groups"]]
    return {"groups": groups}


def _images(source: Source, places: Places) -> Images:
    if source is not Source.BUILT:
        return Images.published()
    base = images.python_base(places)

    def pushed(name: str, package: packages.Package) -> str:
        packages.unpack(package, places)
        files = {each: package.file(places, each) for each in package.files}
        tag = images.of_recipe(places, name, base, files=files, made_from=package.version)
        return registry.push(tag, f"refit-{name}")

    return Images(
        prometheus=pushed("prometheus", packages.PROMETHEUS),
        alertmanager=pushed("alertmanager", packages.ALERTMANAGER),
        discovers=False,
    )


def _token(kubectl: Kubectl) -> tuple[str, bool]:
    """The token that the operator's intake knows Alertmanager by, and whether it was made just now."""
    asked = ("get", "secret", INTAKE_SECRET, "--namespace", deploy.NAMESPACE, "--ignore-not-found")
    encoded = kubectl(*asked, "--output", f"jsonpath={{.data.{INTAKE_KEY}}}")
    lines = base64.b64decode(encoded).decode().split()
    if lines:
        return lines[0], False
    token = secrets.token_urlsafe(32)
    namespace: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": deploy.NAMESPACE}}
    kubectl.apply([namespace, _secret(deploy.NAMESPACE, {INTAKE_KEY: f"{token}\n"})])
    return token, True


def _secret(namespace: str, data: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": INTAKE_SECRET, "namespace": namespace},
        "data": {name: base64.b64encode(text.encode()).decode() for name, text in data.items()},
    }


def _config_map(name: str, data: dict[str, str]) -> Manifest:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
