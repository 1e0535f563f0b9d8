"""The pattern that finds parts in the names of files: what it finds, and which ones are refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from steadyline.contracts.frame import MOST_PART, is_part_name
from steadyline.line import CameraSection
from steadyline.part_pattern import LONGEST_NAME, check_part_pattern, part_of


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(?P<part>[A-Z0-9]+)_",
        r"(?:lot-)?(?P<part>SN[0-9]{6,})(?:_top|_side)?\.png$",
        r"(?P<part>(?:[0-9]{2}-){3})",
        r"(?P<part>[^_()*]+)\(\*\)",
        r"^.*_(?P<part>\d+)_.*$",
        r"(?i)^(?P<line>l[0-9])-(?P<part>sn[0-9]+)_(?P=line)(?!_old)",
    ],
)
def test_a_pattern_of_some_repeats_side_by_side_is_taken(pattern: str) -> None:
    assert check_part_pattern(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(?P<part>", "no regular expression"),
        ("[0-9]+", "no group"),
        ("(?P<piece>[0-9]+)", "no group"),
        ("(?P<part>(a+)+)$", "within a repeat"),
        ("(?P<part>(?:a|a)*)$", "within a repeat"),
        ("(?P<part>(?:(?:a?b)){9})$", "within a repeat"),
        ("(?P<part>(a*){2,})$", "within a repeat"),
        ("(?P<part>a*a*a*a*a*)$", "more than 4 repeats"),
        ("(?P<part>" + "a" * 200 + ")", "more than 200 characters"),
    ],
)
def test_a_pattern_that_names_nothing_or_may_take_for_ever_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_part_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?P<part>(?x:(a+) +)b)",
        "(?x)(?P<part>(a+) +b)",
        "(?xi)(?P<part>a) # )))",
        "(?P<part>(?i-s:a))",
        "(?P<part>(?#[)(a+)+b(?#]))",
        "(?P<part>(a)?(?(2)a+|b))",
        "(?P<part>(?>a+))",
    ],
)
def test_what_would_make_the_text_mean_something_else_is_refused(pattern: str) -> None:
    """A space or a comment between a group and its repeat would hide the one from the other."""
    re.compile(pattern)
    with pytest.raises(ValueError, match="are taken"):
        check_part_pattern(pattern)


@pytest.mark.parametrize("choices", ["a?" * 60, "(?:a|a)" * 20, "a??" * 60, "a*a*a*a?a?(?:a|b)a?a?a?"])
def test_many_choices_side_by_side_take_for_ever_as_repeats_do(choices: str) -> None:
    with pytest.raises(ValueError, match="more than 4 repeats"):
        check_part_pattern(f"(?P<part>{choices})$")


def test_a_part_is_found_in_the_name_or_there_is_none() -> None:
    pattern = re.compile(r"^(?P<part>[^_]*)_|^(?:none)\.png")
    assert part_of(pattern, "SN 12/A_top.png") == "SN 12/A"
    assert part_of(pattern, "Größe-7_top.png") == "Größe-7"
    assert part_of(pattern, "other.png") is None
    assert part_of(pattern, "none.png") is None
    assert part_of(pattern, "_top.png") is None
    assert part_of(pattern, "a\x07_top.png") is None
    assert part_of(pattern, "a\udcff_top.png") is None
    assert part_of(pattern, "a" * (MOST_PART + 1) + "_top.png") is None
    assert part_of(pattern, "a_" + "b" * LONGEST_NAME) is None


@given(st.text(max_size=80))
def test_what_is_found_may_always_be_sent(name: str) -> None:
    found = part_of(re.compile("(?P<part>.*)"), name)
    assert found is None or (is_part_name(found) and len(found.encode()) <= 4 * MOST_PART)


def test_the_line_file_refuses_a_pattern_where_no_file_has_a_name() -> None:
    section = {"id": "c1", "product": "cell", "part_pattern": "(?P<part>[0-9]+)"}
    assert CameraSection.model_validate({**section, "source": "folder:/srv/drop"}).part_pattern
    with pytest.raises(ValidationError, match="part_pattern: only the files"):
        CameraSection.model_validate({**section, "source": "synthetic:"})
    with pytest.raises(ValidationError, match="part_pattern: no group"):
        CameraSection.model_validate({**section, "source": "video:a.mkv", "part_pattern": "[0-9]"})
