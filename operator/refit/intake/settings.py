"""Settings of the intake: environment variables with the prefix REFIT_INTAKE_, read once into a frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from refit.intake.targets import TargetLabels

PREFIX = "REFIT_INTAKE_"
PLAIN_PORT, TLS_PORT = 8090, 8443


class IntakeSettingsError(ValueError):
    """A setting is wrong; the message is one line that names it."""


def _labels(text: object) -> object:
    return TargetLabels.parse(text) if isinstance(text, str) else text


def _names(text: object) -> object:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text


class IntakeSettings(BaseModel):
    """Each field is a variable: REFIT_INTAKE_ and its name in capitals. An empty variable is none."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    port: Annotated[int, Field(ge=1, le=65535)] = PLAIN_PORT
    """8443 with a certificate, else 8090."""
    tls_cert: Path | None = None
    """Certificate (chain) of the server, PEM; read again when it changes."""
    tls_key: Path | None = None
    """Its key, PEM."""
    tls_client_ca: Path | None = None
    """Authorities whose client certificates are taken on /v1/alertmanager."""
    tls_client_names: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    """DNS names or common names of client certificates that are taken, comma-separated; empty for all of the authority."""
    strict: bool = False
    """On /v1/alertmanager a token and a client certificate, not one of them."""
    token_file: Path | None = None
    """Bearer tokens of /v1/alertmanager, one a line, at most two."""
    events_secret_file: Path | None = None
    """Secrets of /v1/events, one a line, at most two."""
    github_secret_file: Path | None = None
    """Secrets of /v1/github, one a line, at most two."""
    database: Path = Path("/var/lib/refit/intake/alerts.db")
    """The store, on a volume of its own."""
    target_labels: Annotated[TargetLabels, BeforeValidator(_labels)] = TargetLabels()
    """Which labels of an alert name its model: namespace=<label>,model=<label>."""
    transitions_per_hour: Annotated[int, Field(ge=2, le=1000)] = 6
    """An alert that changes between firing and resolved more often is Flapping."""
    source_per_minute: Annotated[int, Field(ge=1, le=100000)] = 600
    """Alerts of one sender that are passed on; the others are stored and wait."""
    target_per_minute: Annotated[int, Field(ge=1, le=100000)] = 30
    """Alerts of one model that are passed on."""

    @field_validator("tls_cert", "tls_key", "tls_client_ca")
    @classmethod
    def _is_a_file(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError("no such file")
        return path

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("REFIT_INTAKE_TLS_CERT and REFIT_INTAKE_TLS_KEY go together")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError("REFIT_INTAKE_TLS_CLIENT_CA needs REFIT_INTAKE_TLS_CERT and REFIT_INTAKE_TLS_KEY")
        if self.tls_client_names and self.tls_client_ca is None:
            raise ValueError("REFIT_INTAKE_TLS_CLIENT_NAMES needs REFIT_INTAKE_TLS_CLIENT_CA")
        if self.strict and (self.token_file is None or self.tls_client_ca is None):
            raise ValueError("REFIT_INTAKE_STRICT needs REFIT_INTAKE_TOKEN_FILE and REFIT_INTAKE_TLS_CLIENT_CA")
        return self

    @property
    def off(self) -> str:
        """Why there is no intake; empty if there is one: nobody could be let in."""
        if self.tls_client_ca is not None:
            return ""
        files = {
            "REFIT_INTAKE_TOKEN_FILE": self.token_file,
            "REFIT_INTAKE_EVENTS_SECRET_FILE": self.events_secret_file,
            "REFIT_INTAKE_GITHUB_SECRET_FILE": self.github_secret_file,
        }
        if any(path is not None and path.exists() for path in files.values()):
            return ""
        set_ = [f"{name} ({path}) does not exist" for name, path in files.items() if path is not None]
        return "; ".join(set_) or f"none of {', '.join(files)} and REFIT_INTAKE_TLS_CLIENT_CA is set"

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> IntakeSettings:
        """Raises IntakeSettingsError naming the variable."""
        given = {
            key.removeprefix(PREFIX).lower(): value
            for key, value in environment.items()
            if key.startswith(PREFIX) and value
        }
        # Kubernetes sets variables for each Service of the namespace; that of refit-intake looks like a setting.
        given = {key: value for key, value in given.items() if not key.startswith(("port_", "service_"))}
        if given.get("port", "").startswith("tcp://"):
            del given["port"]
        if "tls_cert" in given:
            given.setdefault("port", str(TLS_PORT))
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            name = f"{PREFIX}{first['loc'][0]}".upper() + ": " if first["loc"] else ""
            text = first["msg"].removeprefix("Value error, ")
            shown = (
                "" if first["type"] == "extra_forbidden" or not first["loc"] else f" (is {str(first['input'])[:80]!r})"
            )
            raise IntakeSettingsError(f"{name}{text}{shown}") from None
