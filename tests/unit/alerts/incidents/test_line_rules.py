"""Scorers that are behind, refused messages and frames without scores open incidents, and close them."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.incidents import acts
from alerts.incidents.observation import LineSeen
from steadyline.contracts.alert import IncidentKind
from tests.support.incidents import DAY, RuleRun, a_line

RULES = {
    "lag": {"frames": 100, "open_after": "10s", "close_after": "10s"},
    "dead_letters": {"count": 10, "within": "60s"},
    "no_scores": {"after": "10s", "frames": 5, "close_after": "10s"},
}
KINDS: list[IncidentKind] = ["lag", "dead_letters", "no_scores"]


class MeasuredLine:
    """A line whose measures are 5 s apart; frames and scores are given as what has come since the last."""

    def __init__(self, **rules: object) -> None:
        self.going = RuleRun(a_line({**RULES, **rules}))
        self.second, self.frames, self.scores = 0, 1_000, 1_000

    def measure(
        self, frames: int = 0, scores: int = 0, lag: int = 0, letters: Mapping[str, int] | None = None
    ) -> "MeasuredLine":
        self.second += 5
        self.frames += frames
        self.scores += scores
        at = DAY + timedelta(seconds=self.second)
        self.going.observe(LineSeen("line-1", at, self.frames, self.scores, lag, letters or {}))
        return self

    def bad(self, kind: IncidentKind) -> "MeasuredLine":
        """Measure once while a rule does not hold; it is broken after three of these."""
        if kind == "lag":
            return self.measure(frames=9, scores=9, lag=100)
        if kind == "dead_letters":
            return self.measure(frames=9, scores=9, letters={"malformed_headers": 4})
        return self.measure(frames=5, lag=5)

    def good(self, kind: IncidentKind) -> "MeasuredLine":
        """Measure once while all is well."""
        return self.measure(frames=9, scores=9)


@pytest.mark.parametrize("kind", KINDS)
def test_what_lasts_opens_an_incident_of_the_line_and_closes_it_when_all_is_well(kind: IncidentKind) -> None:
    line = MeasuredLine().good(kind)
    for _ in range(4):
        line.bad(kind)
    assert line.going.told == [(kind, "opened")]
    (incident,) = line.going.standing
    assert (incident.camera, incident.product) == (None, None)
    assert incident.severity == ("critical" if kind == "no_scores" else "warning")
    for _ in range(20):
        line.good(kind)
    assert line.going.told == [(kind, "opened"), (kind, "resolved")]
    assert f"({kind}: " in line.going.changes[0].why
    assert f"({kind}: " in line.going.changes[1].why


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_person_has_closed_stays_closed_until_all_was_well(kind: IncidentKind) -> None:
    line = MeasuredLine().good(kind)
    for _ in range(4):
        line.bad(kind)
    (incident,) = line.going.standing
    line.going.act(acts.resolve(incident, "ada", DAY + timedelta(seconds=line.second)))
    for _ in range(6):
        line.bad(kind)
    assert len(line.going.incidents) == 1
    for _ in range(20):
        line.good(kind)
    for _ in range(4):
        line.bad(kind)
    assert len(line.going.incidents) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_person_has_taken_stays_theirs_until_it_is_over(kind: IncidentKind) -> None:
    line = MeasuredLine().good(kind)
    for _ in range(4):
        line.bad(kind)
    (incident,) = line.going.standing
    line.going.act(acts.acknowledge(incident, "ada", DAY + timedelta(seconds=line.second)))
    line.bad(kind)
    (standing,) = line.going.standing
    assert standing.state == "acknowledged"
    for _ in range(20):
        line.good(kind)
    assert [change for _, change in line.going.told] == ["opened", "acknowledged", "resolved"]


def test_a_lag_that_swings_about_its_limit_is_one_incident_at_most() -> None:
    line = MeasuredLine()
    for lag in (100, 99, 100, 60, 100, 99):
        line.measure(frames=9, scores=9, lag=lag)
    assert line.going.told == []
    for lag in (100, 100, 100, 99, 51, 100, 60, 50, 51, 100):
        line.measure(frames=9, scores=9, lag=lag)
    assert line.going.told == [("lag", "opened")]
    for _ in range(3):
        line.measure(frames=9, scores=9, lag=50)
    assert line.going.told[1:] == [("lag", "resolved")]
    assert "50 or fewer have for 10 s" in line.going.changes[-1].why


def test_dead_letters_are_told_by_their_reasons_and_counted_while_the_incident_stands() -> None:
    line = MeasuredLine().measure(letters={"undecodable_picture": 7, "foreign": 2})
    assert line.going.told == []
    line.measure(letters={"undecodable_picture": 1})
    assert "10 dead letters (8 undecodable_picture, 2 foreign) within 60 s" in line.going.changes[0].why
    line.measure(letters={"foreign_line": 40})
    (incident,) = line.going.standing
    assert "50 dead letters (40 foreign_line, 8 undecodable_picture, 2 foreign)" in incident.summary
    assert line.going.told == [("dead_letters", "opened")]


def test_a_few_dead_letters_now_and_then_are_no_incident() -> None:
    line = MeasuredLine()
    for _ in range(40):
        line.measure(frames=9, scores=9, letters={"malformed_headers": 1}).good("lag").good("lag")
    assert line.going.told == []


def test_what_is_remembered_of_letters_stays_small() -> None:
    line = MeasuredLine(dead_letters={"count": 10, "within": "30m"})
    for _ in range(1_000):
        line.measure(letters={"malformed_headers": 1})
    assert line.going.state is not None
    assert line.going.state.line is not None
    assert len(line.going.state.line.letters) <= 61


def test_frames_that_are_scored_one_by_one_with_long_pauses_are_no_silence() -> None:
    line = MeasuredLine()
    for _ in range(20):
        line.measure(frames=1, scores=1)
        for _ in range(10):
            line.measure()
    assert line.going.told == []


def test_one_frame_that_waits_for_scorers_that_are_gone_is_enough() -> None:
    line = MeasuredLine().good("no_scores").measure(frames=1, lag=1).measure(lag=1)
    assert line.going.told == []
    line.measure(lag=1)
    assert line.going.told == [("no_scores", "opened")]


def test_a_refused_frame_is_no_silence_and_nothing_but_refused_frames_is_one() -> None:
    line = MeasuredLine().good("no_scores").measure(frames=1)
    for _ in range(10):
        line.measure()
    assert line.going.told == []
    for _ in range(7):
        line.measure(frames=1)
    assert line.going.told == [("no_scores", "opened")]
    assert "7 frames have come since the last score, 0 wait" in line.going.changes[0].why


def test_a_few_scores_between_two_silences_end_nothing() -> None:
    line = MeasuredLine().good("no_scores")
    for _ in range(10):
        line.measure(frames=5, lag=5).measure(frames=5, lag=5).measure(frames=5, lag=5)
        line.measure(frames=5, scores=1, lag=5)
    assert line.going.told == [("no_scores", "opened")]


def test_a_topic_that_was_made_anew_is_measured_from_where_it_is() -> None:
    line = MeasuredLine().good("no_scores")
    line.frames = line.scores = 0
    for _ in range(10):
        line.measure(frames=1, scores=1)
    assert line.going.told == []


def test_a_clock_that_is_set_back_lets_all_begin_anew() -> None:
    line = MeasuredLine().bad("lag").bad("lag")
    line.second = -3600
    line.bad("lag").bad("lag")
    assert line.going.told == []
    line.bad("lag")
    assert line.going.told == [("lag", "opened")]


@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 200), st.integers(0, 12)), max_size=40
    )
)
def test_at_most_one_incident_of_a_kind_stands_and_each_ends_once_all_is_well(
    measures: list[tuple[int, int, int, int]],
) -> None:
    line = MeasuredLine()
    for frames, scores, lag, letters in measures:
        line.measure(frames, scores, lag, {"malformed_headers": letters} if letters else {})
        kinds = [incident.kind for incident in line.going.standing]
        assert len(kinds) == len(set(kinds))
    for _ in range(20):
        line.good("lag")
    assert line.going.standing == []
    for kind in KINDS:
        story = [change for found, change in line.going.told if found == kind]
        assert story == ["opened", "resolved"] * (len(story) // 2)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 200)), max_size=40))
def test_a_line_on_which_scores_keep_coming_is_never_said_to_have_none(
    measures: list[tuple[int, int]],
) -> None:
    line = MeasuredLine()
    for frames, lag in measures:
        line.measure(frames, 1, lag)
    assert "no_scores" not in [kind for kind, _ in line.going.told]
