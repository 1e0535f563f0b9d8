"""An incident is opened by anomalous parts, and its severity by how much of the map is anomalous."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alerts.incidents import acts
from alerts.incidents.observation import ScoreSeen
from alerts.incidents.part_count import after_frame, anomalous_parts
from steadyline.alert_rules import PartCount
from tests.support.incidents import DAY, RuleRun, a_line, a_scored_frame

BY_PARTS: dict[str, Any] = {
    "open_frames": {"anomalous": 100, "of": 100},
    "open_parts": {"anomalous": 2, "of": 4},
    "at_once": None,
    "close_frames": 3,
}
frames = st.lists(st.tuples(st.sampled_from("ABCDEF"), st.booleans()), max_size=40)


def shown(sequence: int, part: str | None, is_bad: bool = False, area: float | None = None) -> ScoreSeen:
    """Return a frame that shows ``part``."""
    score = a_scored_frame(sequence, 0.01, 2.5) if is_bad else a_scored_frame(sequence)
    return ScoreSeen(score.model_copy(update={"part": part, "area": area}), None)


def run(text: str, rules: dict[str, Any] | None = None) -> RuleRun:
    """Observe parts by their letters, a capital for an anomalous frame; ``-`` names none."""
    going = RuleRun(a_line(product={**BY_PARTS, **(rules or {})}))
    return going.observe(
        *(shown(number, None if part == "-" else part.lower(), part.isupper())
          for number, part in enumerate(text, 1))
    )  # fmt: skip


def test_anomalous_parts_among_the_last_open_an_incident_that_says_why() -> None:
    going = run("aAAbbccDd")
    assert going.told == [("anomaly", "opened")]
    assert "2 of the last 4 parts are anomalous (open_parts: 2)" in going.changes[0].why
    (incident,) = going.standing
    assert incident.opened_at == DAY + timedelta(seconds=8)
    facts = incident.anomaly
    assert facts is not None
    assert (facts.first_frame, facts.last_frame, facts.frames, facts.part) == ("c1/7/2", "c1/7/8", 3, "a")
    assert "part a" in incident.summary


def test_many_frames_of_one_part_are_one_part() -> None:
    assert run("AAAAAAAA").told == []


def test_parts_too_far_apart_open_nothing_and_frames_that_name_none_do_not_count() -> None:
    assert run("AbcdE").told == []
    assert run("A----bc----D").told == [("anomaly", "opened")]


def test_a_part_that_comes_back_is_the_same_part_and_its_first_frame_counts() -> None:
    assert run("AbAcAd").told == []
    (incident,) = run("abABa").standing
    assert incident.anomaly is not None
    assert (incident.anomaly.first_frame, incident.anomaly.last_frame) == ("c1/7/3", "c1/7/4")


def test_a_line_may_leave_parts_uncounted() -> None:
    assert run("ABCDEF", {"open_parts": None}).told == []


def test_what_was_closed_is_not_opened_by_the_parts_of_before() -> None:
    assert run("ABcdeF").told == [("anomaly", "opened"), ("anomaly", "resolved")]
    going = run("AB")
    (incident,) = going.standing
    going.act(acts.resolve(incident, "ada", DAY))
    assert going.observe(shown(3, "c", is_bad=True)).standing == []
    assert len(going.observe(shown(4, "d", is_bad=True)).standing) == 1


def test_the_worst_frame_gives_its_own_area_and_the_most_serious_one_the_severity() -> None:
    rules = {"open_frames": {"anomalous": 2, "of": 2}, "severity": {"critical_area": 0.25}}
    going = RuleRun(a_line(product={**BY_PARTS, **rules}))
    wide = shown(1, None, is_bad=True, area=0.3)
    worse = ScoreSeen(a_scored_frame(2, 0.005, 2.5).model_copy(update={"area": 0.01}), None)
    (incident,) = going.observe(wide, worse).standing
    assert incident.severity == "critical"
    assert "the area 30.00% of the map reaches 25.00%" in going.changes[0].why
    assert incident.anomaly is not None
    assert (incident.anomaly.worst_frame, incident.anomaly.area) == ("c1/7/2", 0.01)
    as_likely = ScoreSeen(a_scored_frame(3, 0.005, 2.5).model_copy(update={"area": 0.2}), None)
    (incident,) = going.observe(as_likely).standing
    assert incident.anomaly is not None
    assert incident.anomaly.area == 0.01  # a larger area alone is not worse


@given(frames, st.integers(1, 5))
def test_the_last_parts_are_as_many_as_the_rule_looks_at_and_are_anomalous_by_their_frames(
    seen: list[tuple[str, bool]], of: int
) -> None:
    rule, parts = PartCount(anomalous=1, of=of), after_frame((), shown(1, None).score, None)
    for number, (part, is_bad) in enumerate(seen, 1):
        parts = after_frame(parts, shown(number, part, is_bad).score, rule)
        names = [one.name for one in parts]
        assert part in names
        assert len(set(names)) == len(names) <= of
        for one in parts:
            assert one.facts is None or (one.name, True) in seen[:number]
    firsts = [int(facts.first_frame.rsplit("/", 1)[1]) for facts in anomalous_parts(parts)]
    assert firsts == sorted(firsts)


@given(frames, st.integers(0, 39))
def test_a_replay_of_parts_gives_the_same_incidents(seen: list[tuple[str, bool]], again: int) -> None:
    taken = [shown(number, part, is_bad) for number, (part, is_bad) in enumerate(seen, 1)]
    once = RuleRun(a_line(product=BY_PARTS)).observe(*taken)
    cut = min(again, len(taken))
    twice = RuleRun(a_line(product=BY_PARTS)).observe(*taken[:cut], *taken[max(0, cut - 5) :])
    assert (twice.incidents, twice.changes) == (once.incidents, once.changes)
