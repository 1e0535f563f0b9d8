"""Real Kafka, Redis and Triton as child processes on loopback: ``steadyline up``, the demo and the tests."""

from steadyline.servers.stack import Addresses, LocalStack, StackPaths

__all__ = ["Addresses", "LocalStack", "StackPaths"]
