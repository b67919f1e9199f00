from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from refit.kube.live import connect, credentials
from refit.shell.handlers import login_with

CONTEXTS = {"near": ("https://near.test:6443", "n" * 8), "far": ("https://far.test:6443", "f" * 8)}


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """Two clusters, the near one being the current."""
    named = {
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in CONTEXTS],
        "clusters": [{"name": name, "cluster": {"server": server}} for name, (server, _) in CONTEXTS.items()],
        "users": [{"name": name, "user": {"token": token}} for name, (_, token) in CONTEXTS.items()],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "near", **named}))
    return path


@pytest.mark.parametrize(("context", "expected"), [(None, "near"), ("far", "far")])
async def test_the_watches_use_the_file_and_context_that_the_gateway_uses(
    kubeconfig: Path, context: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    async with await connect(str(kubeconfig), context) as api:
        found = await login_with(lambda: credentials(api))()
    assert (found.server, found.token, found.insecure) == (*CONTEXTS[expected], False)
    assert found.as_http_headers() == {"Authorization": f"Bearer {found.token}"}
