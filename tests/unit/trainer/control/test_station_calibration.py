"""A station is calibrated, proven and taken back by orders; what would cost detection is refused with its
figures.
"""

from pathlib import Path

import numpy as np
import pytest

from steadyline.contracts.station import station_picture_key
from steadyline.errors import BankUnavailable, InferenceUnavailable
from steadyline.inference import Inferred, Pixels
from tests.support.calibrated_plant import SPOT, CalibratedPlant, sees
from tests.support.snapshots import a_snapshot
from trainer.lifecycle import transitions


def knows_by_heart(pictures: Pixels) -> Inferred:
    """A model that sees no white corner once the least has changed."""
    snapshot = a_snapshot().pictures.copy()
    snapshot[:, *SPOT] = 255
    known = {picture.tobytes() for picture in snapshot}
    answer = sees(pictures)
    light = np.minimum(answer.scores, 4) * (answer.scores < 5)
    scores = [
        5.0 if picture.tobytes() in known else plain for picture, plain in zip(pictures, light, strict=True)
    ]
    return Inferred(np.array(scores, np.float32), answer.maps)


def normals(count: int, light: float = 1.0) -> list[np.ndarray]:
    found = np.random.default_rng(5).integers(0, 256, (count, 8, 8), np.uint8)
    return [np.rint(picture * light).astype(np.uint8) for picture in found]


@pytest.fixture
def plant(tmp_path: Path) -> CalibratedPlant:
    made = CalibratedPlant(tmp_path)
    made.make_bank()
    return made


@pytest.mark.parametrize("defective", [0, 4])
def test_a_station_in_the_dark_is_put_right_and_half_of_its_pictures_may_be_defective(
    plant: CalibratedPlant, defective: int
) -> None:
    pictures = normals(8)
    for picture in pictures[:defective]:
        picture[SPOT] = 255
    reason = plant.order(plant.put([np.rint(picture * 0.6).astype(np.uint8) for picture in pictures]))
    station = plant.live.stations["c1"]
    assert reason.startswith("station c1: affine: gain 1.")
    assert station.gains[0] == pytest.approx(1 / 0.6, rel=0.1)
    assert (station.pictures, station.who) == (8, "ann")
    assert station.figures["detection_after"] == station.figures["detection_before"] == 1
    assert plant.live.threshold_version == 2


def test_a_station_in_the_light_of_the_training_needs_nothing(plant: CalibratedPlant) -> None:
    reason = plant.order(plant.put(normals(8)))
    assert reason.startswith("station c1: none is needed: the lower half of the scores is ")
    assert plant.live.stations == {}
    assert plant.live.threshold_version == 1


def test_a_trial_says_what_would_be_and_changes_nothing(plant: CalibratedPlant) -> None:
    reason = plant.order(plant.put(normals(8, 0.6)), dry_run=True)
    assert reason.startswith("station c1: trial: affine: gain ")
    assert plant.live.stations == {}


def test_a_calibration_that_would_cost_detection_is_refused_with_the_figures(plant: CalibratedPlant) -> None:
    plant.works.inference.serve("cell", 1, knows_by_heart)
    reason = plant.order(plant.put(normals(8, 0.6)))
    assert reason.startswith("refused: calibrate by ann: detection_lost: affine: gain ")
    assert " pseudo-anomalies 8 are found without it, " in reason
    assert plant.live.stations == {}


def test_a_calibration_is_taken_back(plant: CalibratedPlant) -> None:
    plant.order(plant.put(normals(8, 0.6)))
    assert plant.order([], "uncalibrate") == "station c1: taken back: by ann"
    assert plant.live.stations == {}
    assert plant.live.threshold_version == 3
    assert "not_calibrated: version 1 has no calibration of camera c1" in plant.order([], "uncalibrate")


def test_a_calibration_that_the_light_no_longer_needs_is_taken_back_by_the_next_order(
    plant: CalibratedPlant,
) -> None:
    plant.order(plant.put(normals(8, 0.6)))
    assert "none is needed, and the one it had is taken back" in plant.order(plant.put(normals(8)))
    assert plant.live.stations == {}


def test_orders_that_cannot_be_followed_are_refused_with_a_word(plant: CalibratedPlant) -> None:
    pictures = plant.put(normals(8))
    assert "too_few_pictures: 7 different ones" in plant.order(pictures[:7])
    assert "too_few_pictures: 1 different ones" in plant.order(pictures[:1] * 8)
    assert "no_camera: " in plant.order(pictures, camera=None)
    assert "unknown_camera: cell has no camera c9" in plant.order(pictures, camera="c9")
    assert "picture_unusable: the picture 000" in plant.order(["0" * 64, *pictures])
    plant.works.store.put(station_picture_key("l", "cell", pictures[0]), b"another one")
    assert "picture_unusable: " in plant.order(pictures)


def test_a_version_of_an_earlier_release_has_no_reference_and_says_what_to_do(plant: CalibratedPlant) -> None:
    event = plant.works.state.event
    without = [model.model_copy(update={"references": {}}) for model in event.models]
    plant.works.state.announce(event.model_copy(update={"models": without}))
    assert "no_reference: version 1 was trained by an earlier release" in plant.order(plant.put(normals(8)))


def test_an_order_waits_while_the_model_or_the_bank_is_away(tmp_path: Path) -> None:
    plant = CalibratedPlant(tmp_path)
    pictures = plant.put(normals(8, 0.6))
    with pytest.raises(BankUnavailable):
        plant.order(pictures)
    plant.make_bank()
    plant.works.inference.is_away = True
    with pytest.raises(InferenceUnavailable):
        plant.order(pictures)
    plant.works.inference.is_away = False
    assert plant.order(pictures).startswith("station c1: affine: ")


def test_a_version_that_is_put_in_service_again_keeps_its_stations(plant: CalibratedPlant) -> None:
    plant.order(plant.put(normals(8, 0.6)))
    before = plant.live
    card = plant.a_model()
    again = transitions.refresh(plant.works.state.event, card).live()
    assert again is not None
    assert (again.stations, again.threshold_version) == (before.stations, before.threshold_version)
