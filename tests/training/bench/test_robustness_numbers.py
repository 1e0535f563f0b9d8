"""A detector can be measured with other numbers than its profile's."""

from pathlib import Path

import pytest

from bench.robustness.model_store import ModelStore
from bench.robustness.plan import FitSettingsByModel, Run, overrides_by_detector
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from steadyline.package import CARD
from tests.support.parts import a_set_of_parts


def test_a_detector_is_trained_with_the_numbers_given_for_it_and_not_with_anothers(tmp_path: Path) -> None:
    fitting = FitSettingsByModel(
        steps=1,
        sizes={"cobra": Grid.square(32)},
        overrides={
            "cobra": {"schedule.batch": 4, "schedule.attack_steps": 1, "shape.width": 8},
            "robust": {"schedule.batch": 7},
        },
    )
    models = ModelStore(tmp_path / "models", fitting, lambda phase, done, total: None)
    run = Run("parts", "cobra", 0)
    models.model(run, a_set_of_parts(tmp_path / "parts", 32))
    card = (tmp_path / "models" / run.path / CARD).read_text()
    assert '"batch":4' in card.replace(" ", "")


def test_numbers_are_sorted_by_their_detector() -> None:
    typed = ["robust:schedule.batch=8", "daf:shape.cue=false", "robust:schedule.epsilon=0.02"]
    assert overrides_by_detector(typed) == {
        "robust": {"schedule.batch": 8, "schedule.epsilon": 0.02},
        "daf": {"shape.cue": False},
    }


@pytest.mark.parametrize("typed", ["schedule.batch=4", "robust:schedule.batch", ":schedule.batch=4"])
def test_a_number_without_its_detector_is_refused(typed: str) -> None:
    with pytest.raises(InvalidConfiguration, match="NAME=VALUE"):
        overrides_by_detector([typed])
