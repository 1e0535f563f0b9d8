"""Why a frame opened an incident, or did not, in words that name the rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.simulation.frame import FrameWhy, why_frame
from tests.support.incidents import RuleRun, a_line, a_verdict

LINE = a_line(
    product={"open_frames": {"anomalous": 2, "of": 3}, "close_frames": 2, "at_once": 3.0, "cooldown": "0s"}
)


def why(letters: str, number: int | None = None) -> FrameWhy:
    """Return why for one of these frames, by default the last."""
    scores = [a_verdict(place, letter) for place, letter in enumerate(letters, 1)]
    found = why_frame(LINE, scores, f"c1/7/{number or len(letters)}")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("letters", "effect", "words"),
    [
        ("g", "none", ["judged normal", "opens no incident", "0 of the last 1 frames"]),
        ("ag", "none", ["1 of the last 2 frames"]),
        (
            "ga",
            "counted",
            ["1 of the last 2 frames", "2 of 3 are needed (open_frames)", "3 times the threshold"],
        ),
        ("agga", "counted", ["1 of the last 3 frames"]),
        ("aga", "opened", ["opened the incident", "2 of the last 3 frames are anomalous (open_frames: 2)"]),
        ("x", "opened", ["beyond 3 times the threshold (at_once)"]),
        ("aaa", "merged", ["merged into the incident", "frame c1/7/3 has score 2.5"]),
        ("aaw", "risen", ["raised the severity of the incident", "critical: p 0.001"]),
        ("aag", "none", []),
        ("aagg", "resolved", ["ended the incident", "2 good frames in a row"]),
        ("aagga", "counted", ["1 of the last 1 frames"]),
    ],
)
def test_each_effect_has_its_words(letters: str, effect: str, words: list[str]) -> None:
    found = why(letters)
    text = " ".join(found.text)
    assert found.effect == effect, text
    assert found.text[0].startswith(
        f"Frame c1/7/{len(letters)} was judged {found.verdict} by version 3 of cell"
    )
    assert [word for word in words if word not in text] == [], text
    assert (found.incident is not None) == (effect in ("opened", "merged", "risen", "resolved"))


def test_a_frame_in_the_middle_is_told_as_it_was_then() -> None:
    found = why("aaagg", 1)
    assert (found.effect, found.replayed, found.anomalous, found.of, found.needed) == ("counted", 1, 1, 1, 2)


def test_a_frame_that_came_late_was_passed_over() -> None:
    scores = [a_verdict(1, "g"), a_verdict(3, "g"), a_verdict(2, "x")]
    found = why_frame(LINE, scores, "c1/7/2")
    assert found is not None
    assert found.effect == "passed_over"
    assert "after newer frames of its camera (late)" in found.text[-1]


def test_a_frame_that_is_not_there_has_no_reasons() -> None:
    assert why_frame(LINE, [a_verdict(1, "g")], "c1/7/2") is None


@given(st.text("gdawx", min_size=1, max_size=30))
def test_the_incident_is_the_one_that_the_rules_make(letters: str) -> None:
    run = RuleRun(LINE).observe(*(a_verdict(place, letter) for place, letter in enumerate(letters, 1)))
    named = [why(letters, place + 1) for place in range(len(letters))]
    assert {one.incident for one in named if one.effect == "opened"} == set(run.incidents)
    told = [change for kind, change in run.told if kind == "anomaly"]
    assert [one.effect for one in named if one.effect in ("opened", "risen", "resolved")] == told
