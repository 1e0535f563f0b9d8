"""Either: two halves in one graph, each in units of normals held aside, fused to one score."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.grid import Grid
from steadyline.prepare import prepare
from tests.support.parts import defective_parts, good_parts
from trainer.arrays import PseudoBank
from trainer.detector_protocol import FitInput, Served
from trainer.detectors.either.profile import Fusion
from trainer.detectors.either.reduce import Reduce, kept_input, reduced_pictures, reduced_size
from trainer.detectors.either.served import EitherServed, SeenByHalves
from trainer.detectors.units import held_aside
from trainer.evaluation.subject import floats
from trainer.fit import FitSettings, Trained, rebuild, train
from trainer.jobs.export import OnnxModel, export

SMALL: dict[str, float | int | str | bool] = {
    "patch.nearest.memory": 100,
    "robust.schedule.batch": 4,
    "robust.schedule.attack_steps": 1,
    "robust.shape.width": 8,
    "side": 32,
}
NORMALS = good_parts(24, 64)
PICTURES = np.concatenate([good_parts(4, 64, seed=5), defective_parts(4, 64, seed=6)[0]])


def quiet(step: int, total: int, message: str) -> None:
    assert 0 <= step <= total


def a_bank() -> PseudoBank:
    """Return a bank in which each normal has a dark spot at a place of its own."""
    masks = np.zeros(NORMALS.shape[:3], bool)
    for place, mask in enumerate(masks):
        mask[8 + place : 20 + place, 16:30] = True
    pictures = NORMALS.copy()
    pictures[masks] //= 2
    return PseudoBank(pictures, masks, np.arange(len(NORMALS)), ("spot",) * len(NORMALS))


def fitted(**more: float | int | str | bool) -> Trained:
    torch.set_num_threads(1)
    return train(
        NORMALS, a_bank(), FitSettings("either", seed=3, steps=2, overrides={**SMALL, **more}), quiet
    )


@pytest.fixture(scope="module")
def both() -> Trained:
    return fitted()


def module_of(found: Trained) -> EitherServed:
    assert isinstance(found.module, EitherServed)
    return found.module


def answers(
    found: Trained, pictures: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"
) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        answered: tuple[Tensor, ...] = found.module(torch.from_numpy(pictures))
        return answered


def test_the_score_is_the_robust_half_lifted_by_the_other_and_the_map_their_sum(both: Trained) -> None:
    module = module_of(both)
    score, anomaly_map, halves = answers(both, PICTURES)
    assert module.halves == ("patch", "robust")
    torch.testing.assert_close(score, halves[:, 1] + halves[:, 0].clamp(min=0))
    with torch.inference_mode():
        raw = module.raw_halves(floats(PICTURES))
        told_scores, told_maps = module.told_halves(floats(PICTURES))
        torch.testing.assert_close(module.score_alone(floats(PICTURES)), score)
    torch.testing.assert_close(halves, (raw - module.centre) / module.spread)
    torch.testing.assert_close(halves, told_scores)
    torch.testing.assert_close(anomaly_map, told_maps.sum(1))


class TellsMean(Served):
    """A half whose score is a picture's mean, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = factor

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._factor * x.mean((1, 2, 3)), self._factor * x.mean(1)


@pytest.mark.parametrize(("fusion", "hides"), [("lifted", False), ("max", False), ("sum", True)])
def test_a_frozen_half_that_is_driven_down_hides_nothing_that_the_robust_half_sees(
    fusion: Fusion, hides: bool
) -> None:
    """The bright picture is a defect for the robust half, and most normal of all for the other."""
    module = EitherServed(TellsMean(-9.0), TellsMean(1.0), SeenByHalves(nn.Identity(), nn.Identity()), fusion)
    normal, defect = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    assert bool(module.score_alone(defect) < module.score_alone(normal)) == hides


def test_the_units_are_those_of_normals_that_neither_half_saw(both: Trained) -> None:
    aside = held_aside(len(NORMALS), 3)
    _, _, halves = answers(both, NORMALS[aside])
    np.testing.assert_allclose(np.median(halves.numpy(), axis=0), 0, atol=1e-4)
    assert both.figures["held_aside"] == aside.sum()


def test_one_graph_answers_score_map_and_halves(both: Trained) -> None:
    run = OnnxModel(export(both.module, PICTURES).model)
    for found, due in zip(run.outputs(PICTURES), answers(both, PICTURES), strict=True):
        np.testing.assert_allclose(found, due.numpy(), rtol=1e-3, atol=1e-2)


def test_recipe_and_weights_hold_both_halves_and_their_units(both: Trained) -> None:
    again = rebuild(both.recipe, both.weights())
    for one, other in zip(again(torch.from_numpy(PICTURES)), answers(both, PICTURES), strict=True):
        torch.testing.assert_close(one, other)
    with pytest.raises(PackageRejected, match="two halves and their units are due"):
        rebuild({**both.recipe, "patch": None}, both.weights())


def test_a_recipe_with_light_of_other_channels_or_no_limits_at_all_is_told_apart(both: Trained) -> None:
    numbers: Any = both.recipe["numbers"]
    coloured: Any = {"means": [[0.1] * 3, [0.9] * 3], "deviations": [[0.0] * 3, [0.5] * 3]}
    with pytest.raises(PackageRejected, match="limits of light of 3 channels"):
        rebuild({**both.recipe, "numbers": {**numbers, "light": coloured}}, both.weights())
    earlier = {name: value for name, value in numbers.items() if name != "light"}
    before = rebuild({**both.recipe, "numbers": earlier}, both.weights())
    assert isinstance(before, EitherServed)
    assert isinstance(before.light, nn.Identity)


@pytest.fixture(scope="module")
def compensated() -> Trained:
    """Train as ``both``, with the three normals aside taken for enough to learn a compensation from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.detectors.either.detector.FEWEST_NORMALS", 3)
        return fitted()


def test_a_compensation_that_was_learned_survives_the_recipe(compensated: Trained, both: Trained) -> None:
    assert module_of(both).compensation is None, "three normals are too few"
    module, again = module_of(compensated), rebuild(compensated.recipe, compensated.weights())
    assert isinstance(again, EitherServed)
    assert module.compensation is not None
    assert again.compensation is not None
    torch.testing.assert_close(again.compensation.numbers, module.compensation.numbers)


def test_a_compensation_is_in_the_score_and_the_graph_and_in_no_map(both: Trained) -> None:
    numbers: Any = both.recipe["numbers"]
    always: dict[str, Any] = {name: [-5.0, -5.0] for name in ("below", "above")}
    slopes: Any = {"median": [0.5, -3.0], **always, "least": [0.0, -7.0], "greatest": [1.0, 0.0]}
    module, flat = (
        rebuild({**both.recipe, "numbers": {**numbers, "compensation": slopes}}, both.weights()),
        both.module,
    )
    assert isinstance(module, EitherServed)
    assert module.compensation is not None
    x = floats(PICTURES)
    with torch.inference_mode():
        raised, score = module.compensation(x, module.light(x)), module.score_alone(x)
        torch.testing.assert_close(score, flat.score_alone(x) + raised)
        torch.testing.assert_close(module.score_float(x)[0], score)
        torch.testing.assert_close(module.score_float(x)[1], flat.score_float(x)[1])
    assert (raised > 0).all()
    run = OnnxModel(export(module, PICTURES).model)
    np.testing.assert_allclose(run.outputs(PICTURES)[0], score.numpy(), rtol=1e-3, atol=1e-2)


def test_a_compensation_that_no_training_learned_is_refused(compensated: Trained) -> None:
    numbers: Any = compensated.recipe["numbers"]
    foreign: list[Any] = [{"median": [0.5, 0.5]}, [1], {**numbers["compensation"], "below": [1.0]}, "x"]
    for slopes in foreign:
        with pytest.raises(PackageRejected, match="do not fit"):
            rebuild(
                {**compensated.recipe, "numbers": {**numbers, "compensation": slopes}}, compensated.weights()
            )
    with pytest.raises(InvalidConfiguration, match="compensation is a share"):
        fitted(compensation=1.0)


def test_the_frozen_half_s_map_is_smoothed_and_its_score_is_not(both: Trained) -> None:
    numbers: Any = both.recipe["numbers"]
    sharp = rebuild({**both.recipe, "numbers": {**numbers, "sigma": 0}}, both.weights())
    assert isinstance(sharp, EitherServed)
    with torch.inference_mode():
        score, anomaly_map, halves = sharp(torch.from_numpy(PICTURES))
        (_, told), (_, smoothed) = (
            module.told_halves(floats(PICTURES)) for module in (sharp, module_of(both))
        )
    torch.testing.assert_close(score, answers(both, PICTURES)[0])
    torch.testing.assert_close(halves, answers(both, PICTURES)[2])
    torch.testing.assert_close(anomaly_map, told.sum(1))
    torch.testing.assert_close(smoothed[:, 1], told[:, 1])
    assert smoothed[:, 0].amax() < told[:, 0].amax()


def test_a_recipe_of_an_earlier_release_has_no_smoothing_and_one_that_cannot_be_is_refused(
    both: Trained,
) -> None:
    numbers: Any = both.recipe["numbers"]
    earlier = {name: value for name, value in numbers.items() if name != "sigma"}
    before = rebuild({**both.recipe, "numbers": earlier}, both.weights())
    assert isinstance(before, EitherServed)
    assert isinstance(before.smoothing, nn.Identity)
    for sigma in (-1, 1e-50, 1e9, float("nan"), "2"):
        with pytest.raises(PackageRejected, match="do not fit"):
            rebuild({**both.recipe, "numbers": {**numbers, "sigma": sigma}}, both.weights())


@pytest.mark.parametrize(
    "changed",
    [
        {"numbers": []},
        {"numbers": "x"},
        {"channels": float("inf")},
        {"light": {"means": [[0], [10**400]], "deviations": [[0], [1]]}},
        {"light": [1]},
    ],
)
def test_a_recipe_that_no_training_wrote_is_refused_with_a_reason(
    both: Trained, changed: dict[str, Any]
) -> None:
    numbers: Any = both.recipe["numbers"]
    light = {"numbers": {**numbers, **changed}} if "light" in changed else changed
    with pytest.raises(PackageRejected, match="do not fit"):
        rebuild({**both.recipe, **light}, both.weights())


def test_a_number_that_no_half_has_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="has no number 'depth'"):
        fitted(**{"patch.depth": 3})
    with pytest.raises(
        InvalidConfiguration, match=r"'depth': there are fusion.*begin with patch\. or robust\."
    ):
        fitted(depth=3)
    with pytest.raises(InvalidConfiguration, match="fusion is one of lifted, max, sum"):
        fitted(fusion="mean")
    for beyond in (-0.1, 0.6):
        with pytest.raises(InvalidConfiguration, match="beyond is a share of the normals from 0 to"):
            fitted(beyond=beyond)
    with pytest.raises(InvalidConfiguration, match=r"sigma is 0, or 0\.1 to 16 cells of a map, not 17"):
        fitted(sigma=17.0)


@pytest.mark.parametrize(
    ("height", "width", "seen"),
    [
        (64, 64, (64, 64)),
        (160, 160, (64, 64)),
        (512, 160, (512, 160)),
        (96, 192, (64, 128)),
        (512, 208, (512, 208)),
        (32, 48, (32, 48)),
    ],
)
def test_small_pictures_are_seen_whole_and_large_ones_as_they_are(
    height: int, width: int, seen: tuple[int, int]
) -> None:
    assert reduced_size(height, width, 64, 192) == seen
    assert reduced_size(height, width, 0, 192) == (height, width)


def test_a_reduced_picture_is_what_the_line_would_prepare() -> None:
    pictures = good_parts(3, 80)
    wanted = np.stack([prepare(picture, Grid.square(32), "gray") for picture in pictures])
    assert np.array_equal(reduced_pictures(pictures, (32, 32)), wanted)
    found = Reduce((80, 80), (32, 32))(floats(pictures)) * 255
    np.testing.assert_allclose(found[:, 0].numpy(), wanted[..., 0], atol=0.51)


def test_a_training_on_some_normals_has_the_bank_of_those_alone() -> None:
    normals, bank = NORMALS, a_bank()
    kept = np.arange(len(NORMALS)) % 3 != 0
    found = kept_input(FitInput(normals, bank, "cpu", 3), kept)
    assert len(found.normals) == kept.sum()
    for place, source in enumerate(np.flatnonzero(kept[bank.source])):
        own = found.bank
        assert np.array_equal(own.pictures[place], bank.pictures[source])
        assert np.array_equal(found.normals[own.source[place]], normals[bank.source[source]])
        assert own.transform[place] == bank.transform[source]
