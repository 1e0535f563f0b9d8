"""A detector that nobody planned for: a folder and a line in the registry, as docs/add-a-detector.md says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from steadyline.clock import SystemClock
from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.grid import Grid
from steadyline.package import Card
from tests.packaging.rules import ROOT
from tests.support.parts import a_set_of_parts
from trainer.detectors.registry import DETECTORS
from trainer.evaluation.attack_plan import IndependentAttacks
from trainer.evaluation.evaluator import EvaluationSettings
from trainer.fit import rebuild
from trainer.folder import EvaluationOrder, FolderOrder, evaluate_folder, fit_folder, open_package
from trainer.jobs.build import BuildContext

CODE = Path(__file__).parent / "gaussian" / "detector.py"
PAGE = ROOT / "docs/add-a-detector.md"
ENTRY = {"gaussian": "tests.training.detectors.gaussian.detector:Gaussian"}
GRID = Grid.square(32)


def an_order(folder: Path, detector: str = "gaussian") -> FolderOrder:
    return FolderOrder(
        folder / "parts", folder / "model", "plate", detector, "cpu", None, 0, GRID, "gray", 0.1
    )


def a_bench(folder: Path) -> BuildContext:
    return BuildContext(folder, lambda phase, done, of: None, SystemClock())


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    DETECTORS.update(ENTRY)
    yield
    del DETECTORS["gaussian"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Card]:
    """The folder of a set of parts and of the model fitted on it."""
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("home")
    a_set_of_parts(home / "parts")
    return home, fit_folder(an_order(home), a_bench(home))[0]


def test_it_is_fitted_exported_packaged_and_evaluated_like_any_other(fitted: tuple[Path, Card]) -> None:
    home, card = fitted
    assert card.detector == "gaussian"
    assert card.figures["export_score_difference"] < 1e-4
    settings = EvaluationSettings(attack=IndependentAttacks((2,)), checked=0)
    order = EvaluationOrder(home / "parts", home / "model", None, settings)
    found, _ = evaluate_folder(order, lambda step, total, message: None)
    figures: Any = found.figures
    assert figures["image_auroc"]["clean"] > 0.9
    assert figures["pixel"]["auroc"] > 0.8


def test_its_package_rebuilds_it_and_another_detectors_is_refused(fitted: tuple[Path, Card]) -> None:
    card, module = open_package(fitted[0] / "model")
    probe = torch.full((1, 32, 32, 1), 90, dtype=torch.uint8)
    assert torch.isfinite(module(probe)[0]).all()
    with pytest.raises(PackageRejected, match="gaussian model do not fit"):
        rebuild({**card.recipe, "size": 64}, (fitted[0] / "model" / "weights.safetensors").read_bytes())


def test_a_profile_it_does_not_have_is_refused(fitted: tuple[Path, Card], tmp_path: Path) -> None:
    order = FolderOrder(
        fitted[0] / "parts", tmp_path, "plate", "gaussian", "laptop", None, 0, GRID, "gray", 0.1
    )
    with pytest.raises(InvalidConfiguration, match="no profile 'laptop'"):
        fit_folder(order, a_bench(tmp_path))


def test_the_page_shows_this_very_code_and_the_line_in_the_registry() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert CODE.read_text(encoding="utf-8") in blocks
    line = f'    "gaussian": "{ENTRY["gaussian"].replace("tests.training.", "trainer.")}",\n'
    assert line in blocks
    there = (ROOT / "trainer/detectors/registry.py").read_text(encoding="utf-8")
    assert '    "certified": "trainer.detectors.certified.detector:Certified",\n' in there
