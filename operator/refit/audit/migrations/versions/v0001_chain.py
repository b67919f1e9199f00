"""The chained table. Rows of the table that was before it are taken over as they are: no hash is made for them later.

What they say was never proven, so nothing may make it look as if it had been.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

from refit.audit.tables import GUARDS, METADATA

revision = "v0001"
down_revision = None

OLD = "audit_before_chain"
_ADOPTED = """
INSERT INTO audit (
  sequence, time, kind, request_uid, digest, trigger_type, actor, trace_id, namespace, model, content, hash, mac, key_id
)
SELECT sequence, time, kind, request_uid, digest, '', '', '', '', '', content, '', '', ''
FROM audit_before_chain ORDER BY sequence
"""


def upgrade() -> None:
    """Makes the tables, and takes over what is there."""
    connection = op.get_bind()
    old = inspect(connection).has_table("audit")
    if old:
        for trigger in ("audit_no_update", "audit_no_delete", "audit_no_gap"):
            op.execute(f"DROP TRIGGER {trigger}")
        op.rename_table("audit", OLD)
    METADATA.create_all(connection, checkfirst=False)
    if old:
        op.execute(_ADOPTED)
        op.drop_table(OLD)
    for statement in GUARDS[connection.dialect.name]:
        op.execute(statement)
