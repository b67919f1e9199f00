"""Where everything lives: one cache directory outside the checkout, keyed by version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Paths under the cache. What is under `state` belongs to the running cluster, the rest can be rebuilt from pins."""

    root: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Places:
        named = environ.get("REFIT_CACHE")
        if named:
            return cls(Path(named).expanduser().absolute())
        return cls(Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "refit")

    def binaries(self, name: str, version: str) -> Path:
        return self.root / "bin" / f"{name}-{version}"

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def docker_data(self) -> Path:
        return self.root / "docker"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        return self.state / "audit" / "audit.log"

    @property
    def images(self) -> Path:
        return self.state / "images.json"

    @property
    def registry_data(self) -> Path:
        return self.root / "registry"
