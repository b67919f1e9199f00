"""Stored reports are fetched from MLflow, and from nowhere else."""

from __future__ import annotations

import aiohttp
import pytest

from receivers import hook
from refit.notify.senders import DeliveryError
from refit.shell.storage import ARTIFACTS, Storage

PATH = f"{ARTIFACTS}/0/run/artifacts/reports/incident.pdf"


@pytest.mark.parametrize(
    ("base", "path", "status", "said"),
    [
        pytest.param("", PATH, 404, "MLflow answered 404", id="one that is gone"),
        pytest.param("", PATH, 302, "MLflow answered 302", id="one that is said to be elsewhere"),
        pytest.param("", f"{ARTIFACTS}/0/../../secret", 200, "is no artifact of MLflow", id="a path that leads out"),
        pytest.param("", "/api/2.0/mlflow/users", 200, "is no artifact of MLflow", id="another part of MLflow"),
        pytest.param("http://169.254.169.254", PATH, 200, "is no artifact of MLflow", id="another address"),
    ],
)
async def test_what_is_no_report_is_not_fetched(base: str, path: str, status: int, said: str) -> None:
    async with hook() as mlflow, aiohttp.ClientSession() as session:
        mlflow.status = status
        with pytest.raises(DeliveryError) as error:
            await Storage(session, mlflow.url).fetch(f"{base or mlflow.url}{path}")
    assert str(error.value) == said
    assert len(mlflow.got) == (0 if said == "is no artifact of MLflow" else 1)


async def test_a_report_is_its_bytes() -> None:
    async with hook() as mlflow, aiohttp.ClientSession() as session:
        mlflow.answer = b"%PDF-1.7"
        assert await Storage(session, f"{mlflow.url}/").fetch(f"{mlflow.url}{PATH}") == b"%PDF-1.7"
