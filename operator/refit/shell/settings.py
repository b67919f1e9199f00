"""Settings: the environment, read once into a frozen value. A bad one ends the process with one line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from refit.core.observed import Config

PINNED = r"^[^\s@]+@sha256:[0-9a-f]{64}$"


class SettingsError(ValueError):
    """A setting is missing or wrong; the message is one line that names it."""


class Settings(BaseSettings):
    """Every setting of the operator; each is an environment variable with the prefix REFIT_."""

    model_config = SettingsConfigDict(env_prefix="REFIT_", frozen=True, extra="ignore")

    trainer_image: Annotated[str, Field(pattern=PINNED)]
    """Image of training Jobs, by digest."""
    predictor_image: Annotated[str, Field(pattern=PINNED)]
    """Image of predictors, by digest."""
    monitor_image: Annotated[str, Field(pattern=PINNED)]
    """Image of the collector and of measurement Jobs, by digest."""
    report_image: Annotated[str, Field(pattern=rf"{PINNED}|^$")] = ""
    """Image of report Jobs, by digest; without it no reports are made."""
    cluster_name: Annotated[str, Field(max_length=128)] = ""
    """This cluster's name, as reports and notifications give it."""
    collector_url: Annotated[str, Field(pattern=r"^(https?://[^\s@]+)?$")] = ""
    """The collector's address as pods reach it; without it nothing is kept and nothing measured."""
    prometheus_url: Annotated[str, Field(pattern=r"^(https?://[^\s@]+)?$")] = ""
    """The Prometheus that answers monitoring.queries, as pods reach it."""
    identity: Annotated[str, Field(min_length=1, max_length=256)] = "system:serviceaccount:refit-system:refit-operator"
    """The operator's user name, by which it signs the requests it makes."""
    audit_database: Annotated[str, Field(min_length=1)] = "/var/lib/refit/audit.db"
    """The audit: a file on a volume that outlives the pod, or postgresql://user@host/database, without a password."""
    audit_database_password_file: Path | None = None
    """File with the password of that user."""
    audit_keys: Path = Path("/etc/refit/audit")
    """Folder with the keys that rows and checkpoints are signed with; without one nothing risky is done."""
    audit_checkpoint_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """A checkpoint is exported after so many rows."""
    audit_checkpoint_seconds: Annotated[int, Field(ge=1, le=86400)] = 300
    """And after so many seconds, if there are new rows."""
    audit_checkpoint_copy: str = ""
    """Folder, or address of an object store, where each checkpoint is also put as a file of its own."""
    otlp_endpoint: Annotated[str, Field(pattern=r"^(https?://[^\s@]+)?$")] = ""
    """OpenTelemetry collector that spans are sent to, by OTLP over HTTP, such as http://otel:4318/v1/traces; none by default."""
    notify_folder: Path = Path("/etc/refit/notifications")
    """Folder of notifications.yaml and of the secrets it names; without that file nobody is told."""
    notify_outbox: Path = Path("/var/lib/refit/outbox.db")
    """What is still to be told, on a volume that outlives the pod."""
    tracking_uri: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]
    """MLflow's address as pods reach it; a user name or password in it would stand in every log."""
    namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Namespaces to watch, comma-separated; empty for all."""
    workers: Annotated[int, Field(ge=1, le=64)] = 16
    """Passes at the same time."""
    resync_seconds: Annotated[int, Field(ge=10, le=86400)] = 600
    """How often a ModelDeployment is looked at when nothing happens."""
    rollout_timeout_seconds: Annotated[int, Field(ge=10, le=3600)] = 300
    """How long a version may take to become ready."""
    training_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """Jobs of one training, when a Job or its answer is lost."""
    http_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """Port of /metrics, /healthz and /readyz."""
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    kubeconfig: str | None = None
    """Path of a kubeconfig; without it the pod's service account, else the user's own kubeconfig."""
    context: str | None = None
    """Context of that kubeconfig."""

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @classmethod
    def read(cls) -> Settings:
        """The settings of this process; raises SettingsError naming the variable."""
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = f"REFIT_{'_'.join(str(part) for part in first['loc'])}".upper()
            given = "" if first["type"] == "missing" else f" (is {str(first['input'])[:80]!r})"
            raise SettingsError(f"{name}: {first['msg']}{given}") from None

    def config(self) -> Config:
        """What the decisions need of it."""
        return Config(
            trainer_image=self.trainer_image,
            predictor_image=self.predictor_image,
            monitor_image=self.monitor_image,
            report_image=self.report_image,
            cluster_name=self.cluster_name,
            collector_url=self.collector_url.rstrip("/"),
            prometheus_url=self.prometheus_url.rstrip("/"),
            identity=self.identity,
            tracking_uri=self.tracking_uri,
            training_attempts=self.training_attempts,
            rollout_timeout=timedelta(seconds=self.rollout_timeout_seconds),
            resync=timedelta(seconds=self.resync_seconds),
        )
