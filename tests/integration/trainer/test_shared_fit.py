"""``torchrun -m trainer fit``: two processes train, one of them writes the package."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.parts import a_set_of_parts
from trainer.folder import open_package

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
FIT = ["-m", "trainer", "fit", "--detector", "cobra", "--size", "32", "--steps", "3"]


def shared_fit(parts: Path, out: Path, *numbers: str) -> "subprocess.CompletedProcess[str]":
    changed = [word for number in numbers for word in ("--set", number)]
    return subprocess.run(
        [*TORCHRUN, *FIT, *changed, "--data", str(parts), "--out", str(out)],
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_of_two_processes_that_share_a_fit_one_writes_the_package(tmp_path: Path) -> None:
    parts, out = a_set_of_parts(tmp_path / "parts"), tmp_path / "model"
    done = shared_fit(parts, out, "shape.width=4", "course.batch=8", "course.attack_steps=1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("package: ") == 1
    files = {path.name for path in out.iterdir()}
    assert files == {"model.onnx", "config.pbtxt", "card.json", "weights.safetensors", "SHA256SUMS"}
    card, _ = open_package(out)
    assert card.figures["steps"] == 3


def test_a_batch_that_the_processes_cannot_share_evenly_is_refused(tmp_path: Path) -> None:
    parts, out = a_set_of_parts(tmp_path / "parts"), tmp_path / "model"
    done = shared_fit(parts, out, "shape.width=4", "course.batch=7", "course.attack_steps=1")
    assert done.returncode != 0
    assert "a batch of 7 pairs cannot be shared by 2 processes" in done.stderr + done.stdout
    assert not (out / "card.json").exists()
