"""The collector: what was predicted and what turned out true, durable before it says so."""
