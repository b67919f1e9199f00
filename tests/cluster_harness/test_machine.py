"""What the harness reads off the machine: capabilities, apt sources, processes, locks."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from refit_cluster import capability, debian, engine, lock, process
from refit_cluster.debian import Source
from refit_cluster.places import Places
from refit_cluster.process import Remembered
from refit_cluster.progress import Progress
from refit_cluster.shell import HarnessError

FULL = "CapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\n"
WITHOUT_RESOURCE = "CapEff:\t000001ffffffffff\nCapBnd:\t000001fffeffffff\n"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(FULL, set(), id="a full bounding set lacks nothing, whatever is effective"),
        pytest.param(WITHOUT_RESOURCE, {"CAP_SYS_RESOURCE"}, id="bit 24 is CAP_SYS_RESOURCE"),
        pytest.param("Name:\tx\n", set(), id="a kernel that does not say lacks nothing"),
    ],
)
def test_missing_capabilities(status: str, expected: set[str]) -> None:
    assert capability.missing(status) == expected


STANZA = """\
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://other.example
Suites: bookworm
Components: stable
Signed-By: /usr/share/keyrings/other.gpg
"""
MAIN = Source("http://mirror.example/debian", "bookworm", ("main", "contrib"))
UPDATES = Source("http://mirror.example/debian", "bookworm-updates", ("main", "contrib"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(STANZA, (MAIN, UPDATES), id="stanzas: a source per suite, and strangers' keys are left out"),
        pytest.param(
            "deb http://mirror.example/debian bookworm main contrib # why\n", (MAIN,), id="one line is one source"
        ),
        pytest.param(
            "deb [arch=amd64] http://mirror.example/debian bookworm main contrib\n", (MAIN,), id="options are allowed"
        ),
        pytest.param(
            "deb [signed-by=/x/other.gpg] http://other.example bookworm stable\n", (), id="a line with a stranger's key"
        ),
        pytest.param("# deb http://mirror.example/debian bookworm main\n", (), id="comments are none"),
        pytest.param("deb http://mirror.example/debian trixie main\n", (), id="another release is none"),
    ],
)
def test_apt_sources(text: str, expected: tuple[Source, ...]) -> None:
    assert debian.sources([text]) == expected


def fake_proc(root: Path, pid: int, command: bytes, state: str = "S") -> Path:
    (root / str(pid)).mkdir()
    (root / str(pid) / "cmdline").write_bytes(command)
    (root / str(pid) / "stat").write_text(f"{pid} (a) b) {state} 1 1")
    return root


@pytest.mark.parametrize(
    ("command", "state", "alive"),
    [
        pytest.param(b"/usr/sbin/dockerd\0--debug\0", "S", True, id="the program it was started as is alive"),
        pytest.param(b"/usr/bin/python3\0/usr/sbin/dockerd\0", "S", True, id="an interpreter may stand before it"),
        pytest.param(b"/bin/sleep\x001\0", "S", False, id="a number taken over by another program is not it"),
        pytest.param(b"/usr/sbin/dockerd\0", "Z", False, id="a zombie is not alive"),
    ],
)
def test_a_remembered_process(tmp_path: Path, command: bytes, state: str, alive: bool) -> None:
    assert Remembered(7, "/usr/sbin/dockerd").is_alive(fake_proc(tmp_path, 7, command, state)) is alive


def test_a_pid_file_is_read_back_as_written(tmp_path: Path) -> None:
    remembered = Remembered(42, "/usr/sbin/a program")
    remembered.write(tmp_path / "state" / "pid")
    assert Remembered.read(tmp_path / "state" / "pid") == remembered


@pytest.mark.parametrize("text", ["", "x y", "\n"])
def test_a_broken_pid_file_names_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    assert Remembered.read(tmp_path / "pid") is None


def test_a_lock_that_is_held_says_by_whom(tmp_path: Path) -> None:
    times = iter(range(100))
    with (
        lock.exclusive(tmp_path / "lock", out=io.StringIO()),
        pytest.raises(HarnessError, match=rf"another refit_cluster \(pid {os.getpid()}\) is at work since \d{{4}}-"),
        lock.exclusive(tmp_path / "lock", out=io.StringIO(), within=2, clock=lambda: next(times), sleep=lambda _: None),
    ):
        pass


def test_a_lock_is_free_again_after_its_holder(tmp_path: Path) -> None:
    for _ in range(2):
        out = io.StringIO()
        with lock.exclusive(tmp_path / "lock", out=out, within=0):
            assert not out.getvalue()


def test_a_step_says_how_long_it_took() -> None:
    out, times = io.StringIO(), iter([10.0, 13.25])
    with Progress(11, out, lambda: next(times)).step("building etcd", "15 s"):
        pass
    assert out.getvalue() == "[ 1/11] building etcd (about 15 s the first time) ... 3.2 s\n"


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        pytest.param({"REFIT_CACHE": "/big/disk"}, "/big/disk", id="REFIT_CACHE names the directory itself"),
        pytest.param({"XDG_CACHE_HOME": "/xdg"}, "/xdg/refit", id="else it is in the user's cache"),
    ],
)
def test_where_the_cache_is(environ: dict[str, str], root: str) -> None:
    assert Places.from_env(environ) == Places(Path(root))


def leftovers_of_a_killed_engine(root: Path, pid: str) -> tuple[Path, Path]:
    """The files of a dockerd that was killed: its socket and its exec root, with what containerd knows of containers."""
    socket, exec_root = root / "docker.sock", root / "exec"
    state = exec_root / "containerd" / "daemon" / "io.containerd.runtime.v2.task" / "moby" / "0123"
    state.mkdir(parents=True)
    (exec_root / "containerd" / "containerd.pid").write_text(pid)
    socket.touch()
    return socket, exec_root


@pytest.mark.parametrize(
    "pid",
    [
        pytest.param("999999999", id="whose containerd ended with it"),
        pytest.param(str(os.getpid()), id="whose containerd's number is somebody else's now"),
        pytest.param("", id="that was killed while it wrote the number"),
    ],
)
def test_what_a_killed_engine_leaves_goes_but_not_what_it_knows_of_its_containers(tmp_path: Path, pid: str) -> None:
    socket, exec_root = leftovers_of_a_killed_engine(tmp_path, pid)
    engine.clear_leftovers((socket, tmp_path / "none.pid"), exec_root)
    left = sorted(path.relative_to(exec_root).as_posix() for path in exec_root.rglob("*") if not any(path.iterdir()))
    assert (socket.exists(), left) == (False, ["containerd/daemon/io.containerd.runtime.v2.task/moby/0123"])


def test_nothing_is_left_of_an_engine_that_never_ran(tmp_path: Path) -> None:
    engine.clear_leftovers((tmp_path / "docker.sock",), tmp_path / "exec")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_outlived_its_command_is_ended_by_its_number(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    started = process.start(["sleep", "60"], pid_file=pid_file, log=tmp_path / "log")
    assert started.is_alive()
    assert process.stop(pid_file)
    os.waitpid(started.pid, 0)
    assert (started.is_alive(), pid_file.exists()) == (False, False)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("999999999 sleep", id="a process that is gone"),
        pytest.param(f"{os.getpid()} dockerd", id="a number that is ours now"),
        pytest.param("half wri", id="a file that was cut short"),
    ],
)
def test_a_stale_pid_file_ends_nobody(tmp_path: Path, text: str) -> None:
    pid_file = tmp_path / "pid"
    pid_file.write_text(text)
    assert (process.stop(pid_file), pid_file.exists()) == (False, False)


def test_what_an_interrupted_bootstrap_left_mounted_is_found_innermost_first() -> None:
    mounts = "proc /b/rootfs/proc proc rw 0 0\nsysfs /b/rootfs/sys sysfs rw 0 0\nx /b/rootfs/sys/fs x rw 0 0\ny /b/rootfs2 y rw 0 0\n"
    expected = ("/b/rootfs/sys/fs", "/b/rootfs/sys", "/b/rootfs/proc")
    assert debian.mounted_below(Path("/b/rootfs"), mounts) == expected
