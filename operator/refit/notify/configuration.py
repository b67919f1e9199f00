"""Who is told what, and how: notifications.yaml in a mounted Secret, beside the files that hold the secrets it names."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from refit.api.base import Choice
from refit.api.notices import Notice, NoticeKind, Severity

FILE = "notifications.yaml"
UNASKED = frozenset(NoticeKind) - {NoticeKind.REPORT}
"""What a route wants that names no kinds: a report comes on top of what was told already."""

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
Key = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[-._a-zA-Z0-9]+$")]
"""A file beside notifications.yaml, which is a key of the same Secret."""
Pattern = Annotated[str, Field(min_length=1, max_length=253)]


class ConfigurationError(ValueError):
    """notifications.yaml is wrong; the message is one line that names the field."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Security(Choice):
    """How a mail server is spoken to; Plain is for one on the same machine, and takes no password."""

    START_TLS = "StartTLS"
    TLS = "TLS"
    PLAIN = "Plain"


class Mail(_Part):
    """A mail server and who is written to. User name and password are files; the server's certificate is checked."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Security = Security.START_TLS
    sender: Annotated[str, Field(min_length=3, max_length=254, pattern=r"^[^\s@<>]+@[^\s@<>]+$", alias="from")]
    to: Annotated[
        tuple[Annotated[str, Field(max_length=254, pattern=r"^[^\s@<>]+@[^\s@<>]+$")], ...],
        Field(min_length=1, max_length=32),
    ]
    username_file: Key | None = None
    password_file: Key | None = None
    authority_file: Key | None = None

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.username_file is None) != (self.password_file is None):
            raise ValueError("usernameFile and passwordFile go together")
        if self.security is Security.PLAIN and self.password_file is not None:
            raise ValueError("a password is not sent without TLS: set security to StartTLS or TLS")
        return self


class Slack(_Part):
    """An incoming webhook of Slack, or of what understands the same; its URL is a secret, hence a file."""

    url_file: Key


class Webhook(_Part):
    """Any HTTP receiver: JSON, with a bearer token if one is named, and signed (Standard Webhooks) if a secret is."""

    url_file: Key
    token_file: Key | None = None
    secret_file: Key | None = None


class Service(_Part):
    """Teams and others, by a URL of Apprise; it holds secrets, hence a file."""

    url_file: Key


class Receiver(_Part):
    """A name, and exactly one way to write there."""

    name: Name
    mail: Mail | None = None
    slack: Slack | None = None
    webhook: Webhook | None = None
    apprise: Service | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [way for way in (self.mail, self.slack, self.webhook, self.apprise) if way is not None]
        if len(ways) != 1:
            raise ValueError("name exactly one of mail, slack, webhook and apprise")
        return self


class Route(_Part):
    """What goes to which receivers: all that is severe enough, about such models, and of such kinds."""

    receivers: Annotated[tuple[Name, ...], Field(min_length=1)]
    severity: Severity = Severity.LOW
    namespaces: tuple[Pattern, ...] = ("*",)
    models: tuple[Pattern, ...] = ("*",)
    kinds: tuple[NoticeKind, ...] | None = None

    def wants(self, notice: Notice) -> bool:
        """Whether such a notice goes that way."""
        order = list(Severity)
        return (
            notice.kind in (UNASKED if self.kinds is None else self.kinds)
            and order.index(notice.severity) >= order.index(self.severity)
            and any(fnmatchcase(notice.namespace, pattern) for pattern in self.namespaces)
            and any(fnmatchcase(notice.model, pattern) for pattern in self.models)
        )


class Grouping(_Part):
    """What comes close together is one message: how long the first waits for others, how long until the next message
    to the same receiver, and how long the same topic is told once only."""

    wait_seconds: Annotated[int, Field(ge=0, le=3600)] = 10
    interval_seconds: Annotated[int, Field(ge=0, le=86400)] = 60
    repeat_seconds: Annotated[int, Field(ge=0, le=604800)] = 3600


class Configuration(_Part):
    """Receivers and routes, and where the approval page is."""

    page: Annotated[str, Field(max_length=512, pattern=r"^https?://[^\s]+$")] | None = None
    receivers: Annotated[tuple[Receiver, ...], Field(min_length=1, max_length=64)]
    routes: Annotated[tuple[Route, ...], Field(min_length=1, max_length=256)]
    grouping: Grouping = Grouping()

    @model_validator(mode="after")
    def _known(self) -> Self:
        names = [receiver.name for receiver in self.receivers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two receivers are called {twice[0]}")
        for number, route in enumerate(self.routes):
            unknown = sorted(set(route.receivers) - set(names))
            if unknown:
                raise ValueError(f"routes.{number}.receivers: there is no receiver {unknown[0]}")
        return self

    def receivers_of(self, notice: Notice) -> tuple[str, ...]:
        """Names of those who are told; each once, however many routes lead there."""
        found = [name for route in self.routes if route.wants(notice) for name in route.receivers]
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Secrets:
    """The folder of the secrets that notifications.yaml names; read when they are needed, so a new one is used at once."""

    folder: Path

    def text(self, key: str) -> str:
        """What the file holds, less blank space around it; raises ConfigurationError."""
        try:
            found = (self.folder / key).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{key}: cannot be read: {error}") from None
        if not found:
            raise ConfigurationError(f"{key}: the file is empty")
        return found


def read(folder: Path) -> Configuration | None:
    """The configuration in that folder; None if there is none. Raises ConfigurationError naming the field or the file."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        found = Configuration.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{FILE}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{FILE} is no YAML: {' '.join(str(error).split())[:200]}") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{FILE}: {where + ': ' if where else ''}{text}") from None
    secrets = Secrets(folder)
    for receiver in found.receivers:
        for way in (receiver.mail, receiver.slack, receiver.webhook, receiver.apprise):
            for field, key in way if way is not None else ():
                if field.endswith("_file") and key is not None:
                    secrets.text(key)
    return found
