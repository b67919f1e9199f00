"""Who sends alerts: by a bearer token, by a client certificate, or by both."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refit.intake.credentials import SecretFile, bearer
from refit.intake.refused import unauthorized

Certificate = Mapping[str, Any]
"""A client certificate as Python's ssl gives it, verified in the handshake."""


@dataclass(frozen=True, kw_only=True)
class Callers:
    """What is asked of Alertmanager. `strict`: both; else one of those that are set up."""

    tokens: SecretFile | None
    certificates: bool
    names: tuple[str, ...] = ()
    strict: bool = False

    def source(self, authorization: str, certificate: Certificate | None, now: float) -> str:
        """Who it is, by no secret. Raises RefusedError."""
        number = bearer(authorization, self.tokens.current()) if self.tokens is not None else 0
        name = self._name(certificate, now) if self.certificates and certificate else ""
        found = [*([f"token {number}"] if number else []), *([f"certificate {name}"] if name else [])]
        if len(found) < (2 if self.strict else 1):
            raise unauthorized()
        return " and ".join(found)

    def _name(self, certificate: Certificate, now: float) -> str:
        """The name that is taken; empty if none is. A connection may outlive the certificate it was opened with."""
        if (
            not ssl.cert_time_to_seconds(certificate["notBefore"])
            <= now
            <= ssl.cert_time_to_seconds(certificate["notAfter"])
        ):
            return ""
        common = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
        dns = [value for key, value in certificate.get("subjectAltName", ()) if key == "DNS"]
        names = [*dns, *common]
        if self.names:
            names = [name for name in names if name in self.names]
        return names[0] if names else ("" if self.names else "without a name")
