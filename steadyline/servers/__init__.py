"""Real Kafka, Redis and Triton as child processes on loopback: ``steadyline up``, the demo and the tests."""

from steadyline.servers.addresses import Addresses
from steadyline.servers.process import ServerFailed
from steadyline.servers.stack import LocalStack, StackPaths

__all__ = ["Addresses", "LocalStack", "ServerFailed", "StackPaths"]
