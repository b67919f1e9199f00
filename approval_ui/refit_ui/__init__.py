"""The approval page: a person reads what Refit proposes, and decides under their own name."""
