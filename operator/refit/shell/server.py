"""The operator's own HTTP server: /metrics, /healthz and /readyz."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Check = Callable[[], str]
"""Says what is wrong, or nothing (the empty string)."""


def application(registry: CollectorRegistry, *, alive: Check, ready: Check) -> web.Application:
    """The routes. /healthz is red when a restart would help, /readyz when work is not being done yet."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def probe(check: Check) -> Callable[[web.Request], object]:
        async def answer(_: web.Request) -> web.Response:
            problem = check()
            return web.Response(text=problem or "ok", status=503 if problem else 200)

        return answer

    found = web.Application()
    found.router.add_get("/metrics", metrics)
    found.router.add_get("/healthz", probe(alive))  # type: ignore[arg-type]  # a coroutine function, made above
    found.router.add_get("/readyz", probe(ready))  # type: ignore[arg-type]
    return found


async def serve(app: web.Application, port: int) -> web.AppRunner:
    """Starts the server on all addresses; the runner stops it. Raises OSError if the port is taken."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, None, port).start()
    return runner
