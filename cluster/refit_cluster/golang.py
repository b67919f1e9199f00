"""Programs built from Go modules, once per version, into the cache.

Three ways, because `go install pkg@version` refuses a module whose go.mod has replace directives: INSTALL where it
has none, WRAPPER (a go.mod of ours that requires it) and COPY (build inside a copy of the module).
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from refit_cluster import versions
from refit_cluster.places import Places
from refit_cluster.shell import HarnessError, found, retried, run


class How(Enum):
    INSTALL = "install"
    WRAPPER = "wrapper"
    COPY = "copy"


@dataclass(frozen=True)
class Program:
    """One module at one version and what is built from it: binary name -> package."""

    name: str
    module: str
    version: str
    how: How
    packages: dict[str, str]
    first_time: str
    ldflags: str = ""
    tags: str = ""
    published: tuple[str, ...] = ()
    """For COPY: modules that its go.mod replaces by folders of its repository, and that are published beside it."""

    def directory(self, places: Places) -> Path:
        return places.binaries(self.name, self.version)

    def binary(self, places: Places, name: str) -> Path:
        return self.directory(places) / name


def _kubernetes_version_flags() -> str:
    # Without these the kubelet and every client report v0.0.0-master.
    variable = "k8s.io/component-base/version"
    return (
        f"-X {variable}.gitVersion={versions.KUBERNETES} -X {variable}.gitMajor=1"
        f" -X {variable}.gitMinor={versions.minor(versions.KUBERNETES)}"
    )


CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")

KUBERNETES = Program(
    "kubernetes",
    "k8s.io/kubernetes",
    versions.KUBERNETES,
    How.WRAPPER,
    {name: f"k8s.io/kubernetes/cmd/{name}" for name in (*CONTROL_PLANE, "kube-proxy", "kubelet", "kubeadm", "kubectl")},
    "5 min",
    _kubernetes_version_flags(),
)
ETCD = Program(
    "etcd", "go.etcd.io/etcd/server/v3", versions.ETCD, How.WRAPPER, {"etcd": "go.etcd.io/etcd/server/v3"}, "15 s"
)
KIND = Program("kind", "sigs.k8s.io/kind", versions.KIND, How.INSTALL, {"kind": "sigs.k8s.io/kind"}, "30 s")
COREDNS = Program(
    "coredns",
    "github.com/coredns/coredns",
    versions.COREDNS,
    How.INSTALL,
    {"coredns": "github.com/coredns/coredns"},
    "80 s",
)
LOCAL_PATH = Program(
    "local-path-provisioner",
    "github.com/rancher/local-path-provisioner",
    versions.LOCAL_PATH_PROVISIONER,
    How.COPY,
    {"local-path-provisioner": "."},
    "80 s",
)
REGISTRY = Program(
    "registry",
    "github.com/distribution/distribution/v3",
    versions.REGISTRY,
    How.INSTALL,
    {"registry": "github.com/distribution/distribution/v3/cmd/registry"},
    "45 s",
)
HELM = Program("helm", "helm.sh/helm/v3", versions.HELM, How.INSTALL, {"helm": "helm.sh/helm/v3/cmd/helm"}, "60 s")
KSERVE = Program("kserve", "github.com/kserve/kserve", versions.KSERVE, How.COPY, {"manager": "./cmd/manager"}, "2 min")
KSERVE_ROUTER = Program(
    "kserve-router", "github.com/kserve/kserve", versions.KSERVE, How.COPY, {"router": "./cmd/router"}, "30 s"
)
PROMETHEUS_OPERATOR = Program(
    "prometheus-operator",
    "github.com/prometheus-operator/prometheus-operator",
    versions.PROMETHEUS_OPERATOR,
    How.COPY,
    # Its own go.mod asks for this Prometheus, and most of it is in the operator already.
    {"operator": "./cmd/operator", "prometheus": "github.com/prometheus/prometheus/cmd/prometheus"},
    "3 min",
    tags="remove_all_sd,enable_kubernetes_sd",
    published=tuple(
        f"github.com/prometheus-operator/prometheus-operator/pkg/{name}" for name in ("apis/monitoring", "client")
    ),
)


def go() -> Path:
    tool = found("go", Path("/usr/local/go/bin"))
    if tool is None:
        raise HarnessError("Go is needed to build the cluster's programs: install Go 1.26 or newer and put it on PATH")
    return tool


def module_directory(module: str, version: str) -> Path:
    """Where the module's source is in Go's own cache, downloaded if need be."""
    return Path(_downloaded(module, version)["Dir"])


def _downloaded(module: str, version: str) -> dict[str, str]:
    text = retried(lambda: run([go(), "mod", "download", "-json", f"{module}@{version}"], cwd=Path("/")))
    answer: dict[str, str] = json.loads(text)
    return answer


def wrapper_go_mod(program: Program, go_mod: str) -> str:
    """A go.mod that requires the program, with a replace for each staging module its own go.mod has at v0.0.0.

    k8s.io/utils and k8s.io/kube-openapi are at v0.0.0-DATE and stay as they are: only a bare v0.0.0 matches.
    """
    language = re.search(r"^go (\S+)$", go_mod, re.MULTILINE)
    staging = re.findall(r"^\s+(k8s\.io/[a-z-]+) v0\.0\.0(?: // indirect)?$", go_mod, re.MULTILINE)
    published = "v0." + program.version.removeprefix("v1.")
    lines = [
        f"module refit.invalid/{program.name}",
        f"go {language.group(1) if language else '1.25.0'}",
        f"require {program.module} {program.version}",
        *(f"replace {name} => {name} {published}" for name in staging),
    ]
    return "\n".join(lines) + "\n"


def wrapper_imports(program: Program) -> str:
    imports = "\n".join(f'\t_ "{package}"' for package in program.packages.values())
    return f"//go:build tools\n\npackage tools\n\nimport (\n{imports}\n)\n"


def is_built(program: Program, places: Places) -> bool:
    return all(program.binary(places, name).is_file() for name in program.packages)


def build(program: Program, places: Places) -> None:
    """Builds what is not in the cache yet. The directory appears under its name only when it is complete."""
    if is_built(program, places):
        return
    target = program.directory(places)
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    flags = [
        "-trimpath",
        "-ldflags",
        f"-s -w {program.ldflags}".strip(),
        *(["-tags", program.tags] if program.tags else []),
    ]
    env = {"CGO_ENABLED": "0", "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -buildvcs=false".strip(), "GOWORK": "off"}
    if program.how is How.INSTALL:
        for package in program.packages.values():
            command: list[str | Path] = [go(), "install", *flags, f"{package}@{program.version}"]
            retried(lambda command=command: run(command, cwd=part, env={**env, "GOBIN": str(part)}))  # type: ignore[misc]
    else:
        source = _prepared(program, places, env)
        # A copied module is complete with its go.sum only once its vendor directory is gone, which -mod=mod allows.
        flags = ["-mod=mod", *flags] if program.how is How.COPY else flags
        # One command for all, so that compiling and linking overlap; `go build` names several outputs itself.
        output = f"{part}/" if len(program.packages) > 1 else f"{part}/{next(iter(program.packages))}"
        retried(
            lambda: run([go(), "build", *flags, "-o", output, *program.packages.values()], cwd=source, env=env),
            attempts=2,
        )
        shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def _prepared(program: Program, places: Places, env: dict[str, str]) -> Path:
    source = places.build / program.name
    shutil.rmtree(source, ignore_errors=True)
    module = _downloaded(program.module, program.version)
    if program.how is How.COPY:
        source.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(module["Dir"], source, ignore=shutil.ignore_patterns("vendor"), copy_function=_writable_copy)
        for directory in [source, *(path for path in source.rglob("*") if path.is_dir())]:
            directory.chmod(0o755)
        if program.published:
            run([go(), "mod", "edit", *(f"-dropreplace={name}" for name in program.published)], cwd=source, env=env)
        return source
    source.mkdir(parents=True)
    (source / "go.mod").write_text(wrapper_go_mod(program, Path(module["GoMod"]).read_text()))
    (source / "tools.go").write_text(wrapper_imports(program))
    retried(lambda: run([go(), "mod", "tidy"], cwd=source, env=env))
    return source


def _writable_copy(source: str, target: str) -> None:
    # The module cache is read-only, and so would be a faithful copy of it.
    shutil.copyfile(source, target)
    if os.access(source, os.X_OK):
        Path(target).chmod(0o755)
