"""One epoch settled: an honest day is intact, and each fault is named, and nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.kafka.dead_letters.letter import TopicPosition
from steadyline.ops.audit.account import EpochFates, settle
from steadyline.ops.audit.ranges import each
from steadyline.ops.audit.sighting import RefusedFrame, Sightings, WaitingFrame
from tests.support.audit_days import EPOCH, Day, days


def account(day: Day, expired_below: int = 0) -> EpochFates:
    return settle(EPOCH, day.seen, expired_below)


def sums(found: EpochFates) -> int:
    return (
        found.scored
        + sum(found.dropped.values())
        + sum(found.dead_lettered.values())
        + found.in_flight
        + found.expired
        + len(list(each(found.missing)))
    )


@given(days())
def test_an_honest_day_is_intact_and_every_count_is_right(day: Day) -> None:
    found = account(day)
    assert found.is_intact
    assert found.captured == sums(found) == len(day.fates)
    assert found.scored == len(day.of("scored"))
    assert sum(found.dead_lettered.values()) == len(day.of("refused"))
    assert (found.pending, found.waiting) == (len(day.of("pending")), len(day.of("waiting")))
    assert found.newer == 0


@given(days(scored=1), st.data())
def test_deleted_scores_are_named_as_missing_and_no_others(day: Day, data: st.DataObject) -> None:
    scored = day.of("scored")
    lost = data.draw(st.sets(st.sampled_from(scored), min_size=1))
    for sequence in lost:
        day.forget_score(sequence)
    found = account(day)
    assert list(each(found.missing)) == sorted(lost)
    assert (found.doubled, found.out_of_order) == ({}, [])
    assert found.captured == sums(found)


@given(days(scored=1), st.data())
def test_a_score_written_twice_is_named_as_doubled(day: Day, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(day.seen.scores) - 1))
    sequence = day.seen.scores[index]
    at = data.draw(st.integers(index, len(day.seen.scores)))
    day.seen.scores.insert(at, sequence)
    day.seen.sources.insert(at, day.seen.sources[index])
    found = account(day)
    assert found.doubled == {sequence: "scored 2 times"}
    assert (found.missing, found.out_of_order) == ([], [])


@given(days(scored=2), st.data())
def test_swapped_scores_are_named_as_out_of_order(day: Day, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(day.seen.scores) - 2))
    scores = day.seen.scores
    first, second = scores[index], scores[index + 1]
    scores[index], scores[index + 1] = second, first
    found = account(day)
    assert len(found.out_of_order) == 1
    assert found.out_of_order[0] in (first, second)
    assert (found.missing, found.doubled) == ([], {})


@given(days(scored=4), st.data())
def test_a_score_that_comes_late_is_the_only_one_out_of_order(day: Day, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(day.seen.scores) - 4))
    late = day.seen.scores.pop(index)
    day.seen.scores.append(late)
    day.seen.sources.append(day.seen.sources.pop(index))
    assert account(day).out_of_order == [late]


@given(days(waiting=1, with_pending=False), st.data())
def test_a_frame_that_never_reached_the_topic_is_missing(day: Day, data: st.DataObject) -> None:
    waiting = day.of("waiting")
    silent = data.draw(st.sampled_from(waiting))
    day.seen.waiting = [item for item in day.seen.waiting if item.sequence != silent]
    assert list(each(account(day).missing)) == [silent]


@given(days(dropped=1), st.data())
def test_a_dropped_frame_that_was_scored_all_the_same_is_doubled(day: Day, data: st.DataObject) -> None:
    sequence = data.draw(st.sampled_from(day.of("dropped")))
    place = len([other for other in day.seen.scores if other < sequence])
    day.seen.scores.insert(place, sequence)
    day.seen.sources.insert(place, 99)
    found = account(day)
    assert found.doubled == {sequence: "dropped (drop_oldest), scored"}
    assert found.captured == sums(found)


@given(days(scored=1), st.data())
def test_a_frame_refused_and_scored_from_one_record_is_doubled(day: Day, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(day.seen.scores) - 1))
    sequence, source = day.seen.scores[index], TopicPosition(2, day.seen.sources[index])
    day.seen.refused.append(RefusedFrame(sequence, TopicPosition(2, 900), source, "empty_picture"))
    found = account(day)
    assert found.doubled == {sequence: "scored, dead-lettered"}
    assert found.captured == sums(found)


def test_frames_after_the_last_status_are_counted_apart() -> None:
    day = Day(["scored"] * 5)
    for sequence in (6, 7, 8):
        day.seen.add_score(sequence, TopicPosition(2, 99 + sequence))
    day.seen.waiting.append(WaitingFrame(9, TopicPosition(2, 108)))
    found = account(day)
    assert (found.captured, found.scored, found.newer) == (5, 5, 4)
    assert found.is_intact


def test_a_lagging_status_may_call_pending_what_is_scored_by_now() -> None:
    day = Day(["scored", "scored", "pending", "pending"])
    day.seen.add_score(3, TopicPosition(2, 102))
    found = account(day)
    assert (found.scored, found.pending, found.missing) == (3, 1, [])


def test_what_is_missing_beside_pending_frames_is_the_oldest() -> None:
    day = Day(["scored", "scored", "scored", "pending", "pending"])
    day.forget_score(2)
    found = account(day)
    assert list(each(found.missing)) == [2]
    assert found.pending == 2


def test_an_epoch_without_status_proves_nothing_and_breaks_nothing() -> None:
    seen = Sightings()
    seen.add_score(1, TopicPosition(0, 5))
    found = settle(EPOCH, seen)
    assert (found.captured, found.newer, found.is_intact, found.state) == (0, 1, True, "unknown")


@pytest.mark.parametrize("copies", [[7, 7], [8, 7]])
def test_what_no_status_has_told_of_breaks_nothing_whatever_became_of_it(copies: list[int]) -> None:
    day = Day(["scored"] * 5)
    unknown = Sightings()
    for sequence in copies:
        day.seen.add_score(sequence, TopicPosition(2, 300 + len(day.seen.scores)))
        unknown.add_score(sequence, TopicPosition(2, 300 + len(unknown.scores)))
    assert account(day).is_intact
    assert account(day).newer == len(set(copies))
    assert settle(EPOCH, unknown).is_intact


def test_a_frame_scored_while_the_audit_reads_is_not_waiting() -> None:
    day = Day(["scored", "scored"])
    day.seen.waiting.append(WaitingFrame(2, TopicPosition(2, 101)))
    found = account(day)
    assert (found.scored, found.waiting, found.is_intact) == (2, 0, True)


def test_a_frame_published_twice_is_doubled_before_its_copy_is_scored() -> None:
    day = Day(["scored", "scored"])
    day.seen.waiting.append(WaitingFrame(2, TopicPosition(2, 102)))
    assert account(day).doubled == {2: "scored, waiting"}


class TestReplay:
    """A frame that was refused and sent again has one fate: the last."""

    def refused(self) -> Day:
        return Day(["scored", "refused", "scored"])

    def test_on_its_way_it_is_in_flight(self) -> None:
        day = self.refused()
        day.seen.waiting.append(WaitingFrame(2, TopicPosition(2, 120), TopicPosition(2, 0)))
        found = account(day)
        assert (found.dead_lettered, found.waiting, found.is_intact) == ({}, 1, True)

    def test_scored_it_is_scored_once_and_not_out_of_order(self) -> None:
        day = self.refused()
        day.seen.add_score(2, TopicPosition(2, 120))
        found = account(day)
        assert (found.scored, found.dead_lettered, found.is_intact) == (3, {}, True)

    def test_scored_and_still_seen_on_the_frames_topic_it_is_scored_once(self) -> None:
        day = self.refused()
        day.seen.add_score(2, TopicPosition(2, 120))
        day.seen.waiting.append(WaitingFrame(2, TopicPosition(2, 120), TopicPosition(2, 0)))
        found = account(day)
        assert (found.scored, found.waiting, found.is_intact) == (3, 0, True)

    def test_refused_again_it_is_dead_lettered_once(self) -> None:
        day = self.refused()
        day.seen.refused.append(
            RefusedFrame(
                2, TopicPosition(2, 1), TopicPosition(2, 120), "undecodable_picture", TopicPosition(2, 0)
            )
        )
        found = account(day)
        assert (found.dead_lettered, found.is_intact) == ({"undecodable_picture": 1}, True)

    def test_replayed_twice_and_scored_twice_it_is_doubled(self) -> None:
        day = self.refused()
        day.seen.add_score(2, TopicPosition(2, 120))
        day.seen.add_score(2, TopicPosition(2, 121))
        assert account(day).doubled == {2: "scored 2 times"}

    def test_a_replay_that_was_lost_is_missing(self) -> None:
        day = self.refused()
        mark = RefusedFrame(
            3, TopicPosition(2, 7), TopicPosition(2, 102), "x", TopicPosition(2, 0)
        )  # something says it was replayed
        day.seen.refused.append(mark)
        day.forget_score(3)
        assert list(each(account(day).missing)) == [2]


def test_scores_that_retention_deleted_are_expired_not_missing() -> None:
    day = Day(["scored"] * 6)
    day.forget_score(1)
    day.forget_score(2)
    day.forget_score(5)
    found = account(day, expired_below=3)
    assert (found.expired, list(each(found.missing))) == (2, [5])
    assert found.captured == sums(found)


def test_a_status_whose_sums_are_wrong_is_a_fault_of_its_own() -> None:
    day = Day(["scored", "dropped"])
    assert day.seen.status is not None
    day.seen.status = day.seen.status.model_copy(update={"published": 2, "dropped": {"drop_oldest": 2}})
    found = account(day)
    assert not found.is_intact
    assert len(found.problems) == 2


def test_an_enormous_sequence_is_no_burden() -> None:
    day = Day(["scored"])
    assert day.seen.status is not None
    day.seen.status = day.seen.status.model_copy(update={"sequence": 1 << 60, "captured": 1 << 60})
    found = replace(account(day), problems=[])
    assert found.missing == [(2, 1 << 60)]
