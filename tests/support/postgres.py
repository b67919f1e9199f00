"""A PostgreSQL of one's own: Debian's, in a folder that is gone afterwards, with the roles that docs/audit.md asks for."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from refit_cluster import debian
from refit_cluster.controlplane import free_ports
from refit_cluster.shell import wait_until

OWNER, WRITER, PASSWORD = "refit_owner", "refit_app", "made up for tests"
USER = "postgres"
LIBRARY = Path("/usr/lib/postgresql")


@dataclass
class Postgres:
    """One server. `kill` ends it as a crash would, `start` brings it back with what was on disk."""

    folder: Path
    port: int
    binaries: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}"

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    def run(self, statement: str, database: str = "postgres", role: str = USER) -> None:
        """As that role, through the socket."""
        with psycopg.connect(self._local(database, role), autocommit=True) as connection:
            connection.execute(statement)

    def rows(self, query: str, database: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self._local(database, USER)) as connection:
            return connection.execute(query).fetchall()

    def _local(self, database: str, role: str) -> str:
        return f"host={self.folder} port={self.port} dbname={database} user={role}"

    def start(self) -> None:
        """Returns when it answers."""
        command: list[str | Path] = [
            self.binaries / "postgres",
            "-D",
            self.folder / "data",
            "-p",
            str(self.port),
            "-k",
            self.folder,
        ]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "logging_collector=off", "-c", "max_connections=40"]
        # What a process wrote outlives the process without it, and no test takes the machine's power away.
        command += ["-c", "fsync=off"]
        wait_until(lambda: self._answers(command), what="an answer of PostgreSQL", within=60, pause=0.1)

    def kill(self) -> None:
        """SIGKILL to the server and to all it started, each of which is a session of its own."""
        assert self.process is not None
        pid = self.process.pid
        os.kill(pid, signal.SIGSTOP)  # it starts no more
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (*map(int, children), pid):
            os.kill(one, signal.SIGKILL)
        self.process.wait()

    def _answers(self, command: list[str | Path]) -> bool:
        """Starts it, too: after a crash it ends at once while a process of the one before is still there."""
        if self.process is None or self.process.poll() is not None:
            with (self.folder / "log").open("ab") as log:
                self.process = subprocess.Popen(as_user(*command), stdout=log, stderr=log, start_new_session=True)
        try:
            psycopg.connect(self._local("postgres", USER), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def as_user(*command: str | Path) -> list[str | Path]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--pdeathsig", "KILL", "--", *command]


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Debian's package is installed where it is not; raises HarnessError where that can not be."""
    debian.install(debian.absent(("postgresql",)))
    binaries = max(LIBRARY.iterdir(), key=lambda path: int(path.name)) / "bin"
    folder = Path(tempfile.mkdtemp(prefix="refit-pg-"))
    found = Postgres(folder, free_ports(1)[0], binaries)
    found.password_file.write_text(f"{PASSWORD}\n")
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER, USER)
        folder.chmod(0o755)
        made: list[str | Path] = [
            binaries / "initdb",
            "-D",
            folder / "data",
            "-U",
            USER,
            "--auth-local=trust",
            "-E",
            "UTF8",
        ]
        made += ["--auth-host=scram-sha-256", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(as_user(*made), check=True, capture_output=True)
        found.start()
        for role in (OWNER, WRITER):
            found.run(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        yield found
    finally:
        if found.process is not None and found.process.poll() is None:
            found.kill()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Database:
    """An empty database whose tables are made by their owner, as docs/audit.md says."""

    server: Postgres
    name: str

    @property
    def url(self) -> str:
        """As the operator has it."""
        return self.server.url(WRITER, self.name)

    @property
    def owners(self) -> str:
        return self.server.url(OWNER, self.name)


@dataclass(eq=False)
class _Link:
    """One connection through a wire."""

    client: socket.socket
    server: socket.socket
    silent: bool = False
    losing: bool = False
    """What the server says next is lost, and the connection with it."""


class Wire:
    """A way to the server, on which the answer to a COMMIT can be lost, and which can go silent."""

    def __init__(self, database: Database) -> None:
        self._target = database.server.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._links: list[_Link] = []
        self._silent = False
        self.url = f"postgresql://{WRITER}@127.0.0.1:{self._listener.getsockname()[1]}/{database.name}"
        self.losing = False
        self.lost = 0
        self.silent_at: bytes | None = None
        """A connection on which this is sent goes silent there."""
        self.held = threading.Event()
        """Something was taken and went no further."""
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self, *, for_good: bool = True) -> None:
        """All that is connected, and if for good all that connects later."""
        self._silent = for_good
        for link in self._links:
            link.silent = True

    def speak(self) -> None:
        """With who connects from now on."""
        self._silent = False

    def close(self) -> None:
        self._listener.close()
        for link in self._links:
            _end(link)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                link = _Link(client, socket.create_connection(("127.0.0.1", self._target)), silent=self._silent)
                self._links.append(link)
                for pump in (self._ask, self._answer):
                    threading.Thread(target=pump, args=(link,), daemon=True).start()

    def _ask(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.client.recv(65536):
                link.silent = link.silent or (self.silent_at is not None and self.silent_at in data)
                if link.silent:
                    self.held.set()
                    continue
                if self.losing and b"COMMIT" in data:
                    self.losing, link.losing = False, True
                link.server.sendall(data)
        _end(link)

    def _answer(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.server.recv(65536):
                if link.losing:
                    self.lost += 1
                    break
                if not link.silent:
                    link.client.sendall(data)
        _end(link)


def _end(link: _Link) -> None:
    for end in (link.client, link.server):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire_to(database: Database) -> Iterator[Wire]:
    found = Wire(database)
    try:
        yield found
    finally:
        found.close()


def admin(*words: str | Path) -> str:
    """What `python -m refit.audit` says."""
    command = [sys.executable, "-m", "refit.audit", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
