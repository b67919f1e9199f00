"""Copying: all rows of one database into another that is empty, byte for byte, and verified before it counts."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, insert, select

from refit.audit import database, queries, standing
from refit.audit.keys import Keys
from refit.audit.rows import LedgerError, parsed
from refit.audit.tables import AUDIT, BASE
from refit.audit.verification import Report, told


def copy(source: Engine, target: Engine, keys: Keys) -> Report:
    """What stands in the target then; raises LedgerError, and leaves the target empty, unless all of it is the same.

    The source is locked against writing meanwhile; it is left as it is.
    """
    with (
        source.connect() as here,
        database.transaction(here, writes=True),
        target.connect() as there,
        database.transaction(there, writes=True),
    ):
        database.lock(here)
        database.lock(there)
        database.check(here)
        database.check(there)
        if queries.last(there, 0)[0] or queries.base(there) is not None:
            raise LedgerError("the database to copy into holds rows already")
        for table in (BASE, AUDIT):
            piecewise = select(table).order_by(table.c.sequence).execution_options(stream_results=True)
            for chunk in here.execute(piecewise).mappings().partitions(queries.CHUNK):
                there.execute(insert(table), [dict(one) for one in chunk])
        report = _verified(there, keys)
        for before, after in zip(queries.stored(here), queries.stored(there), strict=True):
            if before != after:
                raise LedgerError(f"row {parsed(before).sequence} is another in the copy: nothing was copied")
    return report


def _verified(connection: Connection, keys: Keys) -> Report:
    report = standing.verified(connection, keys.secrets)
    if not report.ok:
        raise LedgerError(f"nothing was copied: {told(report)}")
    return report
