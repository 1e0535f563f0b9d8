"""The chart tried on a real Kubernetes control plane, on loopback: ``python -m tools.verify_deploy``."""
