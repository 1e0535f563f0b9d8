"""Detectors on frozen features take pictures that are not square, and see their normals varied."""

import numpy as np
import pytest
import torch

from steadyline.errors import InvalidConfiguration
from tests.support.parts import good_parts
from trainer.arrays import KnownDefects, PseudoBank
from trainer.detector_protocol import FitInput, Fitted, Overrides
from trainer.detectors.registry import detector_named
from trainer.jobs.export import OnnxModel, export

HEIGHT, WIDTH = 64, 48
SMALL: dict[str, Overrides] = {
    "daf": {
        "schedule.batch": 4, "shape.student": 8,
        "shape.decoder": 8, "schedule.mixed": False, "vary.copies": 1,
    },
    "bgad": {
        "flow.couplings": 2, "flow.hidden": 16, "schedule.normal": 64, "schedule.pushes": 2, "vary.copies": 1,
        "schedule.anomalous": 16,
    },
}  # fmt: skip


def an_input(detector: str, width: int = WIDTH) -> FitInput:
    """Return normals that are not square, and a bank in which each has a dark spot."""
    normals = np.ascontiguousarray(good_parts(12, HEIGHT)[:, :, :width])
    masks = np.zeros(normals.shape[:3], bool)
    masks[:, 24:36, 8:20] = True
    pictures = normals.copy()
    pictures[masks] //= 2
    bank = PseudoBank(pictures, masks, np.arange(12), ("spot",) * 12)
    known = KnownDefects(pictures[:2], (masks[0], None))
    return FitInput(normals, bank, "cpu", 0, steps=4, known_defects=known, overrides=SMALL[detector])


def fitted(given: FitInput, detector: str) -> Fitted:
    torch.set_num_threads(1)
    return detector_named(detector).fit(given, lambda step, total, message: None, None)


@pytest.mark.parametrize("detector", sorted(SMALL))
def test_it_is_trained_exported_and_rebuilt_at_a_grid_that_is_not_square(detector: str) -> None:
    given = an_input(detector)
    found = fitted(given, detector)
    assert (found.recipe["size"], found.recipe["width"]) == (HEIGHT, WIDTH)
    pictures = np.concatenate([given.normals[:3], given.bank.pictures[:3]])
    exported = export(found.module, pictures)
    score, anomaly_map = OnnxModel(exported.model)(pictures)
    assert anomaly_map.shape[1] * WIDTH == anomaly_map.shape[2] * HEIGHT
    again = detector_named(detector).rebuild(found.recipe, found.module.state_dict())
    with torch.inference_mode():
        before, after = (module(torch.from_numpy(pictures))[0] for module in (found.module, again))
    torch.testing.assert_close(after, before)
    np.testing.assert_allclose(score, before.numpy(), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("detector", sorted(SMALL))
def test_a_side_that_is_no_multiple_of_16_is_refused(detector: str) -> None:
    with pytest.raises(InvalidConfiguration, match="multiples of 16"):
        fitted(an_input(detector, 40), detector)
