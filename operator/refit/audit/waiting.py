"""Waiting: a connection to PostgreSQL that waits for an answer so long and no longer.

The server ends a statement that takes too long. A server that hangs, or a proxy in front of it, ends nothing: it takes
what is sent and says nothing, and psycopg would wait for ever, and all that is to be written with it.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection, OperationalError
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus


class Patient(Connection[Any]):
    """Closed by the first answer that does not come, so that nothing is ever built on what it may have done."""

    answers_within: float

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Every exchange with the server goes through here; raises OperationalError."""
        try:
            return super().wait(gen, interval, self.answers_within if timeout is None else timeout)
        except OperationalError:
            if self.info.transaction_status is not TransactionStatus.ACTIVE:  # there was an answer, or an end
                raise
            self.close()
            raise OperationalError(f"no answer within {self.answers_within:g} s") from None


def connected(*args: Any, answers_within: float, **given: Any) -> Patient:
    found = Patient.connect(*args, **given)
    found.answers_within = answers_within
    return found
