"""Refit: a Kubernetes operator for a model's whole life."""
