"""Every version the harness pins, so that an upgrade is one diff here.

kind and Kubernetes move together: Kubernetes 1.35 is the last release whose kubelet accepts containerd 1.x,
which is what the distribution packages, and kind v0.33 still boots nodes on cgroup v1.
"""

KUBERNETES = "v1.35.4"
ETCD = "v3.6.16"
KIND = "v0.33.0"
COREDNS = "v1.14.7"
LOCAL_PATH_PROVISIONER = "v0.0.30"
REGISTRY = "v3.1.2"
HELM = "v3.21.4"
KSERVE = "v0.20.0"
KSERVE_STORAGE = "0.21.0"
# A version of which every module, nested ones too, could be had; it is built with a Prometheus that its go.mod names.
PROMETHEUS_OPERATOR = "v0.92.1"

DEBIAN = "bookworm"
# As that Debian has them; a published image of the same version stands in where one can be pulled.
PROMETHEUS = "2.42.0"
ALERTMANAGER = "0.25.0"

# Where container registries answer, kind's own image is used: the one this kind release was tested with.
KIND_NODE_IMAGE = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
REGISTRY_IMAGE = "docker.io/library/registry:3"


def minor(version: str) -> int:
    """35 for v1.35.4: the number that decides which configuration formats apply."""
    return int(version.removeprefix("v").split(".")[1])


PYTHON_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
"""The base that the project's Dockerfiles name."""
