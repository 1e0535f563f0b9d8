"""A threshold follows the drift of its stream within a bound, whatever half of the parts are defective."""

from datetime import timedelta

import numpy as np
import pytest

from steadyline.contracts.model_event import Calibration
from trainer.control.station_drift import DriftStep, allowance, next_step, room
from trainer.jobs.calibrate import calibration

LOOKS = 4  # a day
LOOK = timedelta(hours=24 / LOOKS)
PER_DAY = 0.1
NORMALS = np.random.default_rng(7).gamma(9.0, 0.02, 400)  # of a detector: a longer tail upwards
KNOWN: Calibration = calibration(NORMALS.tolist(), 0.01)
ROOM = room(KNOWN)
SCORES = 600


class Stream:
    """The scores of a camera; each look takes others."""

    def __init__(self, defective: float = 0.0, seed: int = 0) -> None:
        self.defective, self.random = defective, np.random.default_rng(seed)

    def seen(self, drift: float, count: int = SCORES) -> np.ndarray:
        """Return scores of a day: good parts that have drifted, and defective ones above them."""
        spoilt = int(count * self.defective)
        good = self.random.gamma(9.0, 0.02, count - spoilt) + drift
        return np.concatenate([good, good.max() + self.random.uniform(0, 0.5, spoilt)])

    def look(self, drift: float, shift: float = 0.0) -> DriftStep:
        return next_step(self.seen(drift), KNOWN, shift, allowance(KNOWN, PER_DAY, LOOK))

    def follow(self, drifts: list[float]) -> list[float]:
        """Look once for each drift; return the shift of the threshold after each look."""
        shifts = [0.0]
        for drift in drifts:
            step = self.look(drift, shifts[-1])
            shifts.append(step.shift if step.is_due else shifts[-1])
        return shifts[1:]


def false_alarms(drift: float, shift: float) -> float:
    return float((Stream().seen(drift, 20_000) > KNOWN.threshold + shift).mean())


@pytest.mark.parametrize("way", [1.0, -1.0])
@pytest.mark.parametrize("defective", [0.0, 0.1, 0.4])
def test_a_slow_drift_is_followed_both_ways_also_when_parts_are_defective(
    way: float, defective: float
) -> None:
    days = 8
    drifts = [way * 0.06 * ROOM * at / LOOKS for at in range(days * LOOKS)]
    shift = Stream(defective).follow(drifts)[-1]
    assert shift == pytest.approx(drifts[-1], abs=0.2 * ROOM)
    if way > 0:
        assert false_alarms(drifts[-1], 0) > 0.05
        assert false_alarms(drifts[-1], shift) < 0.03


def test_a_sudden_jump_is_followed_no_faster_than_the_bound() -> None:
    shifts = Stream().follow([0.8 * ROOM] * 2 * LOOKS)
    assert shifts[LOOKS - 1] == pytest.approx(PER_DAY * ROOM)
    assert shifts[-1] == pytest.approx(2 * PER_DAY * ROOM)


@pytest.mark.parametrize("defective", [0.0, 0.1, 0.4])
def test_defective_parts_move_no_threshold_that_has_not_drifted(defective: float) -> None:
    assert max(map(abs, Stream(defective).follow([0.0] * 20))) <= PER_DAY * ROOM / 2


@pytest.mark.parametrize("defective", [0.1, 0.4])
def test_where_the_threshold_is_wanted_is_the_same_with_and_without_defective_parts(
    defective: float,
) -> None:
    clean = np.mean([Stream(seed=at).look(0.5 * ROOM).wanted for at in range(8)])
    spoilt = np.mean([Stream(defective, at).look(0.5 * ROOM).wanted for at in range(8)])
    assert spoilt == pytest.approx(clean, abs=0.05 * ROOM)


def test_a_station_in_another_light_from_its_first_day_arrives_at_the_promised_rate_in_days() -> None:
    drift = 0.5 * ROOM
    assert false_alarms(drift, 0) > 0.06
    shifts = Stream().follow([drift] * 7 * LOOKS)
    assert false_alarms(drift, shifts[2 * LOOKS]) > 0.02  # a bound, and no leap
    assert false_alarms(drift, shifts[-1]) < 0.02


def test_what_was_not_moved_is_not_saved_up_and_a_clock_that_was_set_back_allows_nothing() -> None:
    assert allowance(KNOWN, PER_DAY, timedelta(days=9)) == pytest.approx(PER_DAY * ROOM)
    assert allowance(KNOWN, PER_DAY, timedelta(hours=6)) == pytest.approx(PER_DAY * ROOM / 4)
    assert allowance(KNOWN, PER_DAY, timedelta(hours=-6)) == 0
    assert not next_step(Stream().seen(ROOM), KNOWN, 0.0, 0.0).is_due


def test_a_threshold_is_shifted_by_no_more_in_all_than_the_normals_span() -> None:
    span = KNOWN.scores[-1] - KNOWN.scores[0]
    assert next_step(Stream().seen(100.0), KNOWN, 0.99 * span, span).shift == span


def test_held_out_normals_that_all_score_alike_leave_no_room_to_move() -> None:
    alike = Calibration(scores=[0.5] * 20, threshold=0.5, achieved_rate=0.05)
    assert not next_step(Stream().seen(0.4), alike, 0.0, allowance(alike, PER_DAY, LOOK)).is_due


def test_few_held_out_normals_explain_more_by_chance() -> None:
    few = calibration(NORMALS[:40].tolist(), 0.05)
    assert (
        next_step(Stream().seen(0.0), few, 0.0, 1.0).margin
        > 1.5 * next_step(Stream().seen(0.0), KNOWN, 0.0, 1.0).margin
    )
