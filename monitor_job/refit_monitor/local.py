"""The verdict on two files, without a cluster."""

from __future__ import annotations


def run(arguments: list[str]) -> int:
    raise NotImplementedError(arguments)
