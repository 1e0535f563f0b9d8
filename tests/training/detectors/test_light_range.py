"""The range of light: a picture beyond what the normals had is taken back to the edge of it, others stay."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.parts import good_parts
from trainer.detectors.either.light_range import LightLimits, LightRange
from trainer.evaluation.subject import floats

NORMALS = np.clip(
    good_parts(20, 32).astype(np.int16) + np.arange(-40, 40, 4, dtype=np.int16)[:, None, None, None], 0, 255
).astype(np.uint8)


def limited(pictures: torch.Tensor, beyond: float = 0.1) -> torch.Tensor:
    found: torch.Tensor = LightRange(LightLimits.of(NORMALS, beyond))(pictures)
    return found


def moments(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return pictures.mean((1, 2, 3)), pictures.std((1, 2, 3), correction=0)


def test_a_picture_within_the_range_stays_as_it_is() -> None:
    shown = floats(NORMALS[10:11])
    torch.testing.assert_close(limited(shown), shown, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("gain", "offset"), [(0.6, 0.0), (0.9, 0.15), (0.5, 0.2)])
def test_a_picture_in_other_light_gets_a_mean_and_a_deviation_that_normals_had(
    gain: float, offset: float
) -> None:
    had = [np.quantile(one.numpy(), [0.1, 0.9]) for one in moments(floats(NORMALS))]
    shown = moments(limited(floats(NORMALS) * gain + offset))
    for (low, high), found in zip(had, shown, strict=True):
        assert (found >= low - 0.01).all(), "no darker and no flatter than nine of ten normals"
        assert (found <= high + 0.01).all()


def test_with_half_beyond_every_picture_has_the_same_light() -> None:
    mean, deviation = moments(limited(floats(NORMALS) * 0.7, beyond=0.5))
    assert float(mean.max() - mean.min()) < 0.02
    assert float(deviation.max() - deviation.min()) < 0.02


def test_each_channel_has_limits_of_its_own() -> None:
    coloured = NORMALS * np.array([1, 0.5, 1], np.float32)
    normals = np.broadcast_to(coloured, (*NORMALS.shape[:3], 3)).astype(np.uint8)
    light = LightRange(LightLimits.of(normals, 0.1))
    tinted = light(floats(normals) * torch.tensor([0.3, 1, 1])[:, None, None])
    had = np.quantile(normals[..., 0].mean((1, 2)) / 255, 0.1)
    assert float(tinted[:, 0].mean((1, 2)).min()) == pytest.approx(had, abs=0.02)
    torch.testing.assert_close(tinted[10:11, 1], floats(normals)[10:11, 1], rtol=0, atol=1e-5)


def test_a_flat_picture_stays_flat_and_finite() -> None:
    for value in (0.0, 0.4, 1.0):
        found = limited(torch.full((1, 1, 32, 32), value))
        assert torch.isfinite(found).all()
        assert float(found.std()) < 1e-3


def test_the_limits_take_little_memory_beside_the_normals() -> None:
    normals = np.full((64, 128, 128, 1), 100, np.uint8)
    tracemalloc.start()
    LightLimits.of(normals, 0.1)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < normals.nbytes


def test_the_limits_survive_a_recipe() -> None:
    limits = LightLimits.of(NORMALS, 0.1)
    stored = limits.as_recipe()
    assert LightLimits.of_recipe(stored) == limits  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"means": [[0.6], [0.4]]},
        {"means": [[float("nan")], [0.5]]},
        {"deviations": [[0.1], [float("inf")]]},
        {"means": [[0.1, 0.1], [0.5, 0.5]]},
        {"means": [[0.1]]},
        {"means": 3},
    ],
)
def test_limits_of_a_foreign_recipe_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        LightLimits.of_recipe({"means": [[0.2], [0.5]], "deviations": [[0.1], [0.2]], **changed})
