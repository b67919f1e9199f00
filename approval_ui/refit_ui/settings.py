"""The page's settings, from the environment. None of them is a secret, and none gives a right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "REFIT_UI_"
IN_CLUSTER = "https://kubernetes.default.svc"
CA_FILE = "/var/run/refit/ca.crt"


class SettingsError(ValueError):
    """A variable that can not be used; the message names it and says what it must be."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`namespaces` are offered to who may not list all; `secrets_file` holds the [auth] section of an OIDC sign-in.

    Without a tracking URI, a Prometheus or a collector the screens say what they therefore do not know.
    """

    api_server: str = IN_CLUSTER
    api_ca_file: str = CA_FILE
    cluster_name: str = ""
    namespaces: tuple[str, ...] = ()
    tracking_uri: str = ""
    prometheus_url: str = ""
    collector_url: str = ""
    refresh_seconds: int = 30
    host: str = "0.0.0.0"  # noqa: S104  # a pod is reached by its address
    port: int = 8501
    secrets_file: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsError."""
        given = {name: environment.get(PREFIX + name.upper(), "").strip() for name in cls.__dataclass_fields__}
        return cls(
            api_server=_url("api_server", given, only="https") or IN_CLUSTER,
            api_ca_file=given["api_ca_file"] or CA_FILE,
            cluster_name=given["cluster_name"],
            namespaces=tuple(filter(None, (one.strip() for one in given["namespaces"].split(",")))),
            tracking_uri=_url("tracking_uri", given),
            prometheus_url=_url("prometheus_url", given),
            collector_url=_url("collector_url", given),
            refresh_seconds=_number("refresh_seconds", given, 2, 3600, 30),
            host=given["host"] or cls.host,
            port=_number("port", given, 1, 65535, 8501),
            secrets_file=_file("secrets_file", given),
        )


def _url(name: str, given: Mapping[str, str], only: str = "") -> str:
    value = given[name].rstrip("/")
    parts = urlsplit(value)
    if value and (parts.scheme not in ({only} if only else {"http", "https"}) or not parts.hostname):
        raise SettingsError(f"{PREFIX}{name.upper()}={value}: must be {only or 'http or https'}://host[:port]")
    return value


def _number(name: str, given: Mapping[str, str], least: int, most: int, default: int) -> int:
    value = given[name]
    if not value:
        return default
    if not value.isdecimal() or not least <= int(value) <= most:
        raise SettingsError(f"{PREFIX}{name.upper()}={value}: must be a number from {least} to {most}")
    return int(value)


def _file(name: str, given: Mapping[str, str]) -> str:
    """A file that may be absent: an optional Secret is mounted as an empty folder."""
    return given[name] if given[name] and Path(given[name]).is_file() else ""
