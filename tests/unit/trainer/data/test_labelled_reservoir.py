"""What people say decides what the reservoir holds, whatever comes first and however often it is read."""

import random
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.contracts.feedback import FrameLabel
from tests.support.labels import an_incident, say
from tests.support.stream_scores import START, a_score, read, stream_rules
from trainer.data.reservoir import Reservoir

HOUR, DAY = 3600.0, 86400.0
NO_TIME = timedelta(0)

Step = Callable[[Reservoir], object]


def a_scored(sequence: int, p_value: float = 0.7, anomalous: bool = False, at: float = 0) -> Step:
    return lambda reservoir: read(reservoir, [a_score(sequence, p_value=p_value, anomalous=anomalous)], at)


def said(sequence: int, label: FrameLabel, at: float = 0) -> Step:
    return lambda reservoir: say(reservoir, f"c1/7/{sequence}", label, at)


def incident(first: int, last: int) -> Step:
    return lambda reservoir: an_incident(reservoir, f"c1/7/{first}", f"c1/7/{last}")


def later(at: float) -> Step:
    return a_scored(10**6, p_value=0.01, at=at)


def a_reservoir(*steps: Step, quarantine: timedelta = NO_TIME) -> Reservoir:
    reservoir = Reservoir(stream_rules(quarantine=quarantine))
    for step in steps:
        step(reservoir)
    return reservoir


def held(reservoir: Reservoir) -> set[int]:
    """Return the sequences of the frames that are admitted; none may wait."""
    assert reservoir.waiting == 0
    return {int(normal.frame.rsplit("/", 1)[1]) for normal in reservoir.normals()}


@pytest.mark.parametrize("quarantine", [NO_TIME, timedelta(hours=1)])
def test_a_defect_never_enters_and_leaves_when_it_is_labelled_later(quarantine: timedelta) -> None:
    orders: Sequence[Sequence[Step]] = (
        [said(1, "defect"), a_scored(1)],
        [a_scored(1), said(1, "defect")],
        [a_scored(1), later(2 * HOUR), said(1, "defect")],
        [said(1, "good"), a_scored(1), later(2 * HOUR), said(1, "defect"), a_scored(1, at=3 * HOUR)],
    )
    for steps in orders:
        reservoir = a_reservoir(*steps, later(9 * HOUR), quarantine=quarantine)
        assert held(reservoir) == set()
        assert reservoir.dropped["labelled_defect"] >= 1


@pytest.mark.parametrize(("p_value", "anomalous"), [(0.01, False), (0.01, True), (0.7, False)])
def test_a_good_frame_enters_whatever_its_score_and_sits_out_its_quarantine(
    p_value: float, anomalous: bool
) -> None:
    scored = a_scored(1, p_value, anomalous)
    for steps in ([scored, said(1, "good", 60)], [said(1, "good", 60), scored]):
        reservoir = a_reservoir(*steps, quarantine=timedelta(hours=1))
        later(HOUR - 1)(reservoir)
        assert reservoir.normals() == []
        later(HOUR + 60)(reservoir)
        assert held(reservoir) == {1}


def test_the_quarantine_of_a_frame_that_was_labelled_late_begins_with_its_label() -> None:
    for steps in ([a_scored(1, 0.01), said(1, "good", DAY)], [said(1, "good", DAY), a_scored(1, 0.01)]):
        reservoir = a_reservoir(*steps, quarantine=timedelta(hours=1))
        later(DAY + HOUR - 1)(reservoir)
        assert reservoir.normals() == []
        later(DAY + HOUR)(reservoir)
        assert held(reservoir) == {1}


def test_a_label_that_is_withdrawn_is_as_if_it_had_never_been() -> None:
    for label in ("good", "defect"):
        for steps in (
            [said(1, label), said(1, "withdrawn"), a_scored(1)],
            [said(1, label), a_scored(1), said(1, "withdrawn")],
            [a_scored(1), said(1, label), said(1, "withdrawn")],
        ):
            assert held(a_reservoir(*steps)) == {1}
    unsure = a_reservoir(a_scored(1, 0.01), said(1, "good"), said(1, "withdrawn"))
    assert held(unsure) == set()
    assert unsure.dropped == {"label_withdrawn": 1}


def test_every_frame_of_an_incident_stays_out_or_leaves_unless_it_is_labelled_good() -> None:
    frames = [a_scored(sequence) for sequence in range(1, 10)]
    for steps in (
        [incident(3, 6), said(4, "good"), *frames],
        [*frames, incident(3, 6), said(4, "good")],
        [*frames[:4], incident(3, 4), *frames[4:], said(4, "good"), incident(4, 6)],
        [said(4, "good"), *frames, incident(6, 6), incident(3, 6), incident(5, 5)],
    ):
        reservoir = a_reservoir(*steps)
        assert held(reservoir) == {1, 2, 4, 7, 8, 9}
        assert reservoir.dropped["in_incident"] >= 3


def test_an_incident_of_another_camera_or_epoch_takes_nothing_out() -> None:
    reservoir = a_reservoir(a_scored(1), a_scored(2))
    an_incident(reservoir, "c2/7/1", "c2/7/9")
    an_incident(reservoir, "c1/8/1", "c1/8/9")
    assert held(reservoir) == {1, 2}


def test_an_incident_across_a_restart_takes_the_end_of_one_epoch_and_the_start_of_the_next() -> None:
    reservoir = a_reservoir(*(a_scored(sequence) for sequence in (1, 8, 9)))
    read(reservoir, [a_score(1, epoch=8), a_score(9, epoch=8)], 0)
    an_incident(reservoir, "c1/7/8", "c1/8/3")
    assert [normal.frame for normal in reservoir.normals()] == ["c1/7/1", "c1/8/9"]


def test_a_good_frame_beside_an_anomalous_run_stays() -> None:
    run = [a_scored(sequence, anomalous=True) for sequence in (4, 5)]
    for steps in ([said(3, "good"), a_scored(3), *run], [a_scored(3), *run, said(3, "good")]):
        assert 3 in held(a_reservoir(*steps))


def test_a_good_frame_counts_in_the_share_of_its_cameras_day() -> None:
    reservoir = Reservoir(stream_rules(70, NO_TIME))
    for sequence in range(1, 101):
        say(reservoir, f"c1/7/{sequence}", "good")
    read(reservoir, [a_score(sequence, p_value=0.01) for sequence in range(1, 101)], 0)
    assert len(reservoir.normals()) == 10


Event = tuple[str, int, str]
events = st.one_of(
    st.tuples(st.just("score"), st.integers(1, 8), st.sampled_from(["sure", "unsure", "anomalous"])),
    st.tuples(st.just("label"), st.integers(1, 8), st.sampled_from(["good", "defect", "withdrawn"])),
    st.tuples(st.just("incident"), st.integers(1, 8), st.sampled_from(["0", "1", "3"])),
)


def follow(topics: Sequence[Sequence[Event]], quarantine: timedelta) -> Reservoir:
    """Read topics one after another, as a restart may."""
    reservoir, at = Reservoir(stream_rules(quarantine=quarantine)), 0.0
    for kind, number, what in (event for topic in topics for event in topic):
        at += 1
        frame = f"c1/7/{number}"
        if kind == "score":
            p_value = 0.7 if what == "sure" else 0.01
            score = a_score(number, p_value=p_value, anomalous=what == "anomalous")
            read(reservoir, [score.model_copy(update={"captured_at": START})], at)
        elif kind == "label":
            say(reservoir, frame, what, at)  # type: ignore[arg-type]
        else:
            an_incident(reservoir, frame, f"c1/7/{number + int(what)}")
    return reservoir


def forbidden(stream: Sequence[Event]) -> set[int]:
    """Return the frames that must not be in, whatever their scores say."""
    label = {number: what for kind, number, what in stream if kind == "label"}
    inside = {
        sequence
        for kind, number, what in stream
        if kind == "incident"
        for sequence in range(number, number + int(what) + 1)
    }
    defects = {number for number, what in label.items() if what == "defect"}
    return defects | {number for number in inside if label.get(number) != "good"}


def demanded(stream: Sequence[Event]) -> set[int]:
    """Return the frames that must be in once their quarantines are over."""
    label = {number: what for kind, number, what in stream if kind == "label"}
    scored = {number for kind, number, _ in stream if kind == "score"}
    return {number for number, what in label.items() if what == "good"} & scored


@given(st.lists(events, max_size=30), st.sampled_from([NO_TIME, timedelta(seconds=5)]), st.randoms())
def test_in_every_order_of_arrival_and_after_every_restart_the_labels_decide(
    stream: list[Event], quarantine: timedelta, chance: random.Random
) -> None:
    by_topic = [[event for event in stream if event[0] == kind] for kind in ("score", "label", "incident")]
    chance.shuffle(by_topic)
    for reading in ([stream], by_topic):
        reservoir = follow(reading, quarantine)
        later(DAY)(reservoir)
        found = held(reservoir)
        assert not found & forbidden(stream)
        assert found >= demanded(stream)


@given(st.lists(events, max_size=30), st.integers(0, 30))
def test_at_no_moment_is_a_frame_admitted_that_was_known_to_be_a_defect(
    stream: list[Event], until: int
) -> None:
    known = stream[:until]
    reservoir = follow([known], NO_TIME)
    assert not {int(normal.frame.rsplit("/", 1)[1]) for normal in reservoir.normals()} & forbidden(known)
