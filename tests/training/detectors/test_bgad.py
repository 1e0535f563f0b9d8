"""BGAD fits normals, uses known defects unless they harm, and is served as the contract says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from steadyline.errors import InvalidConfiguration, PackageRejected
from tests.support.parts import defective_parts, good_parts
from trainer.arrays import KnownDefects, PseudoBank
from trainer.backbone.weights import pretrained
from trainer.detector_protocol import FitInput, Fitted, Overrides
from trainer.detectors.bgad.defects import Located, defective_cells, flipped, locate, pasted
from trainer.detectors.bgad.detector import Bgad
from trainer.detectors.bgad.flow import FlowShape, NormalizingFlow
from trainer.detectors.bgad.levels import Levels, LevelShape
from trainer.detectors.bgad.profile import profile_named
from trainer.detectors.bgad.served import BgadServed
from trainer.detectors.bgad.vectors import batches, raw_features
from trainer.evaluation.auroc import auroc
from trainer.fit import FitSettings, make_pseudo_anomalies
from trainer.jobs.export import export
from trainer.pseudo.entry import in_memory

SIDE = 64
SMALL: Overrides = {
    "schedule.steps": 10,
    "schedule.normal": 64,
    "flow.hidden": 16,
    "flow.couplings": 2,
    "vary.copies": 0,
}
PUSHED: Overrides = {**SMALL, "schedule.pushes": 20, "schedule.anomalous": 32, "known.tilt": 0.0}


def quiet(step: int, total: int, message: str) -> None:
    pass


def known(count: int, masked: bool) -> KnownDefects:
    parts, masks = defective_parts(count, SIDE, seed=31)
    return KnownDefects(parts, tuple(mask if masked else None for mask in masks))


@pytest.fixture(scope="module")
def given() -> FitInput:
    torch.set_num_threads(1)
    normals = good_parts(32, SIDE)
    bank: PseudoBank = in_memory(make_pseudo_anomalies(normals, FitSettings("bgad")))
    return FitInput(normals, bank, "cpu", 0, overrides=SMALL)


def fitted(given: FitInput, checkpoint: Path | None = None) -> Fitted:
    return Bgad().fit(given, quiet, checkpoint)


@pytest.fixture(scope="module")
def plain(given: FitInput) -> Fitted:
    return fitted(given)


@pytest.fixture(scope="module")
def taught(given: FitInput) -> Fitted:
    return fitted(replace(given, known_defects=known(6, masked=True)))


def defect_auroc(found: Fitted) -> float:
    good, (bad, _) = good_parts(24, SIDE, seed=41), defective_parts(24, SIDE, seed=42)
    score, _ = found.module(torch.from_numpy(np.concatenate([good, bad])))
    return auroc(score.numpy(), np.arange(48) >= 24)


def test_normals_alone_teach_it_what_is_defective_and_where(plain: Fitted) -> None:
    assert defect_auroc(plain) > 0.9
    assert plain.figures["known_defects"] == 0
    bad, masks = defective_parts(24, SIDE, seed=42)
    anomaly_map = plain.module(torch.from_numpy(bad))[1]
    anomaly_map = anomaly_map - anomaly_map.mean(
        (1, 2), keepdim=True
    )  # some pictures are unlikelier than others as a whole
    cells = torch.from_numpy(masks).float().reshape(24, 4, 16, 4, 16).mean((2, 4)) > 0.2
    assert anomaly_map[cells].mean() > anomaly_map[~cells].mean()


def test_known_defects_make_defects_of_their_kind_score_higher(plain: Fitted, taught: Fitted) -> None:
    assert taught.figures["known_defects_used"] == 1
    assert defect_auroc(taught) >= defect_auroc(plain)
    bad = torch.from_numpy(defective_parts(24, SIDE, seed=42)[0])
    assert taught.module(bad)[0].mean() > plain.module(bad)[0].mean()


def test_the_push_makes_defects_of_the_known_kind_less_likely(given: FitInput, plain: Fitted) -> None:
    pushed = fitted(replace(given, known_defects=known(4, masked=True), overrides=PUSHED))
    bad = torch.from_numpy(defective_parts(24, SIDE, seed=42)[0])
    assert pushed.figures["known_defects_used"] == 1
    assert pushed.module(bad)[0].mean() > plain.module(bad)[0].mean()


def test_a_mark_on_a_good_part_does_no_harm(given: FitInput, plain: Fitted) -> None:
    """One wrong click that leans all the way: the held-out pictures throw it out again."""
    wrong = KnownDefects(good_parts(1, SIDE, seed=51), (None,))
    harmed = {**SMALL, "known.tilt": -300.0}  # away from everything that is unlike the mark
    found = fitted(replace(given, known_defects=wrong, overrides=harmed))
    assert found.figures["known_defects_used"] == 0
    assert found.figures["guard_auroc_with_known"] < found.figures["guard_auroc"] - 0.01
    seen = torch.from_numpy(good_parts(4, SIDE, seed=52))
    torch.testing.assert_close(found.module(seen)[0], plain.module(seen)[0])


def test_one_known_defect_hardly_moves_what_is_unlike_it(given: FitInput, plain: Fitted) -> None:
    one = fitted(replace(given, known_defects=known(1, masked=True)))
    assert defect_auroc(one) >= defect_auroc(plain) - 0.01


class Stopped(Exception):
    pass


class StopAt:
    """Stops a training after a step, as a kill would."""

    def __init__(self, step: int) -> None:
        self._step = step

    def __call__(self, step: int, total: int, message: str) -> None:
        if step == self._step:
            raise Stopped


def test_a_training_killed_while_it_pushes_goes_on_to_the_same_weights(
    given: FitInput, tmp_path: Path
) -> None:
    whole = replace(given, known_defects=known(3, masked=False), overrides=PUSHED)
    expected = fitted(whole)
    with pytest.raises(Stopped):
        Bgad().fit(whole, StopAt(15), tmp_path)
    again = fitted(whole, tmp_path)
    assert again.figures == expected.figures
    for name, tensor in again.module.state_dict().items():
        assert torch.equal(tensor, expected.module.state_dict()[name]), name


def test_the_exported_graph_leans_and_joins_its_levels_as_torch_does() -> None:
    """One stage of the backbone is enough: whole ones are exported with every detector."""
    shape, random = LevelShape(stages=(1,), scales=(1.0, 0.8), standardised=True), torch.Generator()
    sizes = shape.sizes(SIDE, SIDE)
    flows = nn.ModuleList(
        NormalizingFlow(16, size, FlowShape(couplings=1, hidden=4), seed=0) for size in sizes
    )
    served = BgadServed(Levels(pretrained(), shape), flows, sizes, profile_named("cpu").scoring)
    served.lean([torch.randn(16, generator=random.manual_seed(level)) for level in range(2)])
    exported = export(served, defective_parts(4, SIDE)[0])
    assert (exported.map_height, exported.map_width) == (32, 32)
    assert max(exported.score_difference, exported.map_difference) < 1e-4


def test_the_recipe_and_the_weights_rebuild_it(taught: Fitted) -> None:
    again = Bgad().rebuild(taught.recipe, taught.module.state_dict())
    seen = torch.from_numpy(defective_parts(4, SIDE, seed=3)[0])
    torch.testing.assert_close(again(seen), taught.module(seen))
    with pytest.raises(PackageRejected, match="bgad model do not fit"):
        Bgad().rebuild({**taught.recipe, "size": 96}, {})


def test_the_paper_profile_takes_steps(given: FitInput) -> None:
    shorter: Overrides = {"schedule.normal": 128, "schedule.anomalous": 64}
    paper = replace(given, profile="paper", steps=2, overrides=shorter, known_defects=known(2, masked=True))
    found = fitted(paper)
    assert found.figures["known_defects"] == 2
    assert torch.isfinite(found.module(torch.from_numpy(given.normals[:2]))[0]).all()


def test_known_defects_of_another_size_are_refused(given: FitInput) -> None:
    small = KnownDefects(defective_parts(1, 32)[0], (None,))
    with pytest.raises(InvalidConfiguration, match="known defects are"):
        fitted(replace(given, known_defects=small))


def test_a_defect_without_a_mask_lies_where_its_picture_scores_highest() -> None:
    anomaly_map = torch.zeros(2, 4, 4)
    anomaly_map[0, 1, 2], anomaly_map[1, 0, 0] = 5, 5
    drawn = np.zeros((8, 8), bool)
    drawn[6:, 6:] = True
    found = locate(KnownDefects(np.zeros((2, 8, 8, 1), np.uint8), (None, drawn)), anomaly_map, region=1 / 16)
    assert found.masks[0].sum() == 4
    assert found.masks[0][2:4, 4:6].all()
    np.testing.assert_array_equal(found.masks[1], drawn)


def test_copies_are_normals_outside_of_the_defect_and_not_within() -> None:
    normals, (parts, masks) = good_parts(5, 32), defective_parts(2, 32, seed=8)
    copies = pasted(normals, Located(parts, masks > 0), 12, seed=0)
    again = pasted(normals, Located(parts, masks > 0), 12, seed=0)
    np.testing.assert_array_equal(copies.pictures, again.pictures)
    for picture, mask in zip(copies.pictures, copies.masks, strict=True):
        assert mask.sum() == 64
        changed = [(picture != normal)[..., 0] for normal in normals]
        assert any((change <= mask).all() and change[mask].mean() > 0.9 for change in changed)


def test_flips_keep_the_mask_on_the_defect() -> None:
    parts, masks = defective_parts(2, 32, seed=8)
    turned = flipped(Located(parts, masks > 0))
    assert len(turned.masks) == 8
    for picture, mask in zip(turned.pictures, turned.masks, strict=True):
        assert picture[mask].mean() < 0.7 * picture[~mask].mean()


def test_a_small_mask_marks_the_cell_that_it_covers_most() -> None:
    masks = np.zeros((2, 32, 32), bool)
    masks[0, 9, 9], masks[1, :16] = True, True
    cells = defective_cells(masks, (4, 4))
    assert cells[0].nonzero().flatten().tolist() == [5]
    assert cells[1].nonzero().flatten().tolist() == list(range(8))


@pytest.fixture
def levels() -> Levels:
    return Levels(pretrained(), LevelShape(stages=(4, 5), scales=(1.0, 0.5), standardised=True))


class TestLevels:
    """Features in the normals' own units."""

    def test_normals_have_unit_variance_once_their_noise_is_added(self, levels: Levels) -> None:
        raw = raw_features(levels, good_parts(32, SIDE))
        noise = levels.fit(raw, shrinkage=0.1)
        for level, deviation in zip(levels.whitened(raw), noise, strict=True):
            rows = level.flatten(0, 1)
            torch.testing.assert_close(rows.mean(0), torch.zeros(rows.shape[1]), atol=1e-3, rtol=0)
            whole = rows.var(0, correction=0) + deviation**2
            torch.testing.assert_close(whole, torch.ones(rows.shape[1]), atol=1e-2, rtol=0)

    def test_exposure_and_contrast_are_not_what_it_sees(self, levels: Levels) -> None:
        (x,) = batches(good_parts(4, SIDE))
        for before, after in zip(levels.raw(x), levels.raw(0.6 * x + 0.1), strict=True):
            assert (before - after).abs().mean() < 0.1 * before.std()

    def test_a_picture_of_one_gray_has_finite_features_and_gradients(self, levels: Levels) -> None:
        x = torch.full((1, 1, SIDE, SIDE), 0.5, requires_grad=True)
        total = sum((level.sum() for level in levels.raw(x)), torch.zeros(()))
        (gradient,) = torch.autograd.grad(total, x)
        assert torch.isfinite(gradient).all()
