"""Telling people: an outbox on disk, routes to receivers, and what is written to each."""
