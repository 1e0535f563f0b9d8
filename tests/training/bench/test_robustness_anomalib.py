"""Anomalib's models are trained and scored by Anomalib, attacked by us; without it, an error says what to do.

Most of this runs in the environment that has it: ``.venv-anomalib/bin/pytest`` with this file.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.robustness.anomalib import NAMES, model_named
from bench.robustness.model import EvaluatedModel
from bench.robustness.model_store import ModelStore
from bench.robustness.plan import FitSettingsByModel, Run
from steadyline.datasets.elpv import import_elpv
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from trainer.backbone.weights import pretrained
from trainer.data.mvtec import Preparation, TestSet, read_test
from trainer.evaluation.auroc import auroc
from trainer.jobs.export import OnnxModel

SIZE = 96  # 144 patches a picture: Anomalib's chunks of 1,024 hold no whole number of pictures
STEPS, NORMALS, TESTED = 8, 24, 6
HAS_ANOMALIB = find_spec("anomalib") is not None
needs_anomalib = [
    pytest.mark.skipif(not HAS_ANOMALIB, reason="run `make bench-anomalib`, then .venv-anomalib/bin/pytest"),
    pytest.mark.filterwarnings("default"),  # Anomalib and what it brings warn of one another
]


@dataclass(frozen=True, slots=True)
class Made:
    """A model of Anomalib, and the folder that the bench keeps it in."""

    name: str
    folder: Path
    model: EvaluatedModel


def on_progress(phase: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def models_in(folder: Path) -> ModelStore:
    return ModelStore(
        folder, FitSettingsByModel(steps=STEPS, sizes=dict.fromkeys(NAMES, Grid.square(SIZE))), on_progress
    )


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few real pictures of solar cells, in MVTec layout."""
    folder = tmp_path_factory.mktemp("elpv")
    import_elpv(folder)
    for place, count in (("train/good", NORMALS), ("test/good", TESTED), ("test/defective", TESTED)):
        for path in sorted((folder / place).glob("*.png"))[count:]:
            path.unlink()
    return folder


@pytest.fixture(scope="module", params=NAMES)
def made(request: pytest.FixtureRequest, cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model, as the bench makes it, and where."""
    name: str = request.param
    folder = tmp_path_factory.mktemp(name)
    return Made(name, folder, models_in(folder).model(Run("cells", name, 0), cells))


@pytest.fixture
def test(cells: Path) -> TestSet:
    return read_test(cells, Preparation(Grid.square(SIZE), "gray"))


def as_input(pictures: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def test_a_model_that_the_bench_does_not_have_is_answered_with_those_it_has() -> None:
    with pytest.raises(InvalidConfiguration, match=r"no anomalib-efficientad.*anomalib-patchcore"):
        model_named("anomalib-efficientad")


@pytest.mark.skipif(HAS_ANOMALIB, reason="Anomalib is here")
@pytest.mark.parametrize("name", NAMES)
def test_without_anomalib_the_error_says_which_command_brings_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=f"{name} needs Anomalib.*`make bench-anomalib`"):
        models_in(tmp_path).model(Run("cells", name, 0), tmp_path / "is not looked at")


class TestWithAnomalib:
    pytestmark = needs_anomalib

    def test_a_model_is_made_once_and_answers_as_its_graph_does(
        self, made: Made, cells: Path, test: TestSet
    ) -> None:
        again = models_in(made.folder).model(Run("cells", made.name, 0), cells)
        assert again.digest == made.model.digest
        with torch.inference_mode():
            found = again.module(torch.from_numpy(test.pictures))[0].numpy()
        np.testing.assert_allclose(OnnxModel(again.graph)(test.pictures)[0], found, rtol=1e-3, atol=1e-3)
        if made.name == "anomalib-patchcore":  # the other one learns nothing in eight steps
            assert auroc(found, test.anomalous) > 0.6

    def test_a_step_along_the_gradient_raises_the_score_of_every_picture(
        self, made: Made, test: TestSet
    ) -> None:
        module = made.model.module
        x = as_input(test.pictures).requires_grad_(True)
        before = module.score_float(x)[0]
        gradient = torch.autograd.grad(before.sum(), x)[0]
        with torch.inference_mode():
            raised = module.score_float(x + 1e-4 * gradient.sign())[0]
        assert bool((raised > before).all())

    def test_the_backbone_is_the_published_network(self, test: TestSet) -> None:
        model_named(NAMES[0])  # registers it with timm
        import timm

        network = timm.create_model("packaged_lite0", pretrained=True, features_only=True, exportable=True)
        colour = torch.cat([as_input(test.pictures)] * 3, dim=1) * 2 - 1
        with torch.inference_mode():
            found, wanted = network.eval()(colour), pretrained().stages(colour)
        for stage, features in zip((0, 1, 2, 4, 6), found, strict=True):
            torch.testing.assert_close(features, wanted[stage], rtol=1e-4, atol=1e-4)
