"""DAF's discrepancy and losses agree with what one computes by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.parts import good_parts
from trainer.arrays import PseudoBank
from trainer.detector_protocol import FitInput
from trainer.detectors.daf.batch import Draws
from trainer.detectors.daf.discrepancy import Agreement, agreement, cosine, structure
from trainer.detectors.daf.loss import covered, decoder_loss, distillation_loss, hard_cross_entropy
from trainer.detectors.daf.profile import profile_named
from trainer.learning.augment import Light

STILL = Light(contrast=0, gain=0, colour=0, offset=0, noise=0, noisy=0, blurred=0)


def features(seed: int, channels: int = 6, side: int = 8) -> Tensor:
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(seed))


def test_alike_is_no_discrepancy_and_the_opposite_is_a_large_one() -> None:
    one = features(0)
    found = agreement(one, -one, 3)
    assert agreement(one, one, 3).discrepancy.abs().max() < 1e-5
    torch.testing.assert_close(found.cosine, torch.full_like(found.cosine, -1))
    assert found.structure.max() <= 0


def test_the_cosine_is_each_cell_s_own() -> None:
    one, two = features(0), features(1)
    expected = torch.nn.functional.cosine_similarity(one, two, dim=1)
    torch.testing.assert_close(cosine(one, two)[:, 0], expected)


def test_structural_similarity_is_that_of_the_window() -> None:
    one, two = features(0), features(1)
    one, two = one + 2, two + 2
    a, b = one[0, 2, 3:6, 4:7], two[0, 2, 3:6, 4:7]
    c1, c2 = 0.08**2, 0.24**2
    covariance = ((a - a.mean()) * (b - b.mean())).mean()
    light = (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1)
    contrast = (2 * covariance + c2) / (a.var(correction=0) + b.var(correction=0) + c2)
    torch.testing.assert_close(structure(one, two, 3)[0, 2, 4, 5], light * contrast)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_dead_and_flat_channels_are_finite_with_finite_gradients(value: float) -> None:
    flat = torch.full((1, 4, 6, 6), value, requires_grad=True)
    found = agreement(torch.zeros(1, 4, 6, 6), flat, 5).discrepancy
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert found.isfinite().all()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()


def test_a_cell_that_touches_a_defect_is_free_to_disagree() -> None:
    mask = torch.zeros(1, 16, 16)
    mask[0, 5, 9] = 1
    where = covered(mask, (4, 4))
    assert where.nonzero().tolist() == [[0, 1, 2]]
    wrong = Agreement(1 - where[:, None], 1 - 2 * where[:, None].expand(1, 3, 4, 4))
    assert distillation_loss([wrong, wrong], mask) == 0
    elsewhere = distillation_loss([wrong], mask.roll(8, 2))
    assert elsewhere == pytest.approx((1 + 2) / 15)


def test_each_defect_weighs_alike_and_the_hardest_normal_pixels_count() -> None:
    truth = torch.zeros(2, 4, 4)
    truth[0, 0, 0] = 1
    truth[1, :2] = 1
    logits = torch.full((2, 4, 4), -30.0)
    logits[1, :2] = 30.0
    # the one pixel of the first is missed by 30, the eight of the second are right: a mean of 15
    assert hard_cross_entropy(logits, truth, 3) == pytest.approx(15 / 4, rel=1e-4)
    logits[0, 3, 3] = 20.0
    hardest = min(3 * 9, 32 - 9)
    assert hard_cross_entropy(logits, truth, 3) == pytest.approx((15 + 3 * 20 / hardest) / 4, rel=1e-4)


def test_without_a_defect_false_alarms_still_cost() -> None:
    quiet, loud = torch.full((1, 16, 16), -9.0), torch.full((1, 16, 16), -9.0)
    loud[0, 3, 3] = 5.0
    empty = torch.zeros(1, 16, 16)
    assert hard_cross_entropy(quiet, empty, 3) < 1e-3
    assert hard_cross_entropy(loud, empty, 3) > 1


def test_auxiliary_heads_are_judged_at_their_own_size() -> None:
    mask = torch.zeros(1, 16, 16)
    mask[0, 4:8, 8:12] = 1
    right = (covered(mask, (4, 4)) * 2 - 1) * 30
    fine = (covered(mask, (8, 8)) * 2 - 1) * 30
    assert decoder_loss(fine, [right], mask, 3) < 2
    assert decoder_loss(fine, [-right], mask, 3) > 20


def a_bank(normals: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> PseudoBank:
    masks = np.zeros((*normals.shape[:3],), bool)
    masks[:, 2:6, 1:3] = True
    pictures = normals.copy()
    pictures[masks] = 255 - pictures[masks]
    return PseudoBank(pictures, masks, np.arange(len(normals)), ("invert",) * len(normals))


def test_a_batch_differs_from_its_normals_on_the_mask_alone_and_repeats_by_its_step() -> None:
    normals = good_parts(8)
    profile = profile_named("cpu")
    still = replace(profile, light=STILL, vary=replace(profile.vary, copies=0))
    draws = Draws(FitInput(normals, a_bank(normals), "cpu", 5), torch.arange(8), still)
    schedule = profile.schedule
    batch, again, other = (draws.draw(5, step, schedule) for step in (3, 3, 4))
    changed = (batch.seen - batch.clean).abs().amax(1) > 0
    assert torch.equal(changed & (batch.mask == 0), torch.zeros_like(changed))
    assert changed.any((1, 2)).sum() == (batch.mask > 0).any(2).any(1).sum() > 0
    assert torch.equal(batch.seen, again.seen)
    assert not torch.equal(batch.seen, other.seen)


def test_some_of_the_pictures_stay_clean_in_the_same_light() -> None:
    normals = good_parts(40)
    profile = profile_named("cpu")
    draws = Draws(FitInput(normals, a_bank(normals), "cpu", 1), torch.arange(40), profile)
    batches = [draws.draw(1, step, profile.schedule) for step in range(40)]
    share = np.mean([(batch.mask == 0).all(2).all(1).float().mean().item() for batch in batches])
    assert share == pytest.approx(profile.schedule.clean, abs=0.1)
    plain = [(batch.seen - batch.clean)[(batch.mask == 0).all(2).all(1)] for batch in batches]
    assert torch.cat(plain).abs().max() == 0
