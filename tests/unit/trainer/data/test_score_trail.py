"""Which scores a camera's threshold may follow: recent, bounded, one of each part, nothing against them."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from steadyline.contracts.score import Score
from tests.support.labels import an_incident, say
from tests.support.stream_scores import START, a_score, read, stream_rules
from trainer.data.reservoir import MOST_CAMERAS, NEAR_FRAMES, Reservoir
from trainer.data.score_trail import HOURS, SCORES_AN_HOUR

HOUR = 3600.0
EVER = START - timedelta(days=1)


@pytest.fixture
def reservoir() -> Reservoir:
    return Reservoir(stream_rules())


def sequences(reservoir: Reservoir, camera: str = "c1") -> list[int]:
    return [seen.frame.sequence for seen in reservoir.recent_scores(EVER).get(camera, [])]


def of_part(part: str, numbers: Iterable[int]) -> list[Score]:
    return [a_score(number).model_copy(update={"part": part}) for number in numbers]


def test_a_score_is_kept_raw_with_its_versions_also_where_its_frame_alarms(reservoir: Reservoir) -> None:
    read(reservoir, [a_score(1, anomalous=True), a_score(2, p_value=0.01)], 0)
    alarm, normal = reservoir.recent_scores(EVER)["c1"]
    assert (alarm.score, alarm.model_version, alarm.threshold_version, alarm.at) == (1.0, 3, 1, START)
    assert normal.frame.sequence == 2


def test_a_part_that_is_seen_two_hundred_times_counts_once(reservoir: Reservoir) -> None:
    read(reservoir, of_part("a", range(1, 201)), 0, apart=HOUR / 50)
    read(reservoir, of_part("b", [201]), 4 * HOUR)
    assert sequences(reservoir) == [1, 201]


def test_a_score_that_is_written_twice_counts_once(reservoir: Reservoir) -> None:
    read(reservoir, [a_score(1), a_score(1), a_score(2)], 0)
    assert sequences(reservoir) == [1, 2]


def test_a_flood_gains_no_other_hour_and_no_other_camera(reservoir: Reservoir) -> None:
    read(reservoir, [a_score(number) for number in range(1, 31)], 0)
    read(reservoir, [a_score(number, "c2") for number in range(1, 31)], 0)
    read(reservoir, [a_score(number) for number in range(31, 5000)], HOUR, apart=0.1)
    assert sequences(reservoir)[:30] == list(range(1, 31))
    assert len(sequences(reservoir)) == 30 + SCORES_AN_HOUR
    assert len(sequences(reservoir, "c2")) == 30


def test_only_the_last_day_is_kept_whoever_says_what_time_it_is(reservoir: Reservoir) -> None:
    for hour in range(HOURS + 6):
        frame = a_score(hour + 1).model_copy(update={"captured_at": START.replace(year=1970)})
        read(reservoir, [frame], hour * HOUR)
    assert sequences(reservoir) == list(range(7, HOURS + 7))
    assert len(reservoir.recent_scores(START + timedelta(hours=HOURS + 3))["c1"]) == 2


def test_the_neighbours_of_an_anomalous_run_leave_and_are_not_taken(reservoir: Reservoir) -> None:
    scores = [a_score(number, anomalous=number in (20, 21)) for number in range(1, 41)]
    read(reservoir, scores, 0)
    near = set(range(20 - NEAR_FRAMES, 21 + NEAR_FRAMES + 1))
    assert set(sequences(reservoir)) == set(range(1, 41)) - near


def test_people_and_incidents_take_scores_out_whenever_they_say_so(reservoir: Reservoir) -> None:
    an_incident(reservoir, "c1/7/1", "c1/7/2")
    read(reservoir, [a_score(number) for number in range(1, 10)], 0)
    an_incident(reservoir, "c1/7/5", "c1/7/7")
    say(reservoir, "c1/7/6", "good")
    say(reservoir, "c1/7/9", "defect")
    assert sequences(reservoir) == [3, 4, 6, 8]
    say(reservoir, "c1/7/6", "withdrawn")
    say(reservoir, "c1/7/9", "withdrawn")
    assert sequences(reservoir) == [3, 4, 8, 9]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_not_followed_and_counted(reservoir: Reservoir, value: float) -> None:
    read(reservoir, [a_score(1).model_copy(update={"score": value}), a_score(2)], 0)
    assert sequences(reservoir) == [2]
    assert reservoir.dropped == {"not_finite": 1}


def test_cameras_that_the_line_does_not_have_leave_no_trail() -> None:
    listed = Reservoir(stream_rules(cameras=frozenset({"c1"})))
    read(listed, [a_score(1, "c1"), a_score(1, "c9")], 0)
    assert list(listed.recent_scores(EVER)) == ["c1"]
    unlisted = Reservoir(stream_rules())
    read(unlisted, [a_score(1, f"c{number}") for number in range(2 * MOST_CAMERAS)], 0)
    assert len(unlisted.recent_scores(EVER)) == MOST_CAMERAS
