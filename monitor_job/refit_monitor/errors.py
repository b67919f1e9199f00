"""What can go wrong outside: each says what to do next, in one line."""

from __future__ import annotations


class BadInputError(Exception):
    """What was given can not be measured; a person must change it."""


class UnreachableError(Exception):
    """Another part does not answer, or says no."""
