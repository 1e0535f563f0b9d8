"""Real Kafka, Redis and Triton as child processes on loopback: for ``steadyline up``, demo and tests."""

from steadyline.servers.addresses import Addresses
from steadyline.servers.process import ServerFailed
from steadyline.servers.stack import LocalStack, StackPaths

__all__ = ["Addresses", "LocalStack", "ServerFailed", "StackPaths"]
