"""``python -m bench.line.serving`` as its users call it: a Triton of its own, a real graph."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from steadyline.service import EXIT_OK, EXIT_USAGE
from tests.support.servers import ROOT, require
from tests.support.torch_models import BrightSpot
from trainer.jobs.export import export

pytestmark = pytest.mark.servers


def serving(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench.line.serving", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)


def test_every_graph_below_a_folder_is_served_and_its_cost_is_told(tmp_path: Path) -> None:
    require(["triton"])
    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 1), np.uint8)
    for name in ("spot-0", "spot-1"):
        (tmp_path / "parts" / name).mkdir(parents=True)
        (tmp_path / "parts" / name / "model.onnx").write_bytes(export(BrightSpot(), pictures).model)

    done = serving("--models", tmp_path, "--seconds", "0.3", "--json")

    assert done.returncode == EXIT_OK, done.stderr
    rows = json.loads(done.stdout)["models"]
    assert [row["model"] for row in rows] == ["parts/spot-0", "parts/spot-1"]
    assert all(row["grid"] == "32x32" and row["memory_mb"] > 0 for row in rows)
    assert all(row["ms"] > 0 and row["alone_ms"] > 0 for row in rows)
    assert "2/2: parts/spot-1" in done.stderr


def test_a_folder_without_a_graph_is_told_before_any_server_starts(tmp_path: Path) -> None:
    done = serving("--models", tmp_path)

    assert done.returncode == EXIT_USAGE
    assert f"no model.onnx below {tmp_path}" in done.stderr
