"""``steadyline trace`` and ``steadyline audit`` as their users call them."""

from collections.abc import Iterator

import pytest

from steadyline.service import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from tests.support.written_line import WrittenLine, written_line

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, kafka: str) -> Iterator[WrittenLine]:
    """Frames 1 to 7: scored, refused, dropped, refused and replayed, scored, waiting, pending."""
    with written_line(tmp_path_factory.mktemp("line"), kafka) as made:
        day = made.day
        day.capture(1, 2, 4, 5, 6)
        day.score((1, 0))
        day.refuse(1, 2)
        day.score((5, 3))
        day.commit(made.group, 4)
        day.status(7, pending=1, drops={3: "drop_oldest"})
        assert made.run("dlq", "replay", "0/1").returncode == EXIT_OK
        yield made


@pytest.mark.parametrize(
    ("sequence", "fate", "words"),
    [
        (1, "scored", "normal, by version 1"),
        (2, "dead-lettered", "`steadyline dlq replay 0/0` sends it through again"),
        (3, "dropped", "drop_oldest"),
        (4, "waiting", "1 frames before it"),
        (5, "scored", "normal"),
        (6, "waiting", "0 frames before it"),
        (7, "pending", "still at its producer"),
    ],
)
def test_every_fate_is_told(line: WrittenLine, sequence: int, fate: str, words: str) -> None:
    done = line.run("trace", line.frame(sequence))
    assert done.returncode == EXIT_OK, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith(f"{line.frame(sequence)} of cell: {fate}: ")
    assert words in first


def test_machines_get_the_places_the_score_and_the_letters(line: WrittenLine) -> None:
    scored = line.json("trace", line.frame(5))
    assert [(item["partition"], item["offset"], item["bytes"]) for item in scored["published"]] == [(0, 3, 9)]
    assert [(item["verdict"], item["source_offset"]) for item in scored["scores"]] == [("normal", 3)]
    replayed = line.json("trace", line.frame(4))
    assert [item["offset"] for item in replayed["published"]] == [2, 5]
    assert [item["replayed_from"] for item in replayed["published"]] == [None, "0/1"]
    assert [(item["offset"], item["reason"]) for item in replayed["dead_letters"]] == [(1, "empty_picture")]


def test_a_frame_that_nobody_knows_of_ends_with_1(line: WrittenLine) -> None:
    for frame, why in ((line.frame(99), "ask again"), (line.frame(1, "west-1"), "no producer of west-1")):
        done = line.run("trace", frame)
        assert (done.returncode, why in done.stdout) == (EXIT_FAILED, True), done.stderr


def test_what_is_no_frame_id_is_one_clear_line(line: WrittenLine) -> None:
    done = line.run("trace", "east-1/7")
    assert done.returncode == EXIT_USAGE
    assert done.stderr.startswith("invalid_configuration: 'east-1/7' is no frame id")


def test_the_audit_takes_a_duration_and_says_what_one_looks_like(line: WrittenLine) -> None:
    assert line.run("audit", "--since", "1h").returncode == EXIT_OK
    done = line.run("audit", "--since", "24")
    assert done.returncode == EXIT_USAGE
    assert "--since '24': give a number and s, m, h or d" in done.stderr
