"""Patch: distances of frozen features to those of normals that were also seen in other light."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from steadyline.errors import InvalidConfiguration, PackageRejected
from tests.support.parts import good_parts
from trainer.arrays import Pictures, PseudoBank
from trainer.backbone.choice import BackboneChoice, chosen_backbone
from trainer.detector_protocol import FitInput, Fitted, Overrides
from trainer.detectors.patch.detector import Patch
from trainer.detectors.patch.fitting import features_of
from trainer.detectors.patch.gaussian import Moments, PlaceSquares
from trainer.detectors.patch.nearest import NearestPatches, cover
from trainer.detectors.patch.profile import GaussianNumbers
from trainer.detectors.patch.served import PatchServed
from trainer.evaluation.auroc import auroc
from trainer.jobs.export import OnnxModel, export
from trainer.learning.vary import CAMERA_CHANGES, vary

SMALL: Overrides = {"nearest.memory": 200, "nearest.seen": 2000}
HEIGHT, WIDTH = 64, 48


def cut(pictures: Pictures) -> Pictures:
    """Return square pictures without some of their columns: no side is taken for the other then."""
    return np.ascontiguousarray(pictures[:, :, :WIDTH])


def fitted(normals: Pictures, **numbers: float | str) -> Fitted:
    empty = PseudoBank(normals[:0], np.zeros((0, *normals.shape[1:3]), bool), np.zeros(0, np.int64), ())
    overrides = {**SMALL, **{name.replace("__", "."): value for name, value in numbers.items()}}
    given = FitInput(normals, empty, "cpu", 0, overrides=overrides)
    return Patch().fit(given, lambda step, total, message: None, None)


@pytest.fixture(scope="module")
def whole() -> Fitted:
    return fitted(cut(good_parts(24, HEIGHT)))


def scores(found: Fitted, pictures: Pictures) -> NDArray[np.float32]:
    with torch.inference_mode():
        answer: NDArray[np.float32] = found.module(torch.from_numpy(pictures))[0].numpy()
    return answer


def test_defects_score_above_normals_on_a_grid_that_is_not_square(whole: Fitted) -> None:
    dark = good_parts(8, HEIGHT, seed=9)
    dark[:, 20:30, 10:24] //= 2
    found = scores(whole, cut(np.concatenate([good_parts(8, HEIGHT, seed=7), dark])))
    assert auroc(found, np.arange(16) >= 8) == 1.0


def test_the_exported_graph_answers_as_torch_for_any_batch(whole: Fitted) -> None:
    pictures = cut(good_parts(5, HEIGHT, seed=3))
    exported = export(whole.module, pictures)
    assert (exported.map_height, exported.map_width) == (HEIGHT // 8, WIDTH // 8)
    np.testing.assert_allclose(
        OnnxModel(exported.model)(pictures)[0], scores(whole, pictures), rtol=1e-3, atol=1e-3
    )


def test_the_same_input_gives_the_same_tensors_and_another_seed_others(whole: Fitted) -> None:
    again = fitted(cut(good_parts(24, HEIGHT)))
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(tensor, again.module.state_dict()[name]), name
    assert whole.recipe == again.recipe


def test_noise_and_other_light_do_not_look_anomalous_once_normals_were_varied(whole: Fitted) -> None:
    plain = fitted(cut(good_parts(24, HEIGHT)), vary__copies=0)
    fresh = cut(good_parts(12, HEIGHT, seed=5))
    rng = np.random.default_rng(1)
    shifted = np.stack([vary(one, CAMERA_CHANGES, rng) for one in fresh])

    def alarms(found: Fitted) -> float:
        return float(np.mean(scores(found, shifted) > scores(found, fresh).max()))

    assert alarms(whole) < alarms(plain)


def test_the_figures_tell_how_much_is_kept(whole: Fitted) -> None:
    module = whole.module
    assert isinstance(module, PatchServed)
    assert module.nearest is not None
    assert module.gaussian is not None
    kept = [*module.nearest.state_dict().values(), *module.gaussian.state_dict().values()]
    assert whole.figures["memory_patches"] == 200
    assert whole.figures["memory_bytes"] == sum(one.numel() * one.element_size() for one in kept)


def test_a_distance_alone_keeps_nothing_of_the_other() -> None:
    normals = cut(good_parts(10, HEIGHT))
    nearest, gaussian = (fitted(normals, judged=name) for name in ("nearest", "gaussian"))
    assert not any("gaussian" in name for name in nearest.module.state_dict())
    assert not any("nearest" in name for name in gaussian.module.state_dict())
    for found in (nearest, gaussian):
        again = Patch().rebuild(found.recipe, found.module.state_dict())
        assert torch.equal(again(torch.from_numpy(normals))[0], found.module(torch.from_numpy(normals))[0])


@pytest.mark.parametrize(
    ("count", "height", "width", "numbers", "wrong"),
    [
        (4, 64, 64, {}, "too few"),
        (10, 64, 40, {}, "multiples of 16"),
        (10, 32, 32, {"judged": "loudest"}, "judges by nearest"),
        (10, 32, 32, {"memory": 3}, "has no number"),
        (10, 32, 32, {"backbone__file": "/weights"}, "is shipped with its weights"),
        (10, 32, 32, {"backbone__name": "resnet18"}, "backbone.file|not installed"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_what_to_do(
    count: int, height: int, width: int, numbers: dict[str, float | str], wrong: str
) -> None:
    with pytest.raises(InvalidConfiguration, match=wrong):
        fitted(np.zeros((count, height, width, 1), np.uint8), **numbers)


def test_a_package_with_another_backbone_than_its_recipe_pins_is_refused(whole: Fitted) -> None:
    weights = dict(whole.module.state_dict())
    name = next(name for name in weights if name.startswith("backbone.") and weights[name].ndim == 4)
    weights[name] = weights[name] + 1
    with pytest.raises(PackageRejected, match="recipe pins"):
        Patch().rebuild(whole.recipe, weights)
    with pytest.raises(PackageRejected, match="do not fit"):
        Patch().rebuild(whole.recipe, {})


def test_distances_in_parts_are_those_to_the_nearest_patch_of_the_memory() -> None:
    random = torch.Generator().manual_seed(0)
    memory, features = torch.randn(7, 5, generator=random), torch.randn(2, 5, 3, 4, generator=random)
    nearest = NearestPatches(5, 7, chunk=5)
    nearest.remember(memory)
    wanted = torch.cdist(features.flatten(2).transpose(1, 2), memory).amin(2).reshape(2, 3, 4)
    torch.testing.assert_close(nearest(features), wanted)


def test_the_memory_covers_what_was_seen() -> None:
    patches = torch.arange(50.0)[:, None].repeat(1, 3)
    kept = cover(patches, 11, torch.Generator().manual_seed(0))[:, 0]
    assert float((patches[:, :1] - kept).abs().amin(1).max()) <= 4
    assert len(cover(patches[:3], 11, torch.Generator().manual_seed(0))) == 3


def test_the_distance_to_the_gaussian_is_mahalanobis() -> None:
    backbone = chosen_backbone(BackboneChoice())[0]
    numbers = GaussianNumbers(dimensions=6, ridge=0.01, fewest=1, most=1024)
    found = features_of(backbone, cut(good_parts(30, HEIGHT)))
    used = torch.tensor([3, 8, 20, 60, 90, 130])
    moments = Moments(PlaceSquares.of(8, 6, 30, numbers), used)
    moments.add(found[:13])
    moments.add(found[13:])
    dark = features_of(backbone, cut(good_parts(1, HEIGHT, seed=4) // 2))
    rows = found[:, used, 2, 4].double().numpy()
    away = dark[0, used, 2, 4].double().numpy() - rows.mean(0)
    wanted = np.sqrt(away @ np.linalg.solve(np.cov(rows.T) + 0.01 * np.eye(6), away))
    assert float(moments.fitted(0.01)(dark)[0, 2, 4]) == pytest.approx(wanted, rel=1e-3)


def test_squares_of_places_bound_the_covariances_and_give_each_samples_enough() -> None:
    numbers = GaussianNumbers(dimensions=64, ridge=0.01, fewest=256, most=1024)
    assert PlaceSquares.of(20, 20, 1000, numbers).side == 1
    assert PlaceSquares.of(20, 20, 40, numbers).side == 3
    fine = PlaceSquares.of(128, 120, 1000, numbers)
    assert fine.rows * fine.columns <= 1024
    squares = PlaceSquares(5, 7, 3)
    x = torch.arange(2 * 5 * 7.0).reshape(2, 1, 5, 7)
    assert torch.equal(squares.joined(squares.cut(x)[..., 0]), x[:, 0])
    assert replace(squares, side=1).rows == 5
