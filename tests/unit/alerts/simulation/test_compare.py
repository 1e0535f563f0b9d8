"""Two sets of rules over the same scores: nothing differs where they are the same, and what does is named."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alerts.incidents.observation import Observation, ScoreSeen
from alerts.simulation.compare import RuleComparison, compare
from steadyline.line import Line
from steadyline.rule_set import RuleSet
from tests.support.incidents import a_line, a_verdict

FEW: dict[str, Any] = {"open_frames": {"anomalous": 2, "of": 3}, "close_frames": 2, "cooldown": "10s"}
LINE = a_line({"notifications": {"most": 2, "within": "1m"}}, FEW)
WORDS = st.text("gdawx", max_size=40)


def with_rules(**changes: Any) -> Line:
    """Return the line with other rules of its product."""
    proposed = {"products": {"cell": {"alerts": changes}}}
    return RuleSet.of(LINE).proposed(proposed).on(LINE)


def verdicts(letters: str, camera: str = "c1") -> list[Observation]:
    """Return the scores of a camera, by letters."""
    return [of_camera(a_verdict(number, letter), camera) for number, letter in enumerate(letters, 1)]


def of_camera(seen: ScoreSeen, camera: str) -> ScoreSeen:
    """Return a score as another camera's."""
    frame = seen.score.frame.replace("c1/", f"{camera}/")
    return ScoreSeen(seen.score.model_copy(update={"frame": frame, "camera": camera}), seen.traceparent)


def compared(letters: str, **changes: Any) -> RuleComparison:
    """Return what differs for one camera's scores under other rules."""
    return compare(verdicts(letters), LINE, with_rules(**changes))


@given(WORDS, WORDS)
def test_the_same_rules_make_no_difference(first: str, second: str) -> None:
    found = compare(chain(verdicts(first), verdicts(second, "c2")), LINE, LINE)
    assert found.is_same
    assert found.left_off == 0


@given(WORDS, WORDS, st.lists(st.booleans(), max_size=80))
def test_in_which_order_the_cameras_are_read_does_not_matter(
    first: str, second: str, turns: Sequence[bool]
) -> None:
    other = with_rules(open_frames={"anomalous": 1, "of": 1})
    one, two = verdicts(first), verdicts(second, "c2")
    whole = compare([*one, *two], LINE, other)
    left, right, mixed = list(one), list(two), list[Observation]()
    for is_left in turns:
        source = left if is_left else right
        mixed += [source.pop(0)] if source else []
    assert compare([*mixed, *right, *left], LINE, other) == whole


@given(WORDS)
def test_each_side_is_what_its_rules_make_alone(letters: str) -> None:
    other = with_rules(at_once=1.1, close_frames=1)
    found = compare(verdicts(letters), LINE, other)
    back = compare(verdicts(letters), other, LINE)
    assert (found.now, found.proposed) == (back.proposed, back.now)
    assert found.only_now == back.only_proposed
    assert len(found.changed) == len(back.changed)


def test_an_incident_that_only_the_proposed_rules_open_is_named() -> None:
    found = compared("gagggg", open_frames={"anomalous": 1, "of": 1})
    assert (found.now.incidents, found.proposed.incidents) == (0, 1)
    assert found.only_proposed[0].why.startswith("frame c1/7/2 has")
    assert (found.only_now, found.changed) == ([], [])


def test_an_incident_that_the_proposed_rules_no_longer_open_is_named() -> None:
    found = compared("gaagggg", open_frames={"anomalous": 3, "of": 3})
    assert [one.frames for one in found.only_now] == [2]
    assert found.now.notifications == 2
    assert found.proposed.notifications == 0


def test_one_that_opens_earlier_and_closes_later_is_the_same_incident() -> None:
    found = compared("gaagggg", open_frames={"anomalous": 1, "of": 1}, close_frames=3)
    assert (found.only_now, found.only_proposed) == ([], [])
    (change,) = found.changed
    assert change.now.id != change.proposed.id
    assert (change.opened_later_seconds, change.resolved_later_seconds) == (-1, 1)


def test_an_end_that_one_side_did_not_see_has_no_difference_in_seconds() -> None:
    (change,) = compared("aagg", close_frames=3).changed
    assert change.proposed.resolved_at is None
    assert change.resolved_later_seconds is None


def test_another_severity_is_a_difference() -> None:
    (change,) = compared("aagg", severity={"critical_p_value": 0.015}).changed
    assert (change.now.severity, change.proposed.severity) == ("warning", "critical")


def test_what_a_cooldown_holds_back_is_counted() -> None:
    found = compared("aaggaagg", cooldown="0s")
    assert (found.now.notifications, found.now.held_back) == (2, 2)
    assert (found.proposed.notifications, found.proposed.held_back) == (4, 0)
    assert [one.proposed.notified for one in found.changed] == [2]


def test_only_the_first_entries_are_shown_and_the_rest_is_counted() -> None:
    other = with_rules(open_frames={"anomalous": 1, "of": 1}, close_frames=1)
    found = compare(verdicts("gag" * 8), LINE, other, most_shown=3)
    assert (len(found.only_proposed), found.left_off, found.proposed.incidents) == (3, 5, 8)
