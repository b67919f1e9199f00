"""People with certificates of their own on the real cluster: who they are is what the API server says they are."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from real_cluster import RealCluster, Space, eventually


@dataclass(frozen=True)
class Person:
    """Somebody who has kubectl and a certificate, and nothing else."""

    name: str
    kubectl: tuple[str, ...]

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.kubectl, *arguments], input=text, capture_output=True, text=True, check=False)

    def decide(
        self, space: Space, request: str, decision: str = "Approved", **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """`kubectl patch` of the status field, with the digest that stands there."""
        path = space.path("refit.dev/v1alpha1", "remediationrequests", request)
        digest = space.cluster.client.get(path).accepted()["status"]["proposal"]["digest"]
        entry = {"decision": decision, "proposalDigest": digest, **more}
        patch = json.dumps({"status": {"approvals": {self.name: entry}}})
        return self.run("patch", "rreq", request, "-n", space.name, "--subresource=status", "--type=merge", "-p", patch)


def person(cluster: RealCluster, folder: Path, name: str, *groups: str) -> Person:
    """A person with a certificate that the cluster's own authority signed."""
    key, request = folder / f"{name}.key", folder / f"{name}.csr"
    subject = "".join(f"/O={group}" for group in groups) + f"/CN={name}"
    command = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", subject]
    subprocess.run([*command, "-keyout", str(key), "-out", str(request)], check=True, capture_output=True)
    signing = f"refit-test-{name}"
    cluster.run("delete", "csr", signing, "--ignore-not-found")
    manifest = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": signing},
        "spec": {
            "request": base64.b64encode(request.read_bytes()).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "expirationSeconds": 3600,
            "usages": ["client auth"],
        },
    }
    cluster.run("create", "-f", "-", text=json.dumps(manifest))
    cluster.run("certificate", "approve", signing)
    signed = eventually(
        lambda: cluster.run("get", "csr", signing, "-o", "jsonpath={.status.certificate}"), 30, f"{signing} is signed"
    )
    config = yaml.safe_load(cluster.run("config", "view", "--raw", "--minify"))
    config["users"] = [
        {
            "name": config["users"][0]["name"],
            "user": {
                "client-certificate-data": signed,
                "client-key-data": base64.b64encode(key.read_bytes()).decode(),
            },
        }
    ]
    own = folder / f"{name}.kubeconfig"
    own.write_text(yaml.safe_dump(config))
    own.chmod(0o600)
    return Person(name, (cluster.kubectl[0], "--kubeconfig", str(own)))


def grant(space: Space, role: str, user: str) -> None:
    """A RoleBinding of a shipped ClusterRole in this namespace."""
    space.cluster.run(
        "create", "rolebinding", f"{user}-{role}", f"--clusterrole={role}", f"--user={user}", "-n", space.name
    )
