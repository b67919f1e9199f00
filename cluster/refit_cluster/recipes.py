"""What a Dockerfile says of its own needs: the stages it names, and the paths of the context that it copies."""

from __future__ import annotations

import json
import re
import shlex


def _instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Instruction and its arguments, with continued lines joined and comments left out."""
    lines = "\n".join(line for line in dockerfile.splitlines() if not line.lstrip().startswith("#"))
    whole = re.sub(r"\\\s*\n", " ", lines)
    words = (line.strip().partition(" ") for line in whole.splitlines() if line.strip())
    return [(name.upper(), rest.strip()) for name, _, rest in words]


def stages(dockerfile: str) -> tuple[str, ...]:
    """The stages before the last one that have a name, in their order."""
    froms = [shlex.split(rest) for name, rest in _instructions(dockerfile) if name == "FROM"]
    return tuple(words[words.index("AS") + 1] for words in froms[:-1] if "AS" in words)


def copied(dockerfile: str) -> tuple[str, ...]:
    """Every path of the context that is copied, without what comes from other stages or the network."""
    found: dict[str, None] = {}
    for name, rest in _instructions(dockerfile):
        if name not in ("COPY", "ADD"):
            continue
        if "--from=" in rest:
            continue
        words = re.sub(r"^(--\S+\s+)*", "", rest)
        listed = json.loads(words) if words.startswith("[") else shlex.split(words)
        found |= dict.fromkeys(path.removeprefix("./") or "." for path in listed[:-1] if "://" not in path)
    return tuple(found)
