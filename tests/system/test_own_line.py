"""A line of one's own, black box: from a folder of good parts to scored frames by two commands."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.eventually import eventually

WITHIN_SECONDS = 900


def a_plate(rng: np.random.Generator) -> Image.Image:
    """A textured plate."""
    rows, columns = np.mgrid[0:48, 0:48]
    texture = 140 + 25 * np.sin(columns / 6.0) + 15 * np.cos(rows / 9.0) + rng.normal(0, 4, (48, 48))
    return Image.fromarray(np.clip(texture, 0, 255).astype(np.uint8), "L")


def steadyline(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "steadyline", *words]


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for folder, count in (("good", 40), ("belt", 10)):
        (tmp_path / folder).mkdir()
        for index in range(count):
            a_plate(rng).save(tmp_path / folder / f"{index:03}.png")
    return tmp_path


@pytest.mark.servers
@pytest.mark.timeout(960)
def test_two_commands_lead_from_good_parts_to_scored_frames(plant: Path) -> None:
    words = ["--camera", "belt=folder:belt?fps=2&loop=true", "--normals", "good", "--detector", "certified"]
    made = subprocess.run(steadyline("init", *words), cwd=plant, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    # How strong the gate's attack is, is no matter of these two commands, and it takes most of the training.
    written = (plant / "line.yaml").read_text()
    (plant / "line.yaml").write_text(
        written.replace("    normals: good\n", "    normals: good\n    gate: {steps: 2}\n")
    )

    log = plant / "run.log"
    servers = {**os.environ, "STEADYLINE_HOME": os.environ.get("STEADYLINE_HOME", os.getcwd())}
    with log.open("wb") as out:
        line = subprocess.Popen(
            steadyline("run"), cwd=plant, env=servers, stdout=out, stderr=out, start_new_session=True
        )
    try:

        def has_scored() -> bool:
            said = log.read_text(errors="replace")
            assert line.poll() is None, said[-3000:]
            return "frames scored" in said

        eventually(has_scored, within=WITHIN_SECONDS, what="frames are scored")
    finally:
        for _ in range(2):  # as Ctrl-C does, and whoever passes it on
            line.send_signal(signal.SIGINT)
        status = line.wait(120)
    said = log.read_text(errors="replace")
    assert status == 0, said[-3000:]
    assert "model v1 in service" in said
    assert "ended; `steadyline run` goes on from here" in said
    assert (plant / "var" / "api-token").stat().st_mode & 0o077 == 0
