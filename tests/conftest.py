"""Fixtures for every tier, and a path to ``tools`` and ``bench``, which are not installed."""

import os
import sys
from pathlib import Path

from hypothesis import settings

from tests.support.servers import addresses, kafka, own_stack, redis, stack, triton

# One thread a process: the tests run side by side on few cores, where the threads of one small training wait
# for each other in a loop and take many times the time. Read by torch and onnxruntime when they are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Last, so that it hides nothing that is installed.
sys.path.append(str(Path(__file__).resolve().parents[1]))

# No deadline: how long an example takes says more of a shared machine than of the code.
settings.register_profile("steadyline", deadline=None)
settings.load_profile("steadyline")

__all__ = ["addresses", "kafka", "own_stack", "redis", "stack", "triton"]
