"""What a request for one row costs: the predictor beside FastAPI with scikit-learn and with ONNX Runtime.

    python benchmarks/predictor.py [--seconds 3] [--json out.json]

Five servers, each one process on core 0, answer the same forest of 100 trees over 13 numbers; the load
comes from core 1, one server at a time in turn, so that what else the machine does falls on all of them.
The load generator is `wrk` if it is there (apt-get install wrk), else a small one in this file.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import http.client
import importlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FEATURES = 13
TREES = 100
ROUNDS = 5
CONNECTIONS = (1, 8)
START_SECONDS = 120.0
SERVER_CORE, LOAD_CORE = 0, 1


class Server(NamedTuple):
    """One of the servers compared, and what it is asked."""

    name: str
    command: list[str]
    path: str
    body: bytes
    environment: Mapping[str, str] = {}


class Started(NamedTuple):
    """A server that runs."""

    port: int
    pid: int


class Load(NamedTuple):
    """One measurement, in milliseconds and requests per second."""

    p50: float
    p99: float
    throughput: float


def run(seconds: float = 3.0) -> list[dict[str, Any]]:
    """One record per server and number of connections; `seconds` is the load on each in all rounds together."""
    measure = generator()
    with tempfile.TemporaryDirectory() as found, ExitStack() as stack:
        folder = Path(found)
        servers = _servers(folder)
        ports = {server.name: stack.enter_context(running(server, folder)).port for server in servers}
        loads: dict[tuple[str, int], list[Load]] = {}
        for server in servers:
            measure(ports[server.name], server, 1, 0.3)  # the first requests are never like the rest
        for _ in range(ROUNDS):
            for connections in CONNECTIONS:
                for server in servers:
                    load = measure(ports[server.name], server, connections, seconds / ROUNDS)
                    loads.setdefault((server.name, connections), []).append(load)
    return _records(loads, "wrk" if measure is _wrk else "own")


def generator() -> Callable[[int, Server, int, float], Load]:
    """What makes the load: asked for port, server, connections and seconds."""
    return _wrk if shutil.which("wrk") else _own


def _records(loads: dict[tuple[str, int], list[Load]], generator: str) -> list[dict[str, Any]]:
    middle = {key: Load(*map(median, zip(*found, strict=True))) for key, found in loads.items()}
    return [
        {
            "server": name,
            "connections": connections,
            "p50_ms": round(load.p50, 4),
            "p99_ms": round(load.p99, 4),
            "requests_per_second": round(load.throughput),
            **{
                f"p50_against_{base.replace(' ', '_')}": round(load.p50 / middle[base, connections].p50, 3)
                for base in ("sklearn", "onnxruntime", "no-op")
            },
            "load_generator": generator,
        }
        for (name, connections), load in middle.items()
    ]


def _servers(folder: Path) -> list[Server]:
    own = [sys.executable, __file__, "--folder", str(folder), "--serve"]
    ours = predictors()
    others = [Server(name, [*own, name], "/predict", ours[0].body) for name in ("no-op", "sklearn", "onnxruntime")]
    return [*others, *ours]


def predictors(environment: Mapping[str, str] | None = None) -> list[Server]:
    """The predictor, asked by V1 and by V2."""
    row = {f"x{at}": 40.0 + at for at in range(FEATURES)}
    inputs = [{"name": name, "shape": [1], "datatype": "FP32", "data": [value]} for name, value in row.items()]
    asked = {
        "V1": ("/v1/models/bench:predict", {"instances": [row]}),
        "V2": ("/v2/models/bench/infer", {"inputs": inputs}),
    }
    command = [sys.executable, "-m", "refit_predictor", "--http_port"]
    return [
        Server(f"predictor {protocol}", command, path, json.dumps(document).encode(), environment or {})
        for protocol, (path, document) in asked.items()
    ]


@contextmanager
def running(server: Server, folder: Path) -> Iterator[Started]:
    """The server as a process on its core, ready."""
    model = folder / "model.onnx"
    if not model.exists():
        _train(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    environment = os.environ | {
        "REFIT_MODEL_NAME": "bench",
        "REFIT_MODEL_VERSION": "1",
        "REFIT_MODEL_DIR": str(folder),
        "REFIT_ARTIFACT_SHA256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "ORT_DISABLE_TELEMETRY": "1",
        **server.environment,
    }
    command = ["taskset", "-c", str(SERVER_CORE), *server.command, str(port)]
    log = (folder / f"{server.name}.log").open("wb")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait(process, port, server, folder)
        yield Started(port, process.pid)
    finally:
        process.terminate()
        process.wait()
        log.close()


def _wait(process: subprocess.Popen[bytes], port: int, server: Server, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("POST", server.path, server.body, {"content-type": "application/json"})
            answer = connection.getresponse()
        except OSError:
            time.sleep(0.1)
            continue
        assert answer.status == http.HTTPStatus.OK, answer.read()
        return
    raise RuntimeError(f"{server.name} did not start:\n{(folder / f'{server.name}.log').read_text()}")


def _train(folder: Path) -> None:
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    models = importlib.import_module("onnx_models")
    import joblib  # noqa: PLC0415

    from refit.api.modeldeployment import Task  # noqa: PLC0415
    from refit.api.signature import Signature  # noqa: PLC0415

    inputs = models.numbers(FEATURES)
    made = models.make(
        Signature(task=Task.CLASSIFICATION, target="y", inputs=inputs, classes=("no", "yes")), trees=TREES
    )
    joblib.dump(made.pipeline, folder / "pipeline.joblib")
    (folder / "model.onnx").write_bytes(made.content)


def _serve(kind: str, folder: Path, port: int) -> None:
    """One of the servers that the predictor is compared with, written as one usually writes them."""
    import uvicorn  # noqa: PLC0415

    uvicorn.run(
        {"no-op": _noop, "sklearn": _sklearn, "onnxruntime": _onnxruntime}[kind](folder), port=port, access_log=False
    )


def _noop(_: Path) -> Any:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        body = b'{"predictions":[]}'
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def _app(predict: Callable[[list[dict[str, float]]], Any]) -> Any:
    from fastapi import FastAPI, Request  # noqa: PLC0415
    from fastapi.responses import JSONResponse  # noqa: PLC0415

    app = FastAPI()

    async def answer(request: Request) -> JSONResponse:
        probabilities = predict((await request.json())["instances"])
        return JSONResponse(
            {"predictions": [{"label": int(row.argmax()), "probabilities": row.tolist()} for row in probabilities]}
        )

    # Under `from __future__ import annotations` FastAPI would look for these names in the module.
    answer.__annotations__ = {"request": Request, "return": JSONResponse}
    app.post("/predict")(answer)
    return app


def _sklearn(folder: Path) -> Any:
    import joblib  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    pipeline = joblib.load(folder / "pipeline.joblib")
    return _app(lambda instances: pipeline.predict_proba(pd.DataFrame(instances)))


def _onnxruntime(folder: Path) -> Any:
    import numpy as np  # noqa: PLC0415
    import onnxruntime as ort  # noqa: PLC0415

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(folder / "model.onnx", options)
    names = [node.name for node in session.get_inputs()]

    def predict(instances: list[dict[str, float]]) -> Any:
        feeds = {name: np.array([[row[name]] for row in instances], dtype=np.float32) for name in names}
        return session.run(["probabilities"], feeds)[0]

    return _app(predict)


def _wrk(port: int, server: Server, connections: int, seconds: float) -> Load:
    """Load by wrk, pinned to its core."""
    script = f"""wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[{server.body.decode()}]==]
done = function(summary, latency)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("RESULT %f %f %f %d\\n", latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.requests / summary.duration * 1e6, bad))
end
"""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        url = f"http://127.0.0.1:{port}{server.path}"
        whole = max(1, round(seconds))  # wrk knows no parts of seconds
        command = [
            "taskset",
            "-c",
            str(LOAD_CORE),
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{whole}s",
            "-s",
            file.name,
            url,
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"RESULT (\S+) (\S+) (\S+) (\d+)", output)
    assert found, output
    assert found[4] == "0", output
    return Load(*(float(number) for number in found.groups()[:3]))


def _own(port: int, server: Server, connections: int, seconds: float) -> Load:
    """Load by this process: each connection asks again as soon as it is answered."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        started = time.perf_counter()
        latencies = sorted(asyncio.run(_ask(port, server, connections, seconds)))
        passed = time.perf_counter() - started
    finally:
        os.sched_setaffinity(0, usual)
    return Load(
        latencies[len(latencies) // 2] * 1000,
        latencies[len(latencies) * 99 // 100] * 1000,
        len(latencies) / passed,
    )


async def _ask(port: int, server: Server, connections: int, seconds: float) -> list[float]:
    request = (
        f"POST {server.path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(server.body)}\r\n\r\n"
    ).encode() + server.body
    deadline = time.perf_counter() + seconds

    async def connection() -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        latencies = []
        while (started := time.perf_counter()) < deadline:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            assert length, head
            await reader.readexactly(int(length[1]))
            latencies.append(time.perf_counter() - started)
        writer.close()
        return latencies

    return [latency for found in await asyncio.gather(*(connection() for _ in range(connections))) for latency in found]


def _table(records: list[dict[str, Any]]) -> str:
    heads = ("server", "conn", "p50 ms", "p99 ms", "req/s", "x sklearn", "x onnxruntime", "x no-op")
    rows = [[str(value) for value in list(record.values())[:-1]] for record in records]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [heads, *rows]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="load on each server and number of connections")
    parser.add_argument("--json", type=Path, help="file for the records")
    parser.add_argument("--serve", nargs=2, metavar=("KIND", "PORT"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        _serve(given.serve[0], given.folder, int(given.serve[1]))
        return
    records = run(given.seconds)
    print(_table(records))
    if given.json:
        given.json.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
