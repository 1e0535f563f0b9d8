"""``python -m trainer`` as a person runs it."""

import os
import subprocess
import sys


def trainer(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end, on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "trainer", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
