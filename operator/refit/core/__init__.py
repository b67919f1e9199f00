"""The decisions: pure functions from what was observed to what is wanted. No clock, no client, no randomness."""
