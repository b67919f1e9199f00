"""A small OpenID Connect provider: discovery and keys over TLS, a sign-in form, and the authorization code flow with PKCE.

It is as strict as the page needs a provider to be: a code is good once, for the client, the address and the verifier
that it was asked with. ID tokens are signed with a key (RS256) that is made at its start.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from refit_cluster import certificates
from refit_cluster.certificates import Pair

HOST = "127.0.0.1"
CLIENT = "refit-ui"
LIFETIME = 3600
USER_PREFIX, GROUP_PREFIX = "oidc:", "idp:"
"""What the API server puts before the claims, so that nobody's name can be that of somebody else."""


@dataclass(kw_only=True)
class Provider:
    """`lifetime` is that of ID tokens signed from now on, in seconds; `challenges` are the methods that were asked with."""

    issuer: str
    authority: Path
    secret: str
    key: RSAKey
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lifetime: int = LIFETIME
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    challenges: list[str] = field(default_factory=list)

    def api_server_arguments(self, folder: Path) -> tuple[str, ...]:
        """By which an API server trusts it."""
        path = folder / "authentication.json"
        issuer = {
            "url": self.issuer,
            "audiences": [CLIENT],
            "certificateAuthority": self.authority.read_text(),
        }
        mappings = {
            "username": {"claim": "email", "prefix": USER_PREFIX},
            "groups": {"claim": "groups", "prefix": GROUP_PREFIX},
        }
        configuration = {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [{"issuer": issuer, "claimMappings": mappings}],
        }
        path.write_text(json.dumps(configuration))
        return (f"--authentication-config={path}",)

    def page_secrets(self, folder: Path, exposed: str = '["id"]') -> Path:
        """The file that docs/page.md describes; Streamlit fills in its port. `exposed` are the tokens for the page."""
        path = folder / "secrets.toml"
        path.write_text(
            "[auth]\n"
            f'redirect_uri = "http://{HOST}:{{port}}/oauth2callback"\n'
            f'cookie_secret = "{secrets.token_urlsafe(32)}"\n'
            f'client_id = "{CLIENT}"\n'
            f'client_secret = "{self.secret}"\n'
            f'server_metadata_url = "{self.issuer}/.well-known/openid-configuration"\n'
            f"expose_tokens = {exposed}\n"
            "\n[auth.client_kwargs]\n"
            f'verify = "{self.authority}"\n'
        )
        path.chmod(0o600)
        return path

    # -- the protocol

    def discovery(self) -> dict[str, object]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def code(self, asked: Mapping[str, str], person: str) -> str:
        """Of somebody who has just said who they are."""
        self.challenges.append(asked.get("code_challenge_method", ""))
        found = secrets.token_urlsafe(16)
        self.codes[found] = {**asked, "person": person}
        return found

    def token(self, authorization: str, form: Mapping[str, str]) -> dict[str, object] | None:
        """What a code is exchanged for; None where anything does not fit."""
        client = base64.b64encode(f"{CLIENT}:{self.secret}".encode()).decode()
        asked = self.codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        fits = (
            asked is not None
            and secrets.compare_digest(authorization, f"Basic {client}")
            and form.get("grant_type") == "authorization_code"
            and form.get("redirect_uri") == asked["redirect_uri"]
            and asked.get("code_challenge") == base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        )
        if asked is None or not fits:
            return None
        return {
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "id_token": self.id_token(asked["person"], asked.get("nonce", "")),
        }

    def id_token(self, person: str, nonce: str = "") -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": hashlib.sha256(person.encode()).hexdigest()[:16],
            "email": person,
            "email_verified": True,
            "groups": list(self.groups.get(person, ())),
            "iat": now,
            "exp": now + self.lifetime,
            "nonce": nonce,
        }
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key, algorithms=["RS256"])


@contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    """One that listens, with a certificate of an authority of its own."""
    folder.mkdir(parents=True)
    authority = certificates.authority(folder, "idp-ca")
    server = ThreadingHTTPServer((HOST, 0), _Handler)
    pair = certificates.signed(authority, folder, "idp", user="idp", hosts=(HOST,))
    server.socket = _tls(pair).wrap_socket(server.socket, server_side=True)
    server.found = found = Provider(  # type: ignore[attr-defined]  # where the handler looks for it
        issuer=f"https://{HOST}:{server.server_port}",
        authority=authority.certificate,
        secret=secrets.token_urlsafe(24),
        key=RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True),
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _tls(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


class _Handler(BaseHTTPRequestHandler):
    """The addresses that `Provider.discovery` names."""

    @property
    def _provider(self) -> Provider:
        found: Provider = self.server.found  # type: ignore[attr-defined]  # put there by `provider`
        return found

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/.well-known/openid-configuration":
            self._json(200, self._provider.discovery())
        elif address.path == "/keys":
            self._json(200, {"keys": [self._provider.key.as_dict(private=False)]})
        elif address.path == "/authorize":
            self._form(_flat(address.query))
        else:
            self._json(404, {"error": "not_found"})

    def do_POST(self) -> None:
        address = urlsplit(self.path)
        form = _flat(self.rfile.read(int(self.headers["content-length"])).decode())
        if address.path == "/authorize":
            asked = _flat(address.query)
            code = self._provider.code(asked, form["person"])
            self._answer(
                302, b"", location=f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
            )
            return
        found = self._provider.token(self.headers.get("authorization", ""), form)
        self._json(200, found) if found is not None else self._json(400, {"error": "invalid_grant"})

    def _form(self, asked: Mapping[str, str]) -> None:
        if asked.get("client_id") != CLIENT or asked.get("response_type") != "code" or "openid" not in asked["scope"]:
            self._json(400, {"error": "invalid_request"})
            return
        page = (
            "<!doctype html><title>Sign in</title><h1>Your organisation</h1>"
            f'<form method="post" action="{html.escape(self.path)}">'
            '<label>E-mail <input name="person"></label><button>Continue</button></form>'
        )
        self._answer(200, page.encode(), **{"content-type": "text/html"})

    def _json(self, code: int, body: Mapping[str, object]) -> None:
        self._answer(code, json.dumps(body).encode(), **{"content-type": "application/json"})

    def _answer(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: a test's output is its own."""


def _flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
