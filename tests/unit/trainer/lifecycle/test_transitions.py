"""The life of a version, step by step, as every reader of the events sees it."""

from datetime import timedelta

import pytest

from steadyline.contracts.message import MOST_VERSION
from steadyline.contracts.model_event import Health
from tests.support.model_history import NOW, a_history, a_model, live
from trainer.lifecycle import transitions
from trainer.lifecycle.transitions import CommandsRead, Step


def test_a_version_goes_from_candidate_to_live_and_the_one_before_is_retired() -> None:
    event = a_history(1, 2)
    assert event.live_version == 2
    assert [(model.version, model.state) for model in event.models] == [(1, "retired"), (2, "live")]
    assert [(c.version, c.before, c.after) for c in event.changes][-3:] == [
        (2, None, "candidate"),
        (1, "live", "retired"),
        (2, "candidate", "live"),
    ]


def test_a_rejected_version_leaves_the_live_one_and_keeps_its_figures() -> None:
    event = transitions.add(a_history(1), a_model(2), NOW)
    event = transitions.reject(event, Step(2, "rejected", "robust_worse: .7 → .6", NOW), {"x": 0.6})
    assert event.live_version == 1
    rejected = transitions.find(event, 2)
    assert rejected is not None
    assert (rejected.state, rejected.figures["clean_auroc"]) == ("rejected", 0.9)
    assert event.changes[-1].figures == {"x": 0.6}


def test_the_version_to_roll_back_to_is_the_one_that_was_live_before() -> None:
    event = transitions.add(a_history(1, 2), a_model(3), NOW)
    event = transitions.reject(event, Step(3, "rejected", "no", NOW), {})
    assert transitions.before_live(event) == 1
    assert transitions.before_live(a_history(1)) is None
    back = transitions.go_live(event, Step(1, "live", "rolled back", NOW), {})
    assert back.live_version == 1
    assert transitions.before_live(back) == 2


def test_a_number_is_never_given_twice() -> None:
    event = a_history(1)
    assert transitions.next_version(event) == 2
    rejected = transitions.reject(event, Step(2, "rejected", "training failed", NOW), {})
    assert transitions.next_version(rejected) == 3


def test_an_order_for_a_version_that_never_was_takes_no_number_away() -> None:
    event = transitions.note(
        a_history(1), 99, f"{transitions.REFUSED}promote by ann: version 99 is not known", NOW
    )
    assert transitions.next_version(event) == 2


def test_only_the_newest_versions_and_those_in_use_are_listed() -> None:
    event = a_history(1)
    for version in range(2, 30):
        event = transitions.add(event, a_model(version), NOW)
        event = transitions.reject(event, Step(version, "rejected", "no", NOW), {})
    versions = [model.version for model in event.models]
    assert versions == [1, *range(22, 30)]
    assert len(event.changes) <= transitions.MOST_CHANGES


def test_versions_out_of_use_lose_their_camera_calibrations() -> None:
    event = a_history(1, 2, 3)
    kept = {model.version: set(model.calibrations) for model in event.models}
    assert kept == {1: {"*"}, 2: {"*", "c0", "c1"}, 3: {"*", "c0", "c1"}}


def test_a_new_live_version_starts_without_the_old_ones_health() -> None:
    event = transitions.with_health(
        a_history(1),
        Health(at=NOW, version=1, state="blind", reason="x", detection={}, false_alarm_rate=0),
    )
    assert event.health is not None
    assert live(event, 2).health is None


def test_answered_commands_never_go_back() -> None:
    later = NOW + timedelta(seconds=1)
    event = transitions.answered(a_history(1), CommandsRead("id", 7), later)
    assert transitions.answered(event, CommandsRead("id", 3), later).commands_until == 7


def test_on_a_topic_made_anew_no_command_is_answered_yet() -> None:
    event = transitions.answered(a_history(1), CommandsRead("former", 500), NOW)
    assert transitions.answered_until(event, "former") == 500
    assert transitions.answered_until(event, "present") == 0
    event = transitions.answered(event, CommandsRead("present", 1), NOW)
    assert (event.commands_topic, event.commands_until) == ("present", 1)


def test_an_event_of_an_earlier_release_is_of_the_topic_that_is_there() -> None:
    event = a_history(1).model_copy(update={"commands_until": 5})
    assert transitions.answered_until(event, "present") == 5


def test_an_event_that_is_too_large_loses_what_can_be_read_again_and_never_what_the_live_version_needs() -> (
    None
):
    event = a_history(1, 2, 3)
    whole = len(event.encode())
    tried = [transitions.fitted(event, whole - less) for less in range(0, whole, 50)]
    assert tried[0] == event
    for shorter in tried:
        live_model = shorter.live()
        assert live_model is not None
        assert live_model.calibrations["*"] == a_model(3).calibrations["*"]
        assert transitions.before_live(shorter) == 2
    assert {frozenset(model.calibrations) for model in tried[-1].models} == {frozenset("*")}
    assert len(tried[-1].encode()) < whole


def test_the_calibrations_of_a_certified_part_are_cut_back_as_the_others_are() -> None:
    one = a_model(1, cameras=2)
    certified = one.model_copy(update={"certified_calibrations": one.calibrations})
    event = transitions.add(transitions.nothing_yet("cell", NOW), certified, NOW)
    (slim,) = transitions.fitted(event, 0).models
    assert slim.certified_calibrations == {"*": one.calibrations["*"]} == slim.calibrations
    assert slim.is_certified


def test_a_reason_is_kept_no_longer_than_the_history_has_room_for() -> None:
    event = transitions.reject(a_history(1), Step(1, "rejected", "x" * 90_000, NOW), {})
    event = transitions.note(event, 1, "y" * 90_000, NOW)
    assert [len(change.reason) for change in event.changes[-2:]] == [transitions.MOST_REASON] * 2
    assert len(event.models[0].reason) == transitions.MOST_REASON


def test_a_greatest_version_leaves_none_to_give_and_ends_no_trainer() -> None:
    event = a_history(MOST_VERSION - 1)
    assert transitions.next_version(event) == MOST_VERSION
    with pytest.raises(transitions.NoVersionLeft):
        transitions.next_version(a_history(MOST_VERSION))
