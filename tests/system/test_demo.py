"""The whole product, black box: the demonstration on a small set of its own; imports nothing of ours."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

FIELDS = {"accounting", "swap", "latency_ms", "alerts", "models", "cameras", "seconds"}
WITHIN_SECONDS = 1500


def a_frame(rng: np.random.Generator, defective: bool) -> Image.Image:
    """A textured plate; the defective one carries a dark scratch."""
    rows, columns = np.mgrid[0:128, 0:128]
    texture = 140 + 25 * np.sin(columns / 6.0) + 15 * np.cos(rows / 9.0) + rng.normal(0, 4, (128, 128))
    frame = Image.fromarray(np.clip(texture, 0, 255).astype(np.uint8), "L")
    if defective:
        start = tuple(rng.integers(20, 100, 2).tolist())
        end = tuple(rng.integers(20, 100, 2).tolist())
        ImageDraw.Draw(frame).line([start, end], fill=15, width=7)
    return frame


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for folder, count, defective in (
        ("train/good", 60, False),
        ("test/good", 24, False),
        ("test/scratch", 24, True),
    ):
        (tmp_path / "set" / folder).mkdir(parents=True)
        for index in range(count):
            a_frame(rng, defective).save(tmp_path / "set" / folder / f"{index:03}.png")
    return tmp_path / "set"


def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run it; where it takes too long, let it end its servers and fail with the last that it has said."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            said, complained = process.communicate(timeout=WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            said, _ = process.communicate(timeout=120)
            pytest.fail(f"not done within {WITHIN_SECONDS} s; the last that it has said:\n{said[-3000:]}")
    return subprocess.CompletedProcess(command, process.returncode, said, complained)


@pytest.mark.servers
@pytest.mark.timeout(1680)
def test_the_demonstration_trains_swaps_and_accounts_for_every_frame(dataset: Path, tmp_path: Path) -> None:
    home = tmp_path / "demo"
    command = [sys.executable, "-P", "-m", "steadyline", "demo", "--data", str(dataset), "--home", str(home)]
    done = run([*command, "--steps", "120", "--normals", "40"])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    summary = json.loads((home / "summary.json").read_text())
    assert set(summary) >= FIELDS
    account = summary["accounting"]
    assert account["captured"] > 0
    assert account["captured"] == account["scored"] + account["dropped"] + account["dead_lettered"]
    assert (account["missing"], account["doubled"], account["out_of_order"]) == (0, 0, 0)
    assert (summary["swap"]["to_version"], summary["swap"]["accepted"]) == (2, True), summary["swap"]
    assert summary["swap"]["failed_requests"] == 0
    assert summary["alerts"]["incidents"] == sum(summary["alerts"]["incidents_by_kind"].values())
    assert {"anomaly", "camera_down", "model_promoted"} <= set(summary["alerts"]["incidents_by_kind"])
    assert summary["alerts"]["deliveries"] == summary["alerts"]["webhook_verified"] > 0
    assert summary["alerts"]["webhook_refused"] == 0
    delay = summary["alerts"]["capture_to_alert_ms"]
    assert 0 < delay["fastest"] <= delay["p50"] <= delay["p99"]
    assert summary["alerts"]["camera_down_seconds"] > 0
    assert summary["alerts"]["camera_back_seconds"] > 0
    assert {model["version"]: model["state"] for model in summary["models"]} == {1: "retired", 2: "live"}
    assert Path(summary["contact_sheet"]).stat().st_size > 10_000
