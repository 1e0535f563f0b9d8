"""Baselines are fitted, exported, kept and measured as the product's own detectors are."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.robustness.baselines import BASELINES
from bench.robustness.model_store import ModelStore
from bench.robustness.plan import FitSettingsByModel, Run
from steadyline.grid import Grid
from steadyline.picture import encode_png
from tests.support.parts import defective_parts, good_parts
from trainer.detector_protocol import Served
from trainer.jobs.export import OnnxModel

SIZE, STEPS = 32, 4


def on_progress(phase: str, done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    (folder / "train/good").mkdir(parents=True)
    for number, picture in enumerate(good_parts(40, 48)):
        (folder / "train/good" / f"{number:02}.png").write_bytes(encode_png(picture[..., 0]))
    return folder


def scores(module: Served, pictures: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = module(torch.from_numpy(pictures))[0]
    return found


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_is_made_once_and_answers_as_its_graph_does(name: str, data: Path, tmp_path: Path) -> None:
    fitting = FitSettingsByModel(steps=STEPS, sizes={name: Grid.square(SIZE)})
    models = ModelStore(tmp_path, fitting, on_progress)
    run = Run("parts", name, 0)
    model = models.model(run, data)
    card = tmp_path / run.path / "baseline.json"
    written = card.stat().st_mtime_ns
    again = models.model(run, data)
    assert card.stat().st_mtime_ns == written
    assert again.digest == model.digest
    assert json.loads(card.read_text())["size"] == SIZE
    good, bad = good_parts(6, SIZE, seed=7), defective_parts(6, SIZE, seed=8)[0]
    pictures = np.concatenate([good, bad])
    found = scores(again.module, pictures).numpy()
    np.testing.assert_allclose(OnnxModel(again.graph)(pictures)[0], found, rtol=1e-3, atol=1e-3)


def test_a_variant_is_the_detector_with_other_numbers() -> None:
    fitting = FitSettingsByModel(overrides={"patch-nearest": {"nearest.memory": 50}})
    detector, numbers = fitting.detector("patch-nearest")
    assert (detector, numbers) == ("patch", {"judged": "nearest", "nearest.memory": 50})
    assert fitting.detector("robust") == ("robust", {})
