"""A real Kubernetes cluster for Refit on any machine: kind where it can be pulled, built from source where not."""
