"""`fit` names a model that sees next to nothing, and says so by its exit status."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from steadyline.picture import encode_png
from trainer.folder import open_package


def test_a_model_whose_grid_drowns_every_defect_is_written_and_named(tmp_path: Path) -> None:
    """Good pictures differ as a whole far more than any defect of a few pixels does at 16 x 16."""
    rng, folder = np.random.default_rng(0), tmp_path / "good"
    folder.mkdir()
    for number in range(240):
        coarse = rng.integers(0, 256, (16, 16), np.uint8)
        (folder / f"{number:03}.png").write_bytes(encode_png(np.kron(coarse, np.ones((10, 10), np.uint8))))
    out = tmp_path / "package"
    words = [
        "--data",
        str(folder),
        "--out",
        str(out),
        "--detector",
        "certified",
        "--size",
        "16",
        "--no-guard",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "fit", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "this model sees next to nothing: " in done.stdout
    assert "score above the very picture that each was drawn into" in done.stdout
    assert "Take a finer --grid or another detector: python -m trainer plan" in done.stdout
    card, _ = open_package(out)
    assert card.figures["native_defects"] >= 30
    assert card.figures["native_raised"] < 0.6
