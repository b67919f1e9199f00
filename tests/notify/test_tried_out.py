"""`python -m refit.notify`: an administrator tries what was configured."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from noticed import configured, settings
from receivers import hook


async def test_every_receiver_is_told_and_each_answer_is_said(tmp_path: Path) -> None:
    ways = [{"name": name, "slack": {"urlFile": name}} for name in ("here", "gone")]
    async with hook() as receiver:
        configured(tmp_path, settings(*ways), here=receiver.url, gone="http://127.0.0.1:9/secret")
        done = await asyncio.to_thread(run, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "here: took it\ngone: ClientConnectorError\n", "")
    assert b"This is a try" in receiver.got[0].body


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(None, "refit: there is no notifications.yaml in {folder}\n", id="no file"),
        pytest.param(
            "receivers: 3", "refit: notifications.yaml: receivers: Input should be a valid tuple\n", id="a wrong file"
        ),
    ],
)
def test_a_wrong_configuration_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "notifications.yaml").write_text(text)
    done = run(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said.format(folder=tmp_path))


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "refit.notify", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
