from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from refit_predictor.artifact import Unfit, read

CONTENT = b"a model"
DIGEST = sha256(CONTENT).hexdigest()
OTHER = sha256(b"another model").hexdigest()


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"model.onnx": CONTENT, "golden.json": b"{}"}, id="the usual file is read"),
        pytest.param({"heart.onnx": CONTENT}, id="the only ONNX file is read whatever its name"),
        pytest.param({"model.onnx": CONTENT, "old.onnx": b"x"}, id="the usual name goes before others"),
    ],
)
def test_the_file_with_the_wanted_digest_is_read(tmp_path: Path, files: dict[str, bytes]) -> None:
    _write(tmp_path, files)
    assert read(tmp_path, DIGEST) == CONTENT


@pytest.mark.parametrize(
    ("files", "got"),
    [
        pytest.param({"model.onnx": b"another model"}, f"{OTHER[:8]}…", id="another file is not served"),
        pytest.param(
            {"model.onnx": CONTENT[:-1] + b"L"},
            f"{sha256(b'a modeL').hexdigest()[:8]}…",
            id="one changed bit is enough",
        ),
        pytest.param({"model.onnx": b""}, "an empty file", id="an empty file is not served"),
        pytest.param({}, "no model.onnx in {folder}", id="nothing to serve"),
        pytest.param(
            {"a.onnx": CONTENT, "b.onnx": CONTENT},
            "2 ONNX files in {folder}, none named model.onnx",
            id="no guessing among several",
        ),
    ],
)
def test_any_other_file_is_not(tmp_path: Path, files: dict[str, bytes], got: str) -> None:
    _write(tmp_path, files)
    with pytest.raises(Unfit) as raised:
        read(tmp_path, DIGEST)
    assert str(raised.value) == f"DigestMismatch: want {DIGEST[:8]}… got {got.format(folder=tmp_path)}"


def test_a_directory_that_does_not_exist_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match=r"^DigestMismatch: want .* got no model\.onnx in "):
        read(tmp_path / "nowhere", DIGEST)


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)
