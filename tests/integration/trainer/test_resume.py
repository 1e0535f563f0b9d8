"""A training that is killed goes on from its checkpoint, and nobody can tell by its weights."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load

from steadyline.child_process import ChildCommand, ChildProcess
from tests.support.eventually import eventually
from tests.support.fitting import uninterrupted


def test_a_training_killed_with_kill_9_resumes_to_the_very_same_weights(
    tmp_path: Path,
) -> None:
    torch.set_num_threads(1)
    command = [sys.executable, "-m", "tests.support.fitting", str(tmp_path / "kept"), str(tmp_path / "out")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = ChildProcess(ChildCommand(command, environment=environment))
    try:
        eventually(lambda: (tmp_path / "kept" / "checkpoint.json").exists(), within=120)
    finally:
        status = first.kill()
    assert status == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    subprocess.run(command, env=environment, check=True)
    resumed, expected = load((tmp_path / "out").read_bytes()), load(uninterrupted().weights())
    assert resumed.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(resumed[name], tensor), name
