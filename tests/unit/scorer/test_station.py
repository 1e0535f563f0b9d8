"""The calibration of a station is applied to the bit, to its own camera alone, and never to a frame twice."""

from datetime import UTC, datetime

import numpy as np
import pytest

from steadyline.contracts.model_event import Model
from steadyline.contracts.score import Score
from steadyline.contracts.station import CorrectionKind, Station
from steadyline.correction import corrected
from steadyline.picture import encode_png
from steadyline.station import correction_of
from tests.support.bench_top import BenchTop, a_record
from tests.support.models import Contrast, a_defective_picture, a_plain_picture

MODEL = Contrast(is_certified=True)


def a_station(gain: float = 1.0, offset: float = 0.0, shift: float = 0.0) -> Station:
    kind: CorrectionKind = "shift" if shift else "affine"
    return Station(
        kind=kind, gains=[gain], offsets=[offset], threshold_shift=shift, pictures=8,
        pictures_digest="0" * 64, at=datetime(2026, 1, 1, tzinfo=UTC), who="ann", figures={},
    )  # fmt: skip


def with_station(station: Station, camera: str = "c1", thresholds: int = 2) -> Model:
    model = MODEL.event_model(1, threshold_version=thresholds)
    return Model.model_validate({**model.model_dump(), "stations": {camera: station.model_dump()}})


def scored(top: BenchTop, picture: np.ndarray, camera: str = "c1") -> Score:
    (message,) = top.handler.submit(a_record(data=encode_png(picture), camera=camera)).result(10)
    return Score.decode(message.value)


@pytest.fixture
def served(top: BenchTop) -> BenchTop:
    top.put(1, MODEL)
    return top


def test_a_frame_is_scored_as_the_correction_makes_it_to_the_bit(served: BenchTop) -> None:
    station, picture = a_station(gain=1.7, offset=-9.3), a_defective_picture(32)
    served.slot.put(with_station(station))
    found = scored(served, picture)
    right = corrected(correction_of(station), picture[None, :, :, None])
    assert found.score == pytest.approx(float(MODEL.answer(right).scores[0]), rel=1e-6)
    assert found.threshold_version == 2


def test_another_camera_of_the_product_is_left_as_it_is(served: BenchTop) -> None:
    served.slot.put(with_station(a_station(gain=3.0)))
    picture = a_defective_picture(32)
    plain = float(MODEL.answer(picture[None, :, :, None]).scores[0])
    assert scored(served, picture, "c2").score == pytest.approx(plain, rel=1e-6)


def test_a_shift_moves_threshold_and_p_value_of_its_camera_and_no_score(served: BenchTop) -> None:
    picture = a_defective_picture(32)
    before = scored(served, picture)
    served.slot.put(with_station(a_station(shift=0.1)))
    after = scored(served, picture)
    assert after.score == before.score
    assert after.threshold == pytest.approx(before.threshold + 0.1)
    assert after.p_value >= before.p_value


@pytest.mark.parametrize("gain", [0.5, 1.6, 3.0])
def test_the_certified_margin_is_that_of_the_frame_and_not_of_what_the_correction_makes_of_it(
    served: BenchTop, gain: float
) -> None:
    """The certified score is the mean: one step more than the margin turns it, one step less does not."""
    served.slot.put(with_station(a_station(gain=gain)))
    picture = a_plain_picture(32, level=30)
    found = scored(served, picture)
    assert (found.certified_verdict, found.certified_margin is not None) == ("normal", True)
    margin = found.certified_margin or 0
    assert margin > 0
    assert scored(served, picture + np.uint8(margin)).certified_verdict == "normal"
    if gain > 1:
        assert scored(served, picture + np.uint8(margin + 2)).certified_verdict == "anomalous"


def test_a_frame_that_was_prepared_before_a_calibration_is_prepared_again_for_it(served: BenchTop) -> None:
    """It waits while another is asked; by then its camera has been calibrated."""
    picture, station = a_defective_picture(32), a_station(gain=0.5)
    records = [a_record(number, encode_png(picture)) for number in (1, 2)]
    served.slot.suspend("wrong_answer")
    promises = [served.handler.submit(record) for record in records]
    served.settle()
    served.slot.put(with_station(station))
    served.pass_time(10)
    right = float(MODEL.answer(corrected(correction_of(station), picture[None, :, :, None])).scores[0])
    for promise in promises:
        (message,) = promise.result(10)
        assert Score.decode(message.value).score == pytest.approx(right, rel=1e-6)
