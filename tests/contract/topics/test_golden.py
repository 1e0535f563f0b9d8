"""What was once on the wire is read for ever, and the check of that is checked itself."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from steadyline.contracts.catalogue import KINDS
from steadyline.contracts.topics import line_topics
from steadyline.picture import PictureLimits, decode, inspect
from tests.support.golden import EXAMPLES, HEADERS, Golden, goldens, problems, read_golden

ALL = list(goldens())


def named(kind: str, name: str) -> Golden:
    return next(golden for golden in ALL if (golden.kind.name, golden.name) == (kind, name))


@pytest.mark.parametrize("golden", ALL, ids=lambda golden: f"{golden.kind.name}-{golden.name}")
def test_an_example_decodes_and_encodes_to_the_same_bytes(golden: Golden) -> None:
    assert problems(golden) == []


def test_every_topic_has_its_kind_of_message_and_every_kind_its_examples() -> None:
    carried = [topic.message for topic in line_topics("steadyline", 8)]
    assert sorted(carried) == sorted(kind.name for kind in KINDS)
    assert {golden.kind.name for golden in ALL} == set(carried)


def test_an_old_example_with_fields_of_a_later_release_is_still_read() -> None:
    score = named("score", "normal")
    later = replace(score, value=score.value[:-1] + b',"weather":"rain"}')
    assert problems(later) == ["score/normal: the value changes"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b'"model_version":3', b'"model_version":"three"', "malformed_message: Score: model_version"),
        (b'"frame":', b'"shot":', "malformed_message: Score: frame: Field required"),
        (b'"verdict":"normal"', b'"verdict":"fine"', "malformed_message: Score: verdict"),
        (b'"p_value":0.62', b'"p_value":62', "malformed_message: Score: p_value"),
        (b'"captured_at":"2026-03-01T12:00:00.250000Z"', b'"captured_at":"2026-03-01T12:00:00"', "timezone"),
        (b'"p_value":0.62', b'"p_value":0.620', "the value changes"),
        (b"{", b"[", "malformed_message"),
    ],
)
def test_the_checker_finds_a_bad_value(old: bytes, new: bytes, problem: str) -> None:
    score = named("score", "normal")
    bad = replace(score, value=score.value.replace(old, new, 1))
    assert problem in problems(bad)[0]


@pytest.mark.parametrize("kind", ["frame", "score", "camera-status", "model-event", "model-command"])
def test_the_checker_finds_every_header_that_is_missing(kind: str) -> None:
    golden = next(golden for golden in ALL if golden.kind.name == kind)
    for index, (name, _) in enumerate(golden.headers):
        if name not in ("traceparent", "part"):
            fewer = golden.headers[:index] + golden.headers[index + 1 :]
            assert problems(replace(golden, headers=fewer)), name


def test_the_checker_finds_a_message_of_another_kind_in_the_place_of_one() -> None:
    score, command = named("score", "normal"), named("model-command", "retrain")
    assert "ce_type is" in problems(replace(command, kind=score.kind, value=score.value))[0]


def test_the_checker_finds_a_file_that_belongs_to_nothing(tmp_path: Path) -> None:
    root = Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))
    assert len(list(goldens(root))) == len(ALL)
    (root / "score/v1/forgotten.json").write_text("{}")
    with pytest.raises(ValueError, match=r"score/v1/forgotten\.json"):
        list(goldens(root))


def test_the_checker_finds_an_example_without_value_and_one_of_no_kind(tmp_path: Path) -> None:
    lonely = tmp_path / "score/v1" / f"lonely{HEADERS}"
    lonely.parent.mkdir(parents=True)
    lonely.write_text("[]")
    with pytest.raises(ValueError, match="0 values"):
        read_golden(lonely)
    strange = tmp_path / "shot/v1" / f"x{HEADERS}"
    strange.parent.mkdir(parents=True)
    strange.write_text("[]")
    (strange.parent / "x.json").write_text("{}")
    with pytest.raises(ValueError, match="is no kind of message"):
        read_golden(strange)


@pytest.mark.parametrize("golden", [golden for golden in ALL if golden.kind.name == "frame"])
def test_the_frames_among_the_examples_are_real_pictures(golden: Golden) -> None:
    info = inspect(golden.value, PictureLimits(1 << 20, 1 << 20))
    assert decode(golden.value, info, "gray").shape == (info.height, info.width)
