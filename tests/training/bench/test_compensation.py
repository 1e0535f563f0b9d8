"""What the bench of the compensation prints is what a package would do, of normals that are drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.ablations.compensation import ToldTraits, main, raised, slopes_of
from steadyline.errors import InvalidConfiguration
from tests.support.parts import good_parts
from trainer.detector_protocol import Served
from trainer.detectors.either.served import EitherServed, SeenByHalves
from trainer.detectors.either.trait_compensation import TraitCompensation
from trainer.evaluation.subject import floats

PACKAGE_OF_ROBUST = Path(__file__).resolve().parents[2] / "data" / "package-of-0.1"


class BrighterIsHigher(Served):
    """A half whose score is a picture's brightness."""

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.mean((1, 2, 3)), x.mean(1)


def test_what_the_draws_find_raises_a_picture_as_a_package_does() -> None:
    seen = SeenByHalves(nn.Identity(), nn.Identity())
    module = EitherServed(BrighterIsHigher(), BrighterIsHigher(), seen, "lifted")
    parts = good_parts(24, 32, seed=1)
    pictures = np.concatenate([parts, parts // 2])
    told = ToldTraits.of(module, pictures)
    slopes = slopes_of([told], np.arange(48), 0.5)
    added = raised(told, slopes)
    module.compensation = TraitCompensation(slopes)
    with torch.inference_mode():
        served = module.score_alone(floats(pictures)).numpy()
    np.testing.assert_allclose(told.scores + added, served, atol=1e-4)
    assert added[24:].mean() > 0.1, "the dark ones, which score low"
    assert np.ptp(served) < 0.75 * np.ptp(told.scores)


def test_a_package_of_another_detector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="this package is of robust, not of either"):
        main(tmp_path, PACKAGE_OF_ROBUST)
