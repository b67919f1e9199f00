"""From a bare machine to a cluster with KServe: each step is skipped when its result is already there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TextIO

from refit_cluster import debian, engine, golang, images, kind, kserve, node, packages, registry, versions
from refit_cluster.golang import Program
from refit_cluster.kserve import Kubectl
from refit_cluster.places import Places
from refit_cluster.progress import Progress
from refit_cluster.shell import HarnessError, found


class Source(Enum):
    """Where the cluster comes from."""

    CONTEXT = "the context in REFIT_CONTEXT"
    PULLED = "kind with its published node image"
    BUILT = "kind with a node image built here"


@dataclass(frozen=True)
class Cluster:
    """What `up` leaves in the state directory for the other commands."""

    source: Source
    context: str
    kubeconfig: Path | None
    registry: str
    audit_log: Path | None

    def write(self, places: Places) -> None:
        places.state.mkdir(parents=True, exist_ok=True)
        plain = {**asdict(self), "source": self.source.name}
        _record(places).write_text(json.dumps(plain, indent=2, default=str) + "\n")

    @classmethod
    def read(cls, places: Places) -> Cluster | None:
        try:
            plain = json.loads(_record(places).read_text())
        except FileNotFoundError:
            return None
        for name in ("kubeconfig", "audit_log"):
            plain[name] = Path(plain[name]) if plain[name] else None
        return cls(**{**plain, "source": Source[plain["source"]]})

    def kubectl(self, places: Places) -> Kubectl:
        return Kubectl(tool(golang.KUBERNETES, "kubectl", places), self.kubeconfig, self.context)


def _record(places: Places) -> Path:
    return places.state / "cluster.json"


BUILT_PROGRAMS = (
    golang.KUBERNETES,
    golang.ETCD,
    golang.KIND,
    golang.COREDNS,
    golang.LOCAL_PATH,
    golang.REGISTRY,
    golang.HELM,
    golang.KSERVE,
    golang.KSERVE_ROUTER,
)
# Steps of `_use_kind` besides the programs.
OTHER_STEPS = 8


def tool(program: Program, name: str, places: Places) -> Path:
    """The pinned program from the cache, else the one on PATH."""
    pinned = program.binary(places, name)
    on_path = found(name)
    if pinned.is_file():
        return pinned
    if on_path is None:
        raise HarnessError(f"{name} is neither on PATH nor built yet: run `up` first")
    return on_path


def up(environ: Mapping[str, str], places: Places, out: TextIO) -> Cluster:
    context = environ.get("REFIT_CONTEXT")
    registry_address = environ.get("REFIT_REGISTRY")
    cluster = _use_context(context, registry_address, places, out) if context else _use_kind(places, out)
    cluster.write(places)
    return cluster


def _use_context(context: str, address: str | None, places: Places, out: TextIO) -> Cluster:
    if not address:
        raise HarnessError("REFIT_CONTEXT is set, so REFIT_REGISTRY must name a registry that its nodes can pull from")
    steps = Progress(3, out)
    kubeconfig = Path(os.environ["KUBECONFIG"]) if os.environ.get("KUBECONFIG") else None
    cluster = Cluster(Source.CONTEXT, context, kubeconfig, address, None)
    with steps.step(f"asking the API server of {context}"):
        if found("kubectl") is None:
            golang.build(golang.KUBERNETES, places)
        cluster.kubectl(places)("get", "--raw", "/readyz", timeout=30)
    with steps.step("installing KServe if it is absent"):
        if not kserve.is_installed(cluster.kubectl(places)):
            if found("helm") is None:
                golang.build(golang.HELM, places)
            kserve.install(cluster.kubectl(places), tool(golang.HELM, "helm", places), kserve.Images.published())
    _get_programs_of_tests(places, steps)
    return cluster


def _use_kind(places: Places, out: TextIO) -> Cluster:
    steps = Progress(len(BUILT_PROGRAMS) + OTHER_STEPS, out)
    with steps.step("finding a Docker engine"):
        _ensure_engine(places, steps)
        source = _source()
    programs = _programs(source)
    steps.total = len(programs) + OTHER_STEPS
    for program in programs:
        with steps.step(f"building {', '.join(program.packages)} {program.version}", program.first_time):
            golang.build(program, places)
    with steps.step("getting the node image", "3 min"):
        node_image = versions.KIND_NODE_IMAGE if source is Source.PULLED else node.image(places)
    with steps.step(f"starting the registry at {registry.ADDRESS}"):
        registry.start(places, _registry_image(source, places))
    kubectl = Kubectl(tool(golang.KUBERNETES, "kubectl", places), places.kubeconfig)
    with steps.step(f"creating the kind cluster {kind.NAME}"):
        if not kind.is_up(places, node_image):
            kind.create(places, tool(golang.KIND, "kind", places), node_image, kind.minor_of(node_image))
        registry.wire()
    with steps.step("waiting for its name server and storage"):
        for name, namespace in (("coredns", "kube-system"), ("local-path-provisioner", "local-path-storage")):
            kubectl("rollout", "status", f"deployment/{name}", "--namespace", namespace, "--timeout=180s")
    with steps.step("getting KServe's images", "1 min"):
        kserve_images = _kserve_images(source, places)
    with steps.step(f"installing KServe {versions.KSERVE}", "30 s"):
        kserve.install(kubectl, tool(golang.HELM, "helm", places), kserve_images)
    _get_programs_of_tests(places, steps)
    return Cluster(source, f"kind-{kind.NAME}", places.kubeconfig, registry.ADDRESS, places.audit_log)


PACKAGES_OF_TESTS = (
    "chromium",
    "fonts-dejavu-core",
    "libharfbuzz-subset0",
    "libpango-1.0-0",
    "libpangoft2-1.0-0",
    "postgresql",
)
"""Debian's, for the tests of the page, of reports and of the audit."""


def _get_programs_of_tests(places: Places, steps: Progress) -> None:
    with steps.step("getting promtool, Alertmanager, Chromium, PostgreSQL and what draws PDFs, for the tests", "1 min"):
        if not packages.ensure_promtool(places):
            steps.say("no promtool to be had here: the tests of the alert rules will be skipped")
        if not packages.ensure_alertmanager(places):
            steps.say("no Alertmanager to be had here: the test that runs it will be skipped")
        if found("apt-get") is not None:
            debian.install(debian.absent(PACKAGES_OF_TESTS))


def _ensure_engine(places: Places, steps: Progress) -> None:
    if engine.answers():
        return
    if not engine.can_be_installed():
        raise HarnessError("no Docker engine answers: start one, or name a cluster in REFIT_CONTEXT")
    absent = debian.absent(engine.PACKAGES)
    if absent:
        steps.say(f"installing with apt-get: {' '.join(absent)}")
        debian.install(absent)
    if not engine.answers():
        steps.say("starting dockerd")
        engine.start(places)


def _source() -> Source:
    """Pulling is tried, not guessed: where no registry can be reached it fails within a second."""
    return Source.PULLED if images.can_be_had(versions.KIND_NODE_IMAGE) else Source.BUILT


def _programs(source: Source) -> tuple[Program, ...]:
    if source is Source.BUILT:
        return BUILT_PROGRAMS
    return (golang.KIND, golang.HELM, *(() if found("kubectl") else (golang.KUBERNETES,)))


def _registry_image(source: Source, places: Places) -> str:
    if source is Source.PULLED:
        return versions.REGISTRY_IMAGE
    return images.of_binary(places, "registry", golang.REGISTRY.binary(places, "registry"))


def _kserve_images(source: Source, places: Places) -> kserve.Images:
    published = kserve.Images.published()
    if source is Source.PULLED:
        return published
    # The charts forbid root, so the image names another user by number.
    manager = images.of_binary(
        places, "kserve-controller", golang.KSERVE.binary(places, "manager"), "/manager", "65532"
    )
    router = images.of_binary(
        places, "kserve-router", golang.KSERVE_ROUTER.binary(places, "router"), "/router", "65532"
    )
    base = images.python_base(places)
    initializer = images.of_recipe(
        places, "storage-initializer", base, arguments={"KSERVE_STORAGE": versions.KSERVE_STORAGE}
    )
    return kserve.Images(
        controller=registry.push(manager, "kserve-controller"),
        storage_initializer=registry.push(initializer, "kserve-storage-initializer"),
        # Nothing of Refit needs it until an InferenceService asks for KServe's logger.
        agent=f"{registry.ADDRESS}/kserve-agent:{versions.KSERVE}",
        router=registry.push(router, "kserve-router"),
    )
