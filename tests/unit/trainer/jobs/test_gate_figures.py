"""The gate's figures, and the floor that a proof lays under them."""

import numpy as np
import pytest

from steadyline.line import GateSection
from tests.support.parts import defective_parts, good_parts
from trainer.data.banks import HeldOutSet
from trainer.detector_protocol import Served
from trainer.jobs.gate_figures import certified_companion, measure, measure_floor
from trainer.lifecycle.gate import GateFigures, rule

SIDE = 16
KNOWN = HeldOutSet(defective_parts(10, SIDE, seed=5)[0], ("square",) * 10, good_parts(10, SIDE, seed=6))


@pytest.fixture(scope="module")
def companion() -> Served:
    return certified_companion(good_parts(24, SIDE), lambda done, of, message: None)


def test_the_floor_falls_from_the_clean_figure_to_nothing_as_the_attack_grows(companion: Served) -> None:
    steps = (1, 8, 32, 128)
    floors = [measure_floor(companion, KNOWN, GateSection(epsilon=step / 255)) for step in steps]
    assert floors == sorted(floors, reverse=True)
    assert floors[0] == 1.0
    assert floors[-1] == 0.0


@pytest.mark.parametrize("steps", [8, 16, 32])
def test_no_attack_brings_the_companion_under_its_own_floor(companion: Served, steps: int) -> None:
    gate = GateSection(epsilon=steps / 255, steps=10, floor_drop=0)
    found = measure(companion, KNOWN, 0.0, gate, lambda done, of: None)
    floor = measure_floor(companion, KNOWN, gate)
    assert found.attacked >= floor
    assert rule(GateFigures(**found.model_dump()), None, gate, floor).accepted


def test_the_companion_is_the_same_for_the_same_normals(companion: Served) -> None:
    again = certified_companion(good_parts(24, SIDE), lambda done, of, message: None)
    for name, kept in companion.state_dict().items():
        np.testing.assert_array_equal(kept, again.state_dict()[name])


def test_the_detection_is_the_share_of_pseudo_anomalies_over_the_threshold(companion: Served) -> None:
    gate = GateSection(steps=1)
    thresholds = (-1.0, 1e-6, 1e9)
    found = [measure(companion, KNOWN, at, gate, lambda done, of: None).detection for at in thresholds]
    assert found == [1.0, 1.0, 0.0]
