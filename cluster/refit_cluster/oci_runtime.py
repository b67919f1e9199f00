"""An OCI runtime that asks only for what this machine has, then becomes runc.

Installed as Docker's default runtime where a capability is missing from the bounding set. It edits the container's
config.json (create, run) or the process file (exec), and hands over to runc with the same arguments. The file is copied
out of the package and run as a program, so it imports nothing of the package; the capability names arrive as a file.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

RUNC = "runc"


def without(process: dict[str, Any], missing: frozenset[str], oom_floor: int, limits: dict[str, int]) -> dict[str, Any]:
    """The process as it can be: without missing capabilities, a lower OOM score than ours, or limits above ours."""
    edited = dict(process)
    if "capabilities" in edited:
        edited["capabilities"] = {
            kind: [name for name in names or [] if name not in missing]
            for kind, names in edited["capabilities"].items()
        }
    if "CAP_SYS_RESOURCE" in missing:
        if edited.get("oomScoreAdj", oom_floor) < oom_floor:
            del edited["oomScoreAdj"]
        if "rlimits" in edited:
            edited["rlimits"] = [
                one for one in edited["rlimits"] or [] if one["hard"] <= limits.get(one["type"], one["hard"])
            ]
    return edited


def option(arguments: list[str], name: str) -> str | None:
    for at, argument in enumerate(arguments):
        if argument in (f"--{name}", f"-{name}", f"-{name[0]}") and at + 1 < len(arguments):
            return arguments[at + 1]
        if argument.startswith(f"--{name}="):
            return argument.partition("=")[2]
    return None


def own_limits() -> dict[str, int]:
    """Hard limits under the names OCI uses; an unlimited one is left out."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    hard = {name: resource.getrlimit(getattr(resource, name))[1] for name in names}
    return {name: value for name, value in hard.items() if value != resource.RLIM_INFINITY}


def main(arguments: list[str], missing: frozenset[str]) -> None:
    oom_floor = int(Path("/proc/self/oom_score_adj").read_text())
    if "create" in arguments or "run" in arguments:
        path = Path(option(arguments, "bundle") or ".") / "config.json"
        whole = json.loads(path.read_text())
        whole["process"] = without(whole["process"], missing, oom_floor, own_limits())
        path.write_text(json.dumps(whole))
    elif "exec" in arguments and (named := option(arguments, "process")):
        path = Path(named)
        path.write_text(json.dumps(without(json.loads(path.read_text()), missing, oom_floor, own_limits())))
    os.execvp(RUNC, [RUNC, *arguments])  # noqa: S606 - becoming runc is the point


if __name__ == "__main__":
    main(sys.argv[1:], frozenset((Path(__file__).parent / "missing-capabilities").read_text().split()))
