"""The audit: what was about to be done and what came of it, in rows that nobody can change unnoticed."""
