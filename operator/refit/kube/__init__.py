"""The gateway: the only code that speaks to the Kubernetes API server."""
