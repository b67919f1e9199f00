from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from refit.api.dataspec import Source
from refit_trainer.downloads import Downloads, forbidden
from refit_trainer.errors import RefusedError, UnreachableError
from refit_trainer.sources import SOURCES, Surroundings, digested, fetch

BODY = b"a,b\n1,2\n"
DIGEST = hashlib.sha256(BODY).hexdigest()
BASIC = "Basic " + base64.b64encode(b"ann:secret").decode()
OPEN = Downloads(forbidden=lambda host: host == "localhost", pause=lambda _: None)
"""As in a cluster, but that the loopback's address, where these tests' servers are, is no forbidden place."""


def around(folder: Path, **changes: Any) -> Surroundings:
    made = Surroundings(environment={}, data_directory=folder, samples_directory=folder, downloads=OPEN)
    return replace(made, **changes)


class Site:
    """A web server that answers what a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.failures = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers.get("Authorization")))
                if site.failures:
                    site.failures -= 1
                    self._answer(503)
                elif self.path.startswith("/to/"):
                    self._answer(302, headers={"Location": self.path.removeprefix("/to/")})
                elif self.path == "/private" and self.headers.get("Authorization") not in {"Bearer t0ken", BASIC}:
                    self._answer(401)
                elif self.path.split("?")[0] in {"/data.csv", "/private"}:
                    self._answer(200, BODY)
                else:
                    self._answer(404)

            def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def source(uri: str, sha256: str | None = None) -> Source:
    return Source(uri=uri, sha256=sha256)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(RefusedError) as refused:
        act()
    return str(refused.value)


def test_every_scheme_of_the_api_is_known() -> None:
    assert set(SOURCES) == {"https", "http", "s3", "pvc", "configmap", "sample"}


def test_a_download_has_the_digest_of_its_bytes(site: Site, tmp_path: Path) -> None:
    assert fetch(source(f"{site.address}/data.csv", DIGEST), around(tmp_path)) == digested(BODY)


def test_another_digest_than_the_pinned_one_is_refused(site: Site, tmp_path: Path) -> None:
    said = refusal(lambda: fetch(source(f"{site.address}/data.csv", "0" * 64), around(tmp_path)))
    assert said.startswith("DigestMismatch: ")
    assert said.endswith(f"want 000000000000, got {DIGEST[:12]}")


@pytest.mark.parametrize(
    ("secret", "sent"),
    [({"TOKEN": "t0ken\n"}, "Bearer t0ken"), ({"USERNAME": "ann", "PASSWORD": "secret"}, BASIC)],
    ids=["a token", "a name and a password"],
)
def test_the_secret_authenticates(site: Site, tmp_path: Path, secret: dict[str, str], sent: str) -> None:
    assert fetch(source(f"{site.address}/private"), around(tmp_path, environment=secret)).content == BODY
    assert site.asked == [("/private", sent)]


def test_a_redirect_is_followed_without_the_secret_to_another_host(site: Site, tmp_path: Path) -> None:
    other = Site()
    uri = f"{site.address}/to/{other.address}/data.csv"
    assert fetch(source(uri), around(tmp_path, environment={"TOKEN": "t0ken"})).content == BODY
    assert (site.asked[0][1], other.asked) == ("Bearer t0ken", [("/data.csv", None)])
    other.close()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param("/absent", "SourceNotFound: {site}/absent answered 404", id="nothing there"),
        pytest.param("/private", "SourceForbidden: {site}/private answered 401; give data.source.secretRef", id="not allowed"),
        pytest.param("/to/http://localhost/x", "SourceForbidden: http://localhost/x is out of bounds", id="a redirect inward"),
        pytest.param("/to/file:///etc/passwd", "SourceForbidden: file:/etc/passwd is out of bounds", id="a redirect to a file"),
        pytest.param("/to//to//to//to//to//to//to/x", "SourceRefused: {site}/to/x: more than 5 redirects", id="redirects without end"),
    ],
)  # fmt: skip
def test_what_is_refused(site: Site, tmp_path: Path, path: str, said: str) -> None:
    assert refusal(lambda: fetch(source(site.address + path), around(tmp_path))).startswith(
        said.format(site=site.address)
    )


def test_a_secret_in_the_query_is_never_told(site: Site, tmp_path: Path) -> None:
    assert "hush" not in refusal(lambda: fetch(source(f"{site.address}/absent?sig=hush"), around(tmp_path)))


def test_a_body_beyond_the_limit_is_refused(site: Site, tmp_path: Path) -> None:
    said = refusal(lambda: fetch(source(f"{site.address}/data.csv"), around(tmp_path, size_limit=5)))
    assert said == f"SourceTooLarge: {site.address}/data.csv has more than 5 bytes"


def test_a_server_that_recovers_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.failures = 2
    pauses: list[float] = []
    patient = around(tmp_path, downloads=replace(OPEN, pause=pauses.append))
    assert fetch(source(f"{site.address}/data.csv"), patient).content == BODY
    assert pauses == [1.0, 2.0]


def test_a_server_that_does_not_recover_is_unreachable(site: Site, tmp_path: Path) -> None:
    site.failures = 99
    with pytest.raises(UnreachableError, match=r"answered 503 \(tried 4 times\)"):
        fetch(source(f"{site.address}/data.csv"), around(tmp_path))


def test_a_host_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="tried 4 times"):
        fetch(source("http://127.0.0.1:1/data.csv"), around(tmp_path))


FORBIDDEN = ["localhost", "127.0.0.1", "127.1", "169.254.169.254", "::1", "0.0.0.0", "metadata.google.internal"]  # noqa: S104


@pytest.mark.parametrize("host", FORBIDDEN)
def test_forbidden_hosts(host: str) -> None:
    assert forbidden(host)


@pytest.mark.parametrize("host", ["10.0.0.7", "192.0.2.1", "2001:db8::1"])
def test_hosts_that_are_not(host: str) -> None:
    assert not forbidden(host)


@pytest.mark.parametrize(
    ("uri", "file"),
    [("pvc://claim/deep/data.csv", "deep/data.csv"), ("configmap://name/data.csv", "data.csv"),
     ("sample://heart-disease", "heart-disease.csv")],
)  # fmt: skip
def test_mounted_files(tmp_path: Path, uri: str, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(BODY)
    assert fetch(source(uri), around(tmp_path)).content == BODY


def test_a_configmap_is_read_through_its_links(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "data.csv").write_bytes(BODY)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "data.csv").symlink_to("..data/data.csv")
    assert fetch(source("configmap://name/data.csv"), around(tmp_path)).content == BODY


def test_what_is_not_mounted_is_told_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_bytes(BODY)
    said = refusal(lambda: fetch(source("pvc://claim/data.csv"), around(tmp_path)))
    assert said == "SourceNotFound: pvc://claim/data.csv: no such file; found other.csv"


def test_nothing_outside_the_mount_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link.csv").symlink_to(tmp_path / "secret")
    inside = around(tmp_path / "data")
    for uri in ("pvc://claim/../secret", "pvc://claim/%2e%2e/secret", "pvc://claim/link.csv"):
        assert refusal(lambda uri=uri: fetch(source(uri), inside)).endswith("leads out of the mounted folder")  # type: ignore[misc]


def test_samples_are_what_they_are_said_to_be(samples: Path) -> None:
    lines = {name: (samples / f"{name}.csv").read_text().splitlines() for name in ("heart-disease", "ames-housing")}
    assert {name: (len(found) - 1, len(found[0].split(","))) for name, found in lines.items()} == {
        "heart-disease": (303, 14),
        "ames-housing": (2930, 74),
    }


class TestS3:
    """Against a real server."""

    @pytest.fixture(autouse=True)
    def bucket(self, store: Any) -> None:
        (store.folder / "lake" / "deep").mkdir(parents=True, exist_ok=True)
        (store.folder / "lake" / "deep" / "my data.csv").write_bytes(BODY)

    def test_an_object_is_read(self, store: Any, tmp_path: Path) -> None:
        there = around(tmp_path, environment=store.secret)
        assert fetch(source("s3://lake/deep/my%20data.csv", DIGEST), there).content == BODY

    @pytest.mark.parametrize(
        ("uri", "changes", "said"),
        [
            pytest.param("s3://lake/absent", {}, "SourceNotFound: s3://lake/absent: NoSuchKey", id="no such key"),
            pytest.param("s3://pond/absent", {}, "SourceNotFound: s3://pond/absent: NoSuchBucket", id="no such bucket"),
            pytest.param("s3://lake/deep/my%20data.csv", {"AWS_SECRET_ACCESS_KEY": "wrong"},
                         "SourceForbidden: s3://lake/deep/my data.csv: SignatureDoesNotMatch; data.source.secretRef", id="a wrong key"),
            pytest.param("s3://lake/deep/my%20data.csv", {"AWS_ACCESS_KEY_ID": "nobody"},
                         "SourceRefused: s3://lake/deep/my data.csv: XAdminUserNotFound", id="a key that the server does not know"),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, store: Any, tmp_path: Path, uri: str, changes: dict[str, str], said: str) -> None:
        there = around(tmp_path, environment=store.secret | changes)
        assert refusal(lambda: fetch(source(uri), there)).startswith(said)

    def test_an_object_beyond_the_limit_is_refused(self, store: Any, tmp_path: Path) -> None:
        there = around(tmp_path, environment=store.secret, size_limit=3)
        assert "has 8 bytes, the limit is 3" in refusal(lambda: fetch(source("s3://lake/deep/my%20data.csv"), there))

    def test_a_server_that_is_not_there_is_unreachable(self, store: Any, tmp_path: Path) -> None:
        there = around(tmp_path, environment=store.secret | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
        with pytest.raises(UnreachableError, match="s3://lake/x"):
            fetch(source("s3://lake/x"), there)
