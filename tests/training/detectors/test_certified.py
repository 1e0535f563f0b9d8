"""The certificate: a change by at most e moves the score by at most e, operation by operation and whole."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from scorer.scoring import certify
from steadyline.contracts.model_event import Calibration
from steadyline.errors import InvalidConfiguration, PackageRejected
from steadyline.grid import Grid
from steadyline.prepare import prepare
from tests.support.parts import defective_parts, good_parts
from trainer.arrays import PseudoBank
from trainer.detector_protocol import FitInput, Fitted, Recipe
from trainer.detectors.certified import layout
from trainer.detectors.certified.detector import Certified
from trainer.detectors.certified.layout import Layout
from trainer.detectors.certified.patches import cover, leave_one_out, patch_planes, patches_by_place
from trainer.detectors.certified.profile import profile_named
from trainer.detectors.certified.served import CertifiedServed
from trainer.detectors.recipe import grid_in_recipe
from trainer.evaluation.attacks import Pgd
from trainer.jobs.export import export

EXACT = 1e-5  # float32
SIDE, SMALL = 32, 16


def fitted(channels: int = 1, count: int = 40, side: int = SIDE) -> Fitted:
    normals = good_parts(count, side, channels)
    empty = PseudoBank(normals[:0], np.zeros((0, side, side), bool), np.zeros(0, np.int64), ())
    return Certified().fit(FitInput(normals, empty, "cpu", 0), lambda step, total, message: None, None)


@pytest.fixture(scope="module")
def whole() -> Fitted:
    return fitted()


@pytest.fixture(scope="module")
def small() -> Fitted:
    return fitted(count=12, side=SMALL)


def floats(pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def within(x: Tensor, epsilon: float, seed: int) -> Tensor:
    """Return a change of ``x`` that is as large as allowed in most pixels."""
    random = torch.Generator().manual_seed(seed)
    change = torch.rand(x.shape, generator=random) * 2 - 1
    return x + epsilon * torch.where(torch.rand(x.shape, generator=random) < 0.7, change.sign(), change)


memory = torch.rand(16, 1, 5, generator=torch.Generator().manual_seed(1))
OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "taking patches": lambda x: torch.stack(patch_planes(x, 4, 2)),
    "mean absolute difference": lambda x: (x.flatten(1)[:, :16] - memory[:, 0, 0]).abs().mean(1),
    "tolerance": lambda x: (x - 0.02).clamp_min(0),
    "minimum over the memory": lambda x: (x.flatten(1)[:, :16, None] - memory[:, 0]).abs().mean(1).amin(1),
    "offset": lambda x: x - 0.3,
    "maximum over places": lambda x: x.flatten(1).amax(1),
}


@pytest.mark.parametrize("name", OPERATIONS)
@given(seed=st.integers(0, 2**31), epsilon=st.floats(1e-4, 0.5))
@settings(max_examples=25, deadline=None)
def test_every_operation_moves_by_no_more_than_its_input(name: str, seed: int, epsilon: float) -> None:
    x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    moved = (OPERATIONS[name](within(x, epsilon, seed)) - OPERATIONS[name](x)).abs().max()
    assert moved <= epsilon + EXACT


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_has_a_gradient_of_at_most_one_in_the_norm_that_answers_a_largest_change(
    name: str,
) -> None:
    x = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    slopes = torch.autograd.functional.jacobian(OPERATIONS[name], x)  # type: ignore[no-untyped-call]
    assert isinstance(slopes, Tensor)
    assert slopes.flatten(-4).abs().sum(-1).max() <= 1 + EXACT


@given(seed=st.integers(0, 2**31), steps=st.integers(1, 64))
@settings(max_examples=25, deadline=None)
def test_from_native_pixel_to_score_nothing_is_added_to_the_change(
    small: Fitted, seed: int, steps: int
) -> None:
    rng = np.random.default_rng(seed)
    native = rng.integers(0, 256, (*rng.integers(20, 120, 2), 3))
    changed = np.clip(native + rng.integers(-steps, steps + 1, native.shape), 0, 255)
    before, after = (
        small.module(torch.from_numpy(prepare(one.astype(np.uint8), Grid.square(SMALL), "gray"))[None])[0]
        for one in (native, changed)
    )
    assert (after - before).abs() <= steps / 255 + EXACT


@given(seed=st.integers(0, 2**31), epsilon=st.floats(1e-4, 0.3))
@settings(max_examples=25, deadline=None)
def test_the_whole_score_and_every_cell_keep_the_certificate(
    small: Fitted, seed: int, epsilon: float
) -> None:
    x = floats(defective_parts(2, SMALL, seed=seed)[0])
    with torch.no_grad():
        score, anomaly_map = small.module.score_float(x)
        moved, moved_map = small.module.score_float(within(x, epsilon, seed))
    assert (moved - score).abs().max() <= epsilon + EXACT
    assert (moved_map - anomaly_map).abs().max() <= epsilon + EXACT


def test_the_gradient_is_at_most_one_in_the_norm_that_answers_a_largest_change(whole: Fitted) -> None:
    x = floats(defective_parts(8, SIDE)[0]).requires_grad_(True)
    (gradient,) = torch.autograd.grad(whole.module.score_float(x)[0].sum(), x)
    slopes = gradient.abs().sum((1, 2, 3))
    assert slopes.max() <= 1 + EXACT
    assert slopes.min() > 0, "an attack has something to follow"


def test_an_attack_comes_near_the_certificate_and_never_beyond(whole: Fitted) -> None:
    x, epsilon = floats(defective_parts(8, SIDE)[0]), 4 / 255

    def score(x: Tensor) -> Tensor:
        return whole.module.score_float(x)[0]

    hit = Pgd(epsilon, 30)(score, x, -torch.ones(8))
    lost, bounds = score(x) - score(hit), whole.module.score_bounds(x, epsilon)
    assert bounds is not None
    proven = score(x) - bounds[0]
    assert (lost <= proven + EXACT).all()
    assert (lost >= 0.5 * proven).all()


@pytest.mark.parametrize("kind", ["good", "defective"])
@given(seed=st.integers(0, 2**31), epsilon=st.floats(1e-4, 0.3))
@settings(max_examples=10, deadline=None)
def test_no_change_leaves_the_proven_bounds_and_they_are_within_the_certificate(
    small: Fitted,
    kind: str,
    seed: int,
    epsilon: float,
) -> None:
    made = good_parts(3, SMALL, seed=seed) if kind == "good" else defective_parts(3, SMALL, seed=seed)[0]
    x = floats(made)
    bounds = small.module.score_bounds(x, epsilon)
    assert bounds is not None
    lowest, highest = bounds
    towards = [Pgd(epsilon, 8)(small.module.score_alone, x, way * torch.ones(3)) for way in (-1, 1)]
    for changed in (x, within(x, epsilon, seed), x + epsilon, x - epsilon, *towards):
        score = small.module.score_alone(changed)
        assert (lowest - EXACT <= score).all()
        assert (score <= highest + EXACT).all()
    clean = small.module.score_alone(x)
    assert (clean - epsilon - EXACT <= lowest).all()
    assert (highest <= clean + epsilon + EXACT).all()


def test_normals_between_kept_patches_can_be_raised_by_less_than_the_certificate_allows(
    whole: Fitted,
) -> None:
    x, epsilon = floats(good_parts(8, SIDE, seed=5)), 2 / 255
    bounds = whole.module.score_bounds(x, epsilon)
    assert bounds is not None
    assert (bounds[1] - whole.module.score_alone(x)).mean() < 0.9 * epsilon


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_of_patches_that_are_equally_near_the_one_that_is_hardest_to_leave_bounds(order: list[int]) -> None:
    """Both are within the tolerance, at distance zero; one is at its edge, from where every step counts."""
    epsilon, tolerance = 0.05, 0.02
    module = CertifiedServed(Layout(Grid.square(4), patch=4, stride=2), tolerance, (16, 2))
    module.memory.copy_(torch.tensor([0.5, 0.5 + tolerance])[order].expand(16, 1, 2))
    x = torch.full((1, 1, 4, 4), 0.5)
    assert float(module.score_alone(x)) == pytest.approx(0, abs=EXACT)
    assert float(module.score_bounds(x, epsilon)[1]) == pytest.approx(epsilon - tolerance, abs=EXACT)
    moved = torch.stack([module.score_alone(x + step) for step in (epsilon, -epsilon)])
    assert float(moved.max()) == pytest.approx(epsilon - tolerance, abs=EXACT)


def test_defects_are_told_from_normals_and_located(whole: Fitted) -> None:
    parts, masks = defective_parts(16, SIDE, seed=9)
    with torch.no_grad():
        normal = whole.module.score_float(floats(good_parts(16, SIDE, seed=8)))[0]
        score, anomaly_map = whole.module.score_float(floats(parts))
    assert score.min() > normal.max()
    across = (SIDE - 4) // 2 + 1
    highest = anomaly_map.flatten(1).argmax(1)
    for index, mask in enumerate(masks):
        row, column = divmod(int(highest[index]), across)
        assert mask[2 * row : 2 * row + 4, 2 * column : 2 * column + 4].any()


def test_the_exported_graph_answers_in_colour_as_torch_does() -> None:
    """Patches of 2 x 2 pixels: the graph has nodes for each pixel and channel of a patch."""
    recipe = fitted(3, 12, SMALL).recipe
    assert isinstance(recipe["numbers"], dict)
    smaller = {**recipe, "numbers": {**recipe["numbers"], "patch": 2}}
    random = torch.Generator().manual_seed(0)
    weights = {"memory": torch.rand(3 * 2 * 2, 64, 9, generator=random), "usual": torch.rand(64) / 9}
    module = Certified().rebuild(smaller, weights)
    exported = export(module, defective_parts(6, SMALL, 3)[0])
    assert (exported.map_height, exported.map_width) == (8, 8)
    assert max(exported.score_difference, exported.map_difference) < 1e-4


def test_a_model_is_made_again_from_recipe_and_weights(whole: Fitted) -> None:
    again = Certified().rebuild(whole.recipe, whole.module.state_dict())
    x = floats(defective_parts(3, SIDE)[0])
    torch.testing.assert_close(again.score_float(x)[0], whole.module.score_float(x)[0])
    with pytest.raises(PackageRejected, match="do not fit"):
        Certified().rebuild(whole.recipe, {"memory": torch.zeros(16, 3, 2)})


def test_a_kept_patch_does_not_excuse_the_normal_it_came_from() -> None:
    patches = torch.tensor([[[0.0], [0.5], [0.6]]])
    apart = leave_one_out(patches, patches, torch.arange(3)[None])
    tolerant = leave_one_out(patches, patches, torch.arange(3)[None], 0.2)
    torch.testing.assert_close(apart, torch.tensor([[0.5, 0.1, 0.1]]))
    torch.testing.assert_close(tolerant, torch.tensor([[0.3, 0.0, 0.0]]))


def test_the_memory_of_a_place_covers_what_was_seen_there() -> None:
    near, far = torch.full((1, 9, 2), 0.1), torch.full((1, 1, 2), 0.9)
    chosen = cover(torch.cat([near, far], 1), 2)
    assert 9 in chosen[0].tolist()


def test_patches_are_where_they_are_said_to_be() -> None:
    x = torch.arange(64.0).reshape(1, 1, 8, 8)
    found = patches_by_place(x, 4, 2)
    assert found.shape == (9, 1, 16)
    torch.testing.assert_close(found[5, 0].reshape(4, 4), x[0, 0, 2:6, 4:8])


def test_what_cannot_be_fitted_is_explained() -> None:
    with pytest.raises(InvalidConfiguration, match="too few"):
        fitted(count=4)
    with pytest.raises(InvalidConfiguration, match="no profile 'huge'"):
        Certified().bank_recipe("huge")


@pytest.mark.parametrize("side", ["above", "below"])
@given(seed=st.integers(0, 2**31), away=st.floats(0.5, 12))
@settings(max_examples=15, deadline=None)
def test_no_attack_at_the_margin_turns_the_verdict(small: Fitted, side: str, seed: int, away: float) -> None:
    """The attacked frames are whole steps of 8 bits, as a camera's are, and are scored as they are served."""
    picture = torch.from_numpy(defective_parts(1, SMALL, seed=seed)[0])
    *_, before = small.module(picture)
    threshold = float(before) + (away if side == "below" else -away) / 255
    found = certify(float(before), Calibration(scores=[threshold], threshold=threshold, achieved_rate=0.5))
    direction = torch.tensor([-1.0 if found.verdict == "anomalous" else 1.0])
    x = picture.permute(0, 3, 1, 2).float() / 255
    hit = Pgd(found.margin / 255, 20)(small.module.score_alone, x, direction)
    everywhere = x + direction * found.margin / 255
    for changed in (hit, everywhere, within(x, found.margin / 255, seed)):
        seen = (changed.clamp(0, 1) * 255).round().to(torch.uint8)
        assert (seen.int() - (x * 255).round().int()).abs().max() <= found.margin
        *_, after = small.module(seen.permute(0, 2, 3, 1))
        assert ("anomalous" if float(after) > threshold else "normal") == found.verdict


def test_one_step_beyond_the_margin_may_turn_the_verdict() -> None:
    """One kept patch, darker everywhere: each pixel counts in full, and the margin is all there is."""
    recipe = fitted(count=12, side=SMALL).recipe
    assert isinstance(recipe["numbers"], dict)
    plain = {**recipe, "numbers": {**recipe["numbers"], "tolerance": 0.0}}
    weights = {"memory": torch.zeros(16, 49, 1), "usual": torch.zeros(49)}
    module = Certified().rebuild(plain, weights)
    picture = np.full((1, SMALL, SMALL, 1), 100, np.uint8)
    threshold = 96.5 / 255
    found = certify(
        float(module(torch.from_numpy(picture))[2]),
        Calibration(scores=[threshold], threshold=threshold, achieved_rate=0.5),
    )
    assert (found.verdict, found.margin) == ("anomalous", 3)
    assert float(module(torch.from_numpy(picture - 3))[2]) > threshold
    assert float(module(torch.from_numpy(picture - 4))[2]) < threshold


def fitted_on(grid: Grid) -> Fitted:
    normals = good_parts(12, max(grid))[:, : grid.height, : grid.width].copy()
    empty = PseudoBank(normals[:0], np.zeros((0, *grid), bool), np.zeros(0, np.int64), ())
    return Certified().fit(FitInput(normals, empty, "cpu", 0), lambda step, total, message: None, None)


@pytest.fixture(scope="module", params=["no square", "averaged"])
def wide(request: pytest.FixtureRequest) -> Fitted:
    """A model of 16 x 40 pixels, and one of 24 x 48 that are averaged by 2 x 2."""
    if request.param == "no square":
        return fitted_on(Grid(16, 40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "MOST_PIXELS", 24 * 48 // 4)
        return fitted_on(Grid(24, 48))


def pictures_for(found: Fitted, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    grid = grid_in_recipe(found.recipe)
    return defective_parts(2, max(grid), seed=seed)[0][:, : grid.height, : grid.width].copy()


@given(seed=st.integers(0, 2**31), epsilon=st.floats(1e-4, 0.3))
@settings(max_examples=15, deadline=None)
def test_the_certificate_and_its_bounds_hold_for_every_grid(wide: Fitted, seed: int, epsilon: float) -> None:
    x = floats(pictures_for(wide, seed))
    with torch.no_grad():
        score, anomaly_map = wide.module.score_float(x)
        moved, moved_map = wide.module.score_float(within(x, epsilon, seed))
        bounds = wide.module.score_bounds(x, epsilon)
    assert bounds is not None
    assert (moved - score).abs().max() <= epsilon + EXACT
    assert (moved_map - anomaly_map).abs().max() <= epsilon + EXACT
    assert (bounds[0] - EXACT <= moved).all()
    assert (moved <= bounds[1] + EXACT).all()


def test_a_model_of_any_grid_is_made_again_and_exported(wide: Fitted) -> None:
    again = Certified().rebuild(wide.recipe, wide.module.state_dict())
    pictures = pictures_for(wide, 3)
    torch.testing.assert_close(again.score_float(floats(pictures)), wide.module.score_float(floats(pictures)))
    weights = {"memory": torch.rand(4, 96, 3), "usual": torch.rand(96)}
    numbers: Recipe = {"patch": 2, "stride": 2, "tolerance": 0.0, "pool": 2}
    small: Recipe = {"detector": "certified", "size": 32, "width": 48, "channels": 1, "numbers": numbers}
    exported = export(Certified().rebuild(small, weights), defective_parts(4, 48)[0][:, :32].copy())
    assert (exported.map_height, exported.map_width) == (8, 12)


@pytest.mark.parametrize(
    "grid", [Grid(64, 64), Grid(512, 208), Grid(1024, 1024), Grid(16, 4096), Grid(2048, 2048)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_of_any_grid_is_bounded(grid: Grid, channels: int) -> None:
    profile = profile_named("cpu")
    found = Layout.of(grid, profile)
    kept = found.kept(channels, profile.memory)
    assert kept >= 8
    assert found.places.pixels * kept * 16 * channels <= layout.MOST_KEPT
    assert found.pooled.pixels <= layout.MOST_PIXELS
    assert found.most_views(channels, kept) >= 1000
    if grid == Grid(64, 64):
        assert (found.pool, kept) == (1, 128)
