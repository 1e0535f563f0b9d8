"""Fixtures for every tier."""

from hypothesis import settings

from tests.support.servers import addresses, kafka, own_stack, redis, stack, triton

# No deadline: how long an example takes says more of a shared machine than of the code.
settings.register_profile("steadyline", deadline=None)
settings.load_profile("steadyline")

__all__ = ["addresses", "kafka", "own_stack", "redis", "stack", "triton"]
