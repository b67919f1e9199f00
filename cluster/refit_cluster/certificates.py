"""Certificates by openssl: a certificate authority, and what it signs for servers and for users."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from refit_cluster.shell import run

DAYS = "825"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path

    @classmethod
    def named(cls, directory: Path, name: str) -> Pair:
        return cls(directory / f"{name}.crt", directory / f"{name}.key")


def new_key(path: Path) -> None:
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path])
    path.chmod(0o600)


def authority(directory: Path, name: str) -> Pair:
    pair = Pair.named(directory, name)
    new_key(pair.key)
    command: list[str | Path] = ["openssl", "req", "-x509", "-new", "-sha256", "-key", pair.key]
    command += ["-out", pair.certificate, "-days", DAYS, "-subj", f"/CN={name}"]
    command += ["-addext", "basicConstraints=critical,CA:TRUE"]
    command += ["-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"]
    run(command)
    return pair


def signed(
    ca: Pair, directory: Path, name: str, *, user: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()
) -> Pair:
    """A certificate for a user in groups, as Kubernetes reads them (CN and O), and for a server where hosts are named."""
    pair = Pair.named(directory, name)
    new_key(pair.key)
    request = directory / f"{name}.csr"
    subject = "".join(f"/O={escaped(group)}" for group in groups) + f"/CN={escaped(user)}"
    run(["openssl", "req", "-new", "-sha256", "-key", pair.key, "-subj", subject, "-out", request])
    extensions = directory / f"{name}.ext"
    extensions.write_text(extension_text(hosts))
    command: list[str | Path] = ["openssl", "x509", "-req", "-sha256", "-in", request, "-out", pair.certificate]
    command += ["-CA", ca.certificate, "-CAkey", ca.key, "-CAcreateserial", "-days", DAYS, "-extfile", extensions]
    run(command)
    return pair


def escaped(value: str) -> str:
    """Parts of a subject are separated by slashes, and a user name may contain one."""
    return value.replace("\\", "\\\\").replace("/", "\\/")


def extension_text(hosts: Sequence[str]) -> str:
    lines = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"]
    lines.append("extendedKeyUsage=clientAuth" + (",serverAuth" if hosts else ""))
    if hosts:
        lines.append("subjectAltName=" + ",".join(f"{'IP' if is_address(host) else 'DNS'}:{host}" for host in hosts))
    return "\n".join(lines) + "\n"


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
