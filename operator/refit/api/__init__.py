"""The contract: the kinds, their conditions and what Jobs answer. Pydantic and the standard library only."""
