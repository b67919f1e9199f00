"""The audit's door as both sides know it: paths, the audience of its tokens, and what one must have the right to get."""

from __future__ import annotations

AUDIENCE = "refit-audit"
"""What a token must be made out for."""
RESOURCE = "audits"
"""Nobody stores such an object: the right to `get` it is the right to read the audit."""
ACCOUNT = "refit-auditor"
"""The ServiceAccount that has this right, and for which an auditor asks for a token."""
ROWS_PATH = "/v1/audit/rows"
LINES_PATH = "/v1/audit/lines"
CHECKPOINT_PATH = "/v1/audit/checkpoint"
VERIFY_PATH = "/v1/audit/verify"
MOST = 1000
"""Rows of one answer."""
