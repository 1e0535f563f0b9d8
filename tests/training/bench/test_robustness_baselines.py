"""Baselines are fitted, exported, kept and measured as the product's own detectors are."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.robustness.baseline import BaselineInput
from bench.robustness.baselines import BANK, BASELINES, NearestPatch, PlaceGaussian
from bench.robustness.model_store import ModelStore
from bench.robustness.plan import FitSettingsByModel, Run
from steadyline.grid import Grid
from steadyline.picture import encode_png
from tests.support.parts import defective_parts, good_parts
from trainer.detector_protocol import Served
from trainer.evaluation.auroc import auroc
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
    if name != "adversarial-classifier":  # which four steps teach nothing
        assert auroc(found, np.arange(12) >= 6) > 0.95


def test_a_nearest_patch_is_at_no_distance_from_a_kept_picture() -> None:
    normals = good_parts(6, SIZE)
    given = BaselineInput(normals, "cpu", None, 0)
    module = BASELINES["patch-nearest"].fit(given, lambda step, total, message: None, Path())
    assert isinstance(module, NearestPatch)
    assert len(module.bank) == 6 * 16 <= BANK  # few patches are all kept
    defective = defective_parts(6, SIZE)[0]
    assert float(scores(module, normals).max()) < 0.05 * float(scores(module, defective).min())


def test_the_gaussian_distance_is_mahalanobis() -> None:
    normals = good_parts(30, SIZE)
    module = BASELINES["patch-gaussian"].fit(
        BaselineInput(normals, "cpu", None, 0), lambda step, total, message: None, Path()
    )
    assert isinstance(module, PlaceGaussian)
    x = torch.from_numpy(defective_parts(1, SIZE)[0]).permute(0, 3, 1, 2).float() / 255
    seen = torch.from_numpy(normals).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        place = 5
        found = module.features(seen).flatten(2)[:, module.used, place].double().numpy()
        away = module.features(x).flatten(2)[0, module.used, place].double().numpy() - found.mean(0)
        covariance = np.cov(found.T) + 0.01 * np.eye(len(away))
        wanted = np.sqrt(away @ np.linalg.solve(covariance, away))
        assert float(module.score_float(x)[1].flatten()[place]) == pytest.approx(wanted, rel=1e-2)
