"""KServe in Standard mode with nothing beside it: no cert-manager, Knative, Istio, gateway or kube-rbac-proxy.

The manifests are KServe's own charts, rendered by helm and edited as data: the charts always ask cert-manager for the
webhook certificate, so those objects are dropped and a self-signed certificate takes their place.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from refit_cluster import certificates, versions
from refit_cluster.golang import KSERVE, module_directory
from refit_cluster.images import fingerprint
from refit_cluster.shell import CommandFailedError, run, wait_until

NAMESPACE = "kserve"
DEPLOYMENT = "kserve-controller-manager"
SECRET = "kserve-webhook-server-cert"  # noqa: S105 - a name, not a secret
SERVICE = "kserve-webhook-server-service"
MARK = "refit.dev/installed-from"

Manifest = dict[str, Any]

CERT_MANAGER_KINDS = frozenset({"Certificate", "Issuer"})
WEBHOOK_KINDS = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})
CONFIGURATION_KINDS = frozenset({"ConfigMap", "ClusterStorageContainer"})
AGENT_KEYS = ("agent", "logger", "batcher")
PROBE = f"""\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: webhook-probe, namespace: {NAMESPACE}, annotations: {{serving.kserve.io/deploymentMode: Standard}}}}
spec: {{predictor: {{containers: [{{name: kserve-container, image: none}}]}}}}
"""


@dataclass(frozen=True)
class Images:
    """References pods can pull: by digest from our registry, or KServe's published ones."""

    controller: str
    storage_initializer: str
    agent: str
    router: str

    @classmethod
    def published(cls) -> Images:
        def named(name: str) -> str:
            return f"docker.io/kserve/{name}:{versions.KSERVE}"

        return cls(named("kserve-controller"), named("storage-initializer"), named("agent"), named("router"))


class Kubectl:
    """kubectl against one cluster."""

    def __init__(self, program: Path, kubeconfig: Path | None, context: str | None = None) -> None:
        self._program: list[str | Path] = [program]
        if kubeconfig:
            self._program += ["--kubeconfig", kubeconfig]
        if context:
            self._program += ["--context", context]

    def __call__(self, *arguments: str | Path, feed: str | None = None, timeout: float = 300) -> str:
        return run([*self._program, *arguments], feed=feed, timeout=timeout)

    def succeeds(self, *arguments: str, feed: str | None = None) -> bool:
        try:
            self(*arguments, feed=feed, timeout=30)
        except CommandFailedError:
            return False
        return True

    def apply(self, manifests: Iterable[Manifest]) -> None:
        """Server-side, because one of KServe's CRDs is larger than the annotation of client-side apply may be."""
        text = yaml.safe_dump_all(list(manifests))
        self("apply", "--server-side", "--force-conflicts", "--field-manager", "refit-cluster", "-f", "-", feed=text)


def rendered(helm: Path, chart: str, *settings: str) -> list[Manifest]:
    charts = module_directory(KSERVE.module, KSERVE.version) / "charts"
    flags = [argument for setting in settings for argument in ("--set", setting)]
    text = run([helm, "template", "kserve", charts / chart, "--namespace", NAMESPACE, *flags])
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def custom_resource_definitions(helm: Path) -> list[Manifest]:
    return rendered(helm, "kserve-crd-minimal")


def resources(helm: Path, images: Images) -> list[Manifest]:
    """Everything but the CRDs, the webhook certificate and the authority that the webhooks are called with."""
    controller = "kserve.controller"
    manifests = rendered(
        helm,
        "kserve-resources",
        f"{controller}.deploymentMode=Standard",
        f"{controller}.gateway.disableIngressCreation=true",
        f"{controller}.gateway.disableIstioVirtualHost=true",
    )
    return edited(manifests, images)


def edited(manifests: Iterable[Manifest], images: Images) -> list[Manifest]:
    kept = [manifest for manifest in manifests if manifest["kind"] not in CERT_MANAGER_KINDS]
    for manifest in kept:
        match manifest["kind"], manifest["metadata"]["name"]:
            case "Deployment", name if name == DEPLOYMENT:
                _edit_controller(manifest, images)
            case "ConfigMap", "inferenceservice-config":
                _edit_config(manifest["data"], images)
            case "ClusterStorageContainer", _:
                _edit_storage_container(manifest["spec"], images)
            case kind, _ if kind in WEBHOOK_KINDS:
                manifest["metadata"].get("annotations", {}).pop("cert-manager.io/inject-ca-from", None)
    return kept


def _edit_controller(manifest: Manifest, images: Images) -> None:
    pod = manifest["spec"]["template"]["spec"]
    pod["containers"] = [container for container in pod["containers"] if container["name"] != "kube-rbac-proxy"]
    for container in pod["containers"]:
        container["image"] = images.controller
        container["imagePullPolicy"] = "IfNotPresent"
        # One replica has nobody to elect, and waiting for the lease costs half a minute after each restart.
        container["args"] = [
            argument for argument in container.get("args", []) if not argument.startswith("--leader-elect")
        ]
        # A tenth of a core makes every reconcile slow enough to look like a fault.
        container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 1}
        container["resources"]["limits"] = {"cpu": "1", "memory": "500Mi"}


def _edit_config(data: dict[str, str], images: Images) -> None:
    """Pod admission parses all of these keys on every pod; a missing one refuses the pod."""
    for key, image in (*((key, images.agent) for key in AGENT_KEYS), ("router", images.router)):
        data[key] = json.dumps({**json.loads(data[key]), "image": image})
    data["storageInitializer"] = json.dumps(
        {**json.loads(data["storageInitializer"]), "image": images.storage_initializer}
    )


def _edit_storage_container(spec: dict[str, Any], images: Images) -> None:
    spec["container"]["image"] = images.storage_initializer
    spec["container"]["imagePullPolicy"] = "IfNotPresent"


def with_authority(manifests: Iterable[Manifest], bundle: str) -> list[Manifest]:
    """The same manifests, with every webhook told which authority signed the controller's certificate."""
    manifests = list(manifests)
    for manifest in manifests:
        if manifest["kind"] in WEBHOOK_KINDS:
            for webhook in manifest["webhooks"]:
                webhook["clientConfig"]["caBundle"] = bundle
    return manifests


def for_a_process(manifests: Iterable[Manifest], url: str, bundle: str) -> list[Manifest]:
    """What the controller needs of the cluster when it runs outside of it, its webhooks called at an address."""
    kept = [manifest for manifest in manifests if manifest["kind"] in (*CONFIGURATION_KINDS, *WEBHOOK_KINDS)]
    for manifest in with_authority(kept, bundle):
        for webhook in manifest.get("webhooks", []):
            webhook["clientConfig"]["url"] = url + webhook["clientConfig"].pop("service")["path"]
    return kept


def is_installed(kubectl: Kubectl) -> bool:
    return kubectl.succeeds("get", "deployment", DEPLOYMENT, "--namespace", NAMESPACE)


def install(kubectl: Kubectl, helm: Path, images: Images) -> bool:
    """Installs or updates KServe; False if the cluster already had exactly this."""
    definitions, manifests = custom_resource_definitions(helm), resources(helm, images)
    mark = fingerprint(json.dumps([definitions, manifests], sort_keys=True))
    read_mark = (
        "get",
        "namespace",
        NAMESPACE,
        "--ignore-not-found",
        "-o",
        f"jsonpath={{.metadata.annotations.{MARK.replace('.', chr(92) + '.')}}}",
    )
    if kubectl(*read_mark) == mark:
        wait_ready(kubectl)
        return False
    namespace: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    kubectl.apply([*definitions, namespace])
    kubectl(
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        *(f"crd/{one['metadata']['name']}" for one in definitions),
    )
    secret, bundle = _webhook_certificate()
    kubectl.apply([secret, *with_authority(manifests, bundle)])
    wait_ready(kubectl)
    kubectl("annotate", "namespace", NAMESPACE, "--overwrite", f"{MARK}={mark}")
    return True


def wait_ready(kubectl: Kubectl) -> None:
    kubectl("rollout", "status", f"deployment/{DEPLOYMENT}", "--namespace", NAMESPACE, "--timeout=180s")
    # Ready pods are not yet endpoints everywhere, and objects that come before the webhook answers are refused.
    wait_until(
        lambda: kubectl.succeeds("create", "--dry-run=server", "-f", "-", feed=PROBE),
        what="an answer of KServe's webhook",
        within=60,
    )


def _webhook_certificate() -> tuple[Manifest, str]:
    directory = Path(tempfile.mkdtemp(prefix="refit-webhook-"))
    try:
        authority = certificates.authority(directory, "refit-kserve-webhooks")
        names = [f"{SERVICE}.{NAMESPACE}.svc", f"{SERVICE}.{NAMESPACE}.svc.cluster.local"]
        pair = certificates.signed(authority, directory, "webhook", user=names[0], hosts=names)
        secret: Manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": SECRET, "namespace": NAMESPACE},
            "data": {"tls.crt": _encoded(pair.certificate), "tls.key": _encoded(pair.key)},
        }
        return secret, _encoded(authority.certificate)
    finally:
        shutil.rmtree(directory)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
