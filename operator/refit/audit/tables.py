"""The tables, and what keeps them append-only in the database itself: the code has no other way either.

A row that stands is changed by nobody and goes by one way alone: after the rows up to it were archived, of which a
row of `audit_base` tells, with a signed checkpoint.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, MetaData, Table, Text, UniqueConstraint

from refit.api.entries import EntryKind

METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's own row number, and so its order on disk
_KINDS = ", ".join(f"'{kind}'" for kind in EntryKind)


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


AUDIT = Table(
    "audit",
    METADATA,
    Column("sequence", _NUMBER, primary_key=True, autoincrement=False),
    *_texts("time", "kind", "request_uid", "digest", "trigger_type", "actor", "trace_id", "namespace", "model"),
    *_texts("content", "hash", "mac", "key_id"),
    CheckConstraint("sequence > 0", name="audit_sequence"),
    CheckConstraint(f"kind IN ({_KINDS})", name="audit_kind"),
    UniqueConstraint("request_uid", "kind", name="audit_once"),
    Index("audit_trace", "trace_id"),
    Index("audit_model", "namespace", "model"),
)
BASE = Table(
    "audit_base",
    METADATA,
    Column("sequence", _NUMBER, primary_key=True, autoincrement=False),
    *_texts("head", "checkpoint", "bundle_sha256", "time"),
)
"""How far the rows were archived: the signed checkpoint of the last one, and the SHA-256 of the file they are in."""

LAST = (
    """greatest(coalesce((SELECT max(sequence) FROM audit), 0), coalesce((SELECT max(sequence) FROM audit_base), 0))"""
)
_GAP = f"NEW.sequence <> {LAST} + 1"
_TWICE = "EXISTS (SELECT 1 FROM audit WHERE request_uid = NEW.request_uid AND kind = NEW.kind)"
"""An INSERT OR REPLACE of SQLite would else put a row in the other's place, which no DELETE trigger sees."""
_KEPT = "OLD.sequence > coalesce((SELECT max(sequence) FROM audit_base), 0)"
_NO_CHANGE, _NO_GAP, _NO_TWICE = (
    "the audit is append-only",
    "the audit has no gaps",
    "the audit holds this entry already",
)


def _sqlite(name: str, event: str, table: str, when: str, message: str) -> str:
    condition = f" WHEN {when.replace('greatest(', 'max(')}" if when else ""
    return f"CREATE TRIGGER {name} BEFORE {event} ON {table}{condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"


SQLITE = (
    _sqlite("audit_no_update", "UPDATE", "audit", "", _NO_CHANGE),
    _sqlite("audit_no_delete", "DELETE", "audit", _KEPT, _NO_CHANGE),
    _sqlite("audit_no_gap", "INSERT", "audit", _GAP, _NO_GAP),
    _sqlite("audit_no_twice", "INSERT", "audit", _TWICE, _NO_TWICE),
    _sqlite("audit_base_no_update", "UPDATE", "audit_base", "", _NO_CHANGE),
    _sqlite("audit_base_no_delete", "DELETE", "audit_base", "", _NO_CHANGE),
)


def _function(name: str, rules: tuple[tuple[str, str], ...], result: str) -> str:
    lines = "".join(f"IF {when} THEN RAISE EXCEPTION '{message}'; END IF; " for when, message in rules)
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {lines}RETURN {result}; END $$"


POSTGRESQL = (
    _function("audit_no_gap", ((_GAP, _NO_GAP), (_TWICE, _NO_TWICE)), "NEW"),
    _function("audit_no_delete", ((_KEPT, _NO_CHANGE),), "OLD"),
    _function("audit_no_change", (("true", _NO_CHANGE),), "NULL"),
    "CREATE TRIGGER audit_no_gap BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_no_gap()",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_no_delete()",
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_no_change()",
    # A TRUNCATE is no DELETE of rows, so no trigger for rows sees it.
    "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_no_change()",
    "CREATE TRIGGER audit_base_kept BEFORE UPDATE OR DELETE ON audit_base FOR EACH ROW EXECUTE FUNCTION audit_no_change()",
    "CREATE TRIGGER audit_base_whole BEFORE TRUNCATE ON audit_base FOR EACH STATEMENT EXECUTE FUNCTION audit_no_change()",
)
GUARDS = {"sqlite": SQLITE, "postgresql": POSTGRESQL}
"""By the database, what refuses every change."""
