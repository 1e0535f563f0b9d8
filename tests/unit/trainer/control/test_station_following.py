"""The threshold of a camera follows what scorers write to the broker: bounded, proven, announced, and never
led.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from steadyline.contracts.model_event import ModelEvent
from steadyline.contracts.station import Station
from steadyline.errors import BankUnavailable, BrokerUnavailable, ContractBroken, InferenceUnavailable
from steadyline.inference import Inferred, Pixels
from tests.support.followed_plant import EVERY, ROOM, FollowedPlant, sees_spots_at
from tests.support.labels import an_alert
from trainer import metrics
from trainer.lifecycle import transitions

A_LOOK = 0.025  # rooms that a threshold may move between two looks, six hours apart: a tenth a day


@pytest.fixture
def plant(tmp_path: Path) -> FollowedPlant:
    return FollowedPlant(tmp_path)


def test_the_event_carries_a_step_as_a_station_with_a_new_version_of_the_thresholds(
    plant: FollowedPlant,
) -> None:
    plant.hours(8, 0.5)
    plant.read()
    plant.turn()
    event = ModelEvent.decode(plant.works.state.event.encode())
    live = event.live()
    assert live is not None
    station, reason = live.stations["c1"], event.changes[-1].reason
    assert reason.startswith("following: c1: moved: threshold +0 to +0.00")
    assert " scores since 2026-01-01 01:00, best explained with " in reason
    assert " pseudo-anomalies 8 are found at the training's threshold, 8 with it" in reason
    assert live.threshold_version == 2
    assert (station.kind, station.gains, station.offsets) == ("shift", [1.0], [0.0])
    assert (station.who, station.pictures) == ("stream", 0)
    assert station.threshold_shift == pytest.approx(A_LOOK * ROOM)
    assert station.followed is not None
    assert station.followed.shift == station.threshold_shift
    assert station.followed.wanted == pytest.approx(0.5 * ROOM, abs=0.15 * ROOM)
    assert station.followed.figures["detection_after"] == 1


def test_nothing_is_followed_unless_the_line_file_says_so(tmp_path: Path) -> None:
    plant = FollowedPlant(tmp_path, follow=False)
    plant.hours(8, 0.5)
    plant.look()
    assert plant.live.stations == {}


def test_scores_like_the_held_out_normals_move_nothing_and_leave_no_note(plant: FollowedPlant) -> None:
    plant.hours(8)
    before = plant.works.state.event
    plant.look()
    assert plant.works.state.event is before


def test_a_jump_is_followed_by_one_bounded_step_a_look_whatever_is_asked_between(
    plant: FollowedPlant,
) -> None:
    plant.hours(8, 0.5)
    for _ in range(3):
        plant.look()
        assert plant.shift() == pytest.approx(A_LOOK)
    plant.hours(6, 0.5)
    plant.look()
    assert plant.shift() == pytest.approx(2 * A_LOOK)


def test_a_trainer_that_begins_again_has_no_new_budget(plant: FollowedPlant) -> None:
    plant.hours(8, 0.5)
    plant.look()
    for _ in range(3):
        plant.start()
        plant.look()
        assert plant.shift() == pytest.approx(A_LOOK)
    plant.hours(3, 0.5)
    plant.start()
    plant.look()
    assert plant.shift() == pytest.approx(A_LOOK)
    plant.hours(3, 0.5)
    plant.look()
    assert plant.shift() == pytest.approx(2 * A_LOOK)


def test_a_wall_clock_that_is_set_forward_gains_one_look_at_most(plant: FollowedPlant) -> None:
    plant.hours(8, 0.5)
    plant.look()
    plant.works.clock.set(plant.works.clock.now() + timedelta(days=30))
    plant.look()
    plant.hours(8, 0.5)
    plant.look()
    assert plant.shift() == pytest.approx(2 * A_LOOK)


def test_whoever_feeds_slowly_rising_scores_is_stopped_by_the_proof_at_the_trainings_threshold(
    plant: FollowedPlant,
) -> None:
    plant.works.inference.serve("cell", 1, sees_spots_at(0.06))
    plant.hours(2, 0.3)
    for look in range(8):
        plant.hours(6, 0.3 + 0.02 * look)
        reason = plant.look()
    assert plant.shift() == pytest.approx(2 * A_LOOK)  # the third step would be past what is seen at 0.06
    assert reason.startswith("following: c1: detection_lost: it stays at +0.00")
    assert " pseudo-anomalies 8 are found at the training's threshold, " in reason
    refusals = [one for one in plant.works.state.event.changes if "detection_lost" in one.reason]
    assert len(refusals) == 1  # it is said once, and not at every look


def breaks_its_contract(pictures: Pixels) -> Inferred:
    raise ContractBroken("the scores are of another shape")


def test_what_cannot_be_proven_does_not_move_and_is_said_once_with_its_word(plant: FollowedPlant) -> None:
    plant.works.inference.serve("cell", 1, breaks_its_contract)
    for _ in range(2):
        plant.hours(8, 0.5)
        reason = plant.look()
    assert reason.startswith("following: c1: no_proof: it stays at +0, contract_broken: ")
    assert len(plant.works.state.event.changes) == 3
    assert plant.live.stations == {}
    plant.works.inference.serve("cell", 1, sees_spots_at(10))
    plant.hours(6, 0.5)
    assert plant.look().startswith("following: c1: moved: ")


def test_a_station_comes_from_pictures_or_follows_a_stream(plant: FollowedPlant) -> None:
    plant.hours(8, 0.5)
    plant.look()
    station = plant.station()
    assert station is not None
    assert Station.read(station.model_dump_json().encode()) == station
    with pytest.raises(ValueError, match="derived from no picture, and follows no stream"):
        Station.read(station.model_copy(update={"followed": None}).model_dump_json().encode())


def test_a_version_that_is_put_in_service_again_keeps_what_was_followed_and_ordered(
    plant: FollowedPlant,
) -> None:
    plant.hours(8, 0.5)
    plant.look()
    plant.order([], "uncalibrate")
    plant.hours(8, 0.5)
    plant.look()
    before = plant.live
    assert (list(before.stations), before.ordered_since) == (["c1"], {"c1": 3})
    again = transitions.refresh(plant.works.state.event, plant.a_model()).live()
    assert again is not None
    assert (again.stations, again.ordered_since) == (before.stations, before.ordered_since)


def test_a_step_back_needs_no_proof(plant: FollowedPlant) -> None:
    for _ in range(3):
        plant.hours(6, 0.5)
        plant.look()
    moved = plant.shift()
    plant.works.inference.serve("cell", 1, sees_spots_at(-5))
    plant.hours(24, -0.3)
    plant.look()
    assert plant.shift() < moved


def test_an_undo_takes_it_back_and_following_begins_anew_with_scores_of_after_it(
    plant: FollowedPlant,
) -> None:
    plant.hours(8, 0.5)
    plant.look()
    assert plant.order([], "uncalibrate") == "station c1: taken back: by ann"
    assert plant.live.ordered_since == {"c1": 3}
    plant.start()
    plant.hours(4, 0.5)
    plant.look()
    assert plant.station() is None
    plant.hours(6, 0.5)
    plant.look()
    assert plant.shift() == pytest.approx(A_LOOK)


def test_a_step_is_on_top_of_an_ordered_calibration_and_the_next_order_replaces_both(
    plant: FollowedPlant,
) -> None:
    plant.hours(8, 0.5)
    plant.look()
    station = plant.station()
    assert station is not None
    update = {"kind": "affine", "gains": [1.5], "offsets": [-3.0], "pictures": 8, "who": "ann"}
    ordered = station.model_copy(update={**update, "threshold_shift": 0.0, "followed": None})
    step = transitions.Step(1, "live", "station c1: affine", plant.works.clock.now())
    plant.works.state.announce(transitions.with_station(plant.works.state.event, "c1", ordered, step))
    plant.hours(8, 0.5)
    plant.look()
    station = plant.station()
    assert station is not None
    assert station.followed is not None
    assert (station.kind, station.gains, station.who, station.pictures) == ("affine", [1.5], "ann", 8)
    assert station.at == ordered.at
    assert station.threshold_shift == station.followed.shift == pytest.approx(A_LOOK * ROOM)
    assert plant.order([], "uncalibrate") == "station c1: taken back: by ann"
    assert plant.station() is None


def test_cameras_step_together_and_the_steps_of_one_cost_the_other_no_scores(plant: FollowedPlant) -> None:
    for _ in range(2):
        plant.hours(4, 0.5)
        plant.hours(4, 0.0, "c2")
    plant.look()
    assert (plant.live.threshold_version, sorted(plant.live.stations)) == (2, ["c1"])
    for _ in range(13):
        plant.hours(1, 0.5, "c2")
        plant.hours(1, 0.5)
    plant.look()
    assert sorted(plant.live.stations) == ["c1", "c2"]
    assert plant.live.threshold_version == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"model_version": 2},
        {"threshold_version": 9},
        {"score": float("nan")},
        {"camera": "c9"},
        {"frame": "c2/7/1"},
        {"product": "other"},
        {"source_partition": 1},
        {"part": "the same one"},
    ],
    ids=str,
)
def test_scores_of_a_stranger_change_nothing(plant: FollowedPlant, changes: dict[str, Any]) -> None:
    plant.hours(8, 0.5, **changes)
    before = plant.works.state.event
    plant.look()
    assert plant.works.state.event is before


def test_too_few_scores_or_hours_say_nothing_yet(plant: FollowedPlant) -> None:
    plant.hours(4, 0.5)
    plant.look()
    for _ in range(400):
        plant.write("c1", 0.5)
    plant.works.advance(EVERY)
    plant.look()
    assert plant.live.stations == {}


def test_frames_of_an_incident_are_not_followed(plant: FollowedPlant) -> None:
    plant.hours(8, 0.5)
    plant.read()
    plant.inbox.put_alert(an_alert("c1/7/1", "c1/7/310"))
    plant.look()
    assert plant.live.stations == {}


def test_scores_of_yesterday_move_nothing_today(plant: FollowedPlant) -> None:
    plant.hours(8, 0.5)
    plant.works.advance(timedelta(days=2))
    plant.look()
    assert plant.live.stations == {}


def test_while_the_model_or_the_bank_is_away_nothing_changes_and_the_look_is_taken_later(
    plant: FollowedPlant,
) -> None:
    plant.hours(8, 0.5)
    plant.works.inference.is_away = True
    with pytest.raises(InferenceUnavailable):
        plant.look()
    plant.works.inference.is_away = False
    made, plant.works.bank_rebuild.made = plant.works.bank_rebuild.made, {}
    plant.start()
    with pytest.raises(BankUnavailable):
        plant.look()
    assert plant.live.stations == {}
    plant.works.bank_rebuild.made = made
    plant.look()
    assert plant.shift() == pytest.approx(A_LOOK)


def test_while_the_broker_is_away_a_step_is_not_half_taken(plant: FollowedPlant) -> None:
    plant.hours(8, 0.5)
    plant.read()
    plant.works.broker.set_away(True)
    with pytest.raises(BrokerUnavailable):
        plant.following.turn(plant.inbox)
    plant.works.broker.set_away(False)
    plant.look()
    assert plant.shift() == pytest.approx(A_LOOK)
    assert plant.live.threshold_version == 2


def test_a_step_that_no_event_can_hold_is_not_taken_and_is_counted_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    monkeypatch.setattr(metrics.FOLLOWING, "backend", lambda _, labels: counted.append(labels["outcome"]))
    before = len(FollowedPlant(tmp_path / "wide").works.state.event.encode())
    plant = FollowedPlant(tmp_path / "narrow", most_event_bytes=before + 700)  # a step takes more
    plant.hours(8, 0.5)
    event = plant.works.state.event
    plant.look()
    assert plant.works.state.event is event
    assert plant.shift() == 0
    assert counted == ["event_too_large"]


def test_steps_push_no_more_than_their_share_out_of_the_history(plant: FollowedPlant) -> None:
    event, now = plant.works.state.event, plant.works.clock.now()
    for _ in range(300):
        event = transitions.with_followed(event, 1, {}, ["c1: moved: a little"], now)
    assert len(event.changes) == transitions.MOST_FOLLOWING + 2
    assert event.changes[0].before is None
