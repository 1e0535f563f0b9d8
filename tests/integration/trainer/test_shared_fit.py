"""``torchrun -m trainer fit``: two processes train, one of them writes the package."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.parts import a_set_of_parts
from trainer.folder import open_package

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
FIT = ["-m", "trainer", "fit", "--detector", "cobra", "--size", "32", "--steps", "3"]
SMALLER = ["--set", "shape.width=8", "--set", "schedule.batch=8", "--set", "schedule.attack_steps=1"]


def test_of_two_processes_that_share_a_fit_one_writes_the_package(tmp_path: Path) -> None:
    parts, out = a_set_of_parts(tmp_path / "parts"), tmp_path / "model"
    done = subprocess.run(
        [*TORCHRUN, *FIT, *SMALLER, "--data", str(parts), "--out", str(out)],
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("package: ") == 1
    files = {path.name for path in out.iterdir()}
    assert files == {"model.onnx", "card.json", "weights.safetensors", "provenance.json", "SHA256SUMS"}
    card, _ = open_package(out)
    assert card.figures["steps"] == 3
