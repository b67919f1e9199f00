"""What 500 ModelDeployments cost: the real operator process on a live API server, the rest of the cluster simulated.

    python benchmarks/operator_scale.py [--objects 500] [--json out.json]

etcd and kube-apiserver run alone on this machine; simulator.py plays the Job controller, KServe, the endpoints and
MLflow, each as quick as it can. Measured are the way from the first `create` to the last Ready, a second look at
all of them (nothing may be written, by the API server's own audit log), and a restart. The named alternative runs on
the same API server: bare_operator.py, one server-side status apply per object and nothing else. Beside it, replay.py
makes the same writes as in a model's life with nobody reading or watching: what no operator could do without.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "cluster"), str(ROOT / "benchmarks")]

from figures import Figure, tell  # noqa: E402  # beside this script, which runs without being installed
from replay import replay  # noqa: E402
from scale_world import BARE, DEPLOYMENTS, LOGS, OURS, World, peak  # noqa: E402

from refit_cluster.controlplane import ControlPlane  # noqa: E402

SECONDS_TO_READY, MEBIBYTES = 30.0, 250.0


def measure(objects: int) -> dict[str, Any]:
    """Every phase by name, and the peaks of memory."""
    LOGS.mkdir(parents=True, exist_ok=True)
    for log in LOGS.glob("*.log"):
        log.unlink()
    with ControlPlane() as plane, ExitStack() as stack:
        world = World(plane, stack)
        world.define()
        bare = world.start(str(ROOT / "benchmarks" / "bare_operator.py"))
        with world.measured(bare) as alone:
            began = time.monotonic()
            world.declare(BARE, objects)
            alone.seconds = world.settled(bare, objects) - began
        bare_peak = peak(bare.pid)
        bare.stop(signal.SIGKILL)
        world.clear(BARE)

        world.simulate()
        operator = world.start("-m", "refit")
        with world.measured(operator) as life:
            began = time.monotonic()
            world.declare(OURS, objects)
            life.seconds = world.served(operator, objects) - began
            world.settled(operator, objects)
        with world.measured(operator) as second:
            began = time.monotonic()
            world.touch(OURS, objects)
            second.seconds = world.settled(operator, second.passes + objects) - began
        most = peak(operator.pid)
        operator.stop()
        began = time.monotonic()
        operator = world.start("-m", "refit")
        with world.measured(operator, since_start=True) as restart:
            restart.seconds = world.settled(operator, objects) - began
        most = max(most, peak(operator.pid))
        with world.admin() as admin:
            stored = admin.get(DEPLOYMENTS.format(OURS)).accepted()["items"]
        assert len(stored) == objects
        assert all(_is_ready(one) for one in stored)
        operator.stop(signal.SIGKILL)
        replayed = replay(world, objects)
    phases = {"bare": alone, "life": life, "second": second, "restart": restart}
    return {**phases, "replayed": replayed, "peak": most, "bare peak": bare_peak}


def _is_ready(manifest: Mapping[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in manifest["status"]["conditions"])


def figures(found: Mapping[str, Any], objects: int) -> list[Figure]:
    """The measurements as figures."""
    bare, life, second, restart = (found[name] for name in ("bare", "life", "second", "restart"))
    replayed: Mapping[str, float] = found["replayed"]
    against = "bare operator: one status apply per object"
    bare_pass, life_pass, second_pass = (phase.each(phase.passes) for phase in (bare, life, second))
    return [
        Figure(
            what=f"{objects} ModelDeployments, first create to last Ready",
            value=life.seconds,
            unit="s",
            compared_with=against,
            ratio=life.seconds / bare.seconds,
            at_most=SECONDS_TO_READY if objects == 500 else None,  # noqa: PLR2004
        ),
        Figure(
            what="models made Ready",
            value=objects / life.seconds,
            unit="1/s",
            compared_with=against,
            ratio=bare.seconds / life.seconds,
        ),
        Figure(
            what="operator CPU per ModelDeployment",
            value=life.each(objects),
            unit="ms",
            compared_with=against,
            ratio=life.each(objects) / bare.each(objects),
        ),
        Figure(
            what="operator CPU per pass, on the way to Ready",
            value=life_pass,
            unit="ms",
            compared_with=against,
            ratio=life_pass / bare_pass,
        ),
        Figure(
            what="operator CPU per API request, on the way to Ready",
            value=life.each(life.requests.total()),
            unit="ms",
            compared_with=against,
            ratio=life.each(life.requests.total()) / bare.each(bare.requests.total()),
        ),
        Figure(what="passes per ModelDeployment", value=life.passes / objects, unit=""),
        *(
            Figure(what=f"API requests per ModelDeployment: {verb}", value=count / objects, unit="")
            for verb, count in sorted(life.requests.items())
        ),
        Figure(
            what="CPU of all parts per ModelDeployment",
            value=1000 * sum(life.cpu.values()) / objects,
            unit="ms",
            compared_with=against,
            ratio=sum(life.cpu.values()) / sum(bare.cpu.values()),
        ),
        *(
            Figure(what=f"{name} CPU per ModelDeployment", value=1000 * seconds / objects, unit="ms")
            for name, seconds in life.cpu.items()
            if name != "operator"
        ),
        Figure(
            what="API server and etcd CPU per ModelDeployment",
            value=1000 * (life.cpu["API server"] + life.cpu["etcd"]) / objects,
            unit="ms",
            compared_with="its writes alone, by a plain client",
            ratio=(life.cpu["API server"] + life.cpu["etcd"]) / sum(replayed.values()),
        ),
        *(
            Figure(what=f"of its writes alone: by {who}", value=1000 * seconds / objects, unit="ms")
            for who, seconds in replayed.items()
        ),
        Figure(
            what=f"writes alone of {objects} ModelDeployments, on 2 processors",
            value=sum(replayed.values()) / 2,
            unit="s",
        ),
        Figure(what="processors busy with other work meanwhile", value=life.others, unit="of 2"),
        Figure(
            what="operator's peak memory",
            value=found["peak"],
            unit="MiB",
            compared_with=against,
            ratio=found["peak"] / found["bare peak"],
            at_most=MEBIBYTES,
        ),
        Figure(
            what="second look at all: writes by the operator (audit log)",
            value=second.writes.total(),
            unit="",
            at_most=0,
        ),
        Figure(what="second look at all: time", value=second.seconds, unit="s"),
        Figure(
            what="second look at all: operator CPU per pass",
            value=second_pass,
            unit="ms",
            compared_with=against,
            ratio=second_pass / bare_pass,
        ),
        Figure(what="second look at all: passes per ModelDeployment", value=second.passes / objects, unit=""),
        Figure(
            what="second look at all: API requests per pass",
            value=second.requests.total() / second.passes,
            unit="",
        ),
        Figure(what="restart: writes by the operator (audit log)", value=restart.writes.total(), unit="", at_most=0),
        Figure(what="restart: time until all were looked at", value=restart.seconds, unit="s"),
        Figure(what="restart: operator CPU, start included", value=restart.cpu["operator"], unit="s"),
        Figure(what="bare operator: CPU per pass", value=bare_pass, unit="ms"),
        Figure(what="bare operator: first create to last status", value=bare.seconds, unit="s"),
        Figure(what="bare operator: peak memory", value=found["bare peak"], unit="MiB"),
    ]


def run(objects: int = 500) -> list[dict[str, Any]]:
    """One record per figure."""
    return [figure.record() for figure in figures(measure(objects), objects)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=500)
    parser.add_argument("--json", type=Path, help="file for the records")
    given = parser.parse_args()
    tell(run(given.objects), given.json)


if __name__ == "__main__":
    main()
