"""Fixtures for every tier."""

from tests.support.servers import addresses, kafka, own_stack, redis, stack, triton

__all__ = ["addresses", "kafka", "own_stack", "redis", "stack", "triton"]
