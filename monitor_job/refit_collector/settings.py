"""What the collector is told from outside: the environment, read once into a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

PREFIX = "REFIT_COLLECTOR_"
_MIB = 1024 * 1024
_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class SettingsError(ValueError):
    """A setting is missing or wrong; the message is one line that names it."""


class Settings(BaseModel):
    """Every setting of the collector; each is an environment variable with the prefix REFIT_COLLECTOR_."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    data_dir: Path
    """Directory of the store, on a volume of its own. One process uses it at a time."""
    host: str = "0.0.0.0"  # noqa: S104  # a pod is asked from outside
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    tokens_file: Path | None = None
    """Lines of a token and a namespace, or * for all; read again when it changes."""
    admin_serviceaccounts: tuple[str, ...] = ()
    """ServiceAccounts that may use every namespace, as namespace:name, comma-separated."""
    queue_bytes: Annotated[int, Field(ge=_MIB, le=4096 * _MIB)] = 32 * _MIB
    """Bytes of requests that may wait to be stored; beyond it the answer is 503."""
    roll_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    """How old events get before they roll to Parquet."""
    roll_bytes: Annotated[int, Field(ge=65536, le=1024 * _MIB)] = 64 * _MIB
    """How many bytes of events gather before they roll to Parquet."""
    retention_hours: Annotated[int, Field(ge=1, le=87600)] = 720
    """How long events, labels and measurements are kept."""
    max_bytes: Annotated[int, Field(ge=_MIB)] = 8192 * _MIB
    """How much of the disk is used; the oldest segments go first. Never more than the volume less its reserve."""
    reserve_bytes: Annotated[int, Field(ge=65536)] = 64 * _MIB
    """Room left free on the volume, at most a tenth of it, so that rolling and expiry can work when it is full."""
    pair_seconds: Annotated[int, Field(ge=1, le=86400)] = 300
    """How long half a pair of CloudEvents waits for the other half before it counts as an orphan."""
    windows: Annotated[int, Field(ge=1, le=64)] = 2
    """Windows that are read at the same time; one more is answered 503."""
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    api_server: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None = None
    """Address of the API server that reviews tokens; in a pod that of the cluster."""
    api_ca_file: Path = _IN_CLUSTER / "ca.crt"
    api_token_file: Path = _IN_CLUSTER / "token"

    @field_validator("admin_serviceaccounts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("admin_serviceaccounts")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            namespace, colon, name = each.partition(":")
            if not (namespace and colon and name):
                raise ValueError("each must be namespace:name")
        return value


def read(environment: Mapping[str, str]) -> Settings:
    """The settings in the environment; raises SettingsError naming the variable."""
    given = {
        name: text for name in Settings.model_fields if (text := environment.get(PREFIX + name.upper(), "").strip())
    }
    if "api_server" not in given and (host := environment.get("KUBERNETES_SERVICE_HOST")):
        shown = f"[{host}]" if ":" in host else host
        given["api_server"] = f"https://{shown}:{environment.get('KUBERNETES_SERVICE_PORT', '443')}"
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        value = "" if first["type"] == "missing" else f" (is {str(first['input'])[:80]!r})"
        raise SettingsError(f"{name}: {first['msg']}{value}") from None
    if settings.tokens_file is None and settings.api_server is None:
        raise SettingsError(
            f"{PREFIX}TOKENS_FILE: name a file of tokens; outside a cluster there is no other way to log in"
        )
    return settings
