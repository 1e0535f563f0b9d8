"""What the bench of two halves prints of a package, and whether its attack is against the score it names."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.ablations.halves import (
    FUSIONS,
    SERVED,
    Fused,
    HidingAttack,
    ToldHalves,
    figures,
    judged,
    main,
    where,
)
from steadyline.errors import InvalidConfiguration
from trainer.detector_protocol import Served
from trainer.detectors.either.served import EitherServed, SeenByHalves
from trainer.detectors.either.trait_compensation import TraitCompensation, TraitSlopes
from trainer.evaluation.subject import floats

PACKAGE_OF_ROBUST = Path(__file__).resolve().parents[2] / "data" / "package-of-0.1"


class MeanOfHalf(Served):
    """Scores by the mean of the left or of the right half of a picture."""

    def __init__(self, is_left: bool) -> None:
        super().__init__()
        self._is_left = is_left

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        middle = x.shape[3] // 2
        part = x[..., :middle] if self._is_left else x[..., middle:]
        return part.mean((1, 2, 3)), x.mean(1)


def test_an_attack_hides_only_what_the_score_looks_at() -> None:
    """Defects are bright on the left, which only the first half sees; normals are grey everywhere."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(98, 103, (24, 16, 16, 1)).astype(np.uint8)
    anomalous = np.arange(24) >= 12
    pictures[anomalous, :, :8] += 6
    halves = EitherServed(
        MeanOfHalf(True), MeanOfHalf(False), SeenByHalves(nn.Identity(), nn.Identity()), "max"
    )
    attack = HidingAttack((4.0, 16.0), steps=4, defects=6)
    with torch.random.fork_rng():
        seen = {
            name: figures(Fused(halves, fuse), ToldHalves.of(halves, pictures), anomalous, attack)
            for name, fuse in FUSIONS.items()
        }
    assert seen["patch alone"]["clean"] == 1
    assert seen["patch alone"]["hidden_4"] == 1
    assert seen["patch alone"]["hidden_16"] == 0
    assert seen["robust alone"]["clean"] < 0.8
    assert seen["maximum"]["clean"] == 1
    assert seen["maximum"]["hidden_16"] == 0


def test_a_map_that_glows_where_the_defect_is_locates_it() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(98, 103, (4, 16, 16, 1)).astype(np.uint8)
    masks = np.zeros((4, 16, 16), bool)
    masks[:2, :4, :4] = True
    pictures[masks] += 60
    halves = EitherServed(
        MeanOfHalf(True), MeanOfHalf(False), SeenByHalves(nn.Identity(), nn.Identity()), "max"
    )
    told, located = ToldHalves.of(halves, pictures), np.array([True, True, True, False])
    assert where(FUSIONS["maximum"], told, located, masks) == {"pixel": 1.0, "aupro": 1.0}
    turned = where(lambda maps: -maps[:, 0], told, located, masks)
    assert turned["pixel"] == 0


def test_alarms_and_what_is_caught_are_told_at_the_threshold_of_the_held_out_normals() -> None:
    anomalous = np.array([False, False, True, True])
    found = judged(torch.tensor([0.1, 5.0, 0.2, 7.0]), torch.arange(100) / 100, anomalous, 0.05)
    assert found == {"alarms": 0.5, "caught": 0.5}


def test_a_package_of_another_detector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="this package is of robust, not of either"):
        main(tmp_path, PACKAGE_OF_ROBUST)


def test_the_row_that_is_served_is_compensated_as_the_package_is() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(98, 103, (4, 16, 16, 1)).astype(np.uint8)
    halves = EitherServed(
        MeanOfHalf(True), MeanOfHalf(False), SeenByHalves(nn.Identity(), nn.Identity()), "lifted"
    )
    halves.compensation = TraitCompensation(
        TraitSlopes((0.5, -3.0), (-5.0, -5.0), (-5.0, -5.0), (0.0, -7.0), (1.0, 0.0))
    )
    told = ToldHalves.of(halves, pictures)
    served = Fused(halves, FUSIONS[SERVED], is_compensated=True)
    x = floats(pictures)
    with torch.inference_mode():
        torch.testing.assert_close(served.scores(told), halves.score_alone(x))
        torch.testing.assert_close(served.score_alone(x), halves.score_alone(x))
    assert (Fused(halves, FUSIONS[SERVED]).scores(told) < served.scores(told)).all()
