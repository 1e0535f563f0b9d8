"""``steadyline dlq`` as its users call it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from steadyline.errors import PictureTooLarge, UndecodablePicture
from steadyline.kafka.broker import Message
from steadyline.servers import Addresses
from steadyline.service import EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from tests.support.line_under_test import LineUnderTest
from tests.support.written_line import WrittenLine, written_line

pytestmark = pytest.mark.servers

JPEG = b"\xff\xd8\xff half a picture"


@contextmanager
def refused(folder: Path, kafka: str) -> Iterator[WrittenLine]:
    """Yield a line with frames 1 to 3: scored, cut off, too large."""
    with written_line(folder, kafka) as made:
        day = made.day
        day.capture(1)
        day.publish(day.message(2, JPEG), day.message(3, b"large"))
        day.score((1, 0))
        day.refuse(1, error=UndecodablePicture("[bold]truncated[/nonsense] \x1b[2J"))
        day.refuse(2, error=PictureTooLarge("5 bytes, 4 at most"))
        day.commit(made.group, 3)
        day.status(3)
        yield made


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, kafka: str) -> Iterator[WrittenLine]:
    """A line that nothing is replayed on."""
    with refused(tmp_path_factory.mktemp("line"), kafka) as made:
        yield made


@pytest.fixture
def own_line(tmp_path: Path, kafka: str) -> Iterator[WrittenLine]:
    """A line to replay on."""
    with refused(tmp_path, kafka) as made:
        yield made


def test_list_tells_people_what_was_refused_and_why(line: WrittenLine) -> None:
    done = line.run("dlq", "list")
    assert done.returncode == EXIT_OK, done.stderr
    assert "[bold]truncated[/nonsense] ·[2J" in done.stdout
    for cell in ("0/0", "undecodable_picture", "0/1", "picture_too_large", "no"):
        assert cell in done.stdout
    assert line.frame(2) in done.stdout


def test_list_tells_machines_all_of_it(line: WrittenLine) -> None:
    told = line.json("dlq", "list")
    assert told["matching"] == 2
    first = told["letters"][0]
    assert {name: first[name] for name in ("place", "frame", "camera", "reason", "bytes", "replay")} == {
        "place": "0/0",
        "frame": line.frame(2),
        "camera": "east-1",
        "reason": "undecodable_picture",
        "bytes": len(JPEG),
        "replay": None,
    }
    assert first["source"] == {"topic": line.topics.frames.name, "place": "0/1"}


def test_list_narrows_by_reason_camera_age_and_number(line: WrittenLine) -> None:
    def places(*options: str) -> list[str]:
        return [letter["place"] for letter in line.json("dlq", "list", *options)["letters"]]

    assert places("--reason", "picture_too_large") == ["0/1"]
    assert places("--camera", "west-1") == []
    assert places("--since", "1h") == ["0/0", "0/1"]
    assert places("--limit", "1") == ["0/1"]
    assert "the newest 1 of 2" in line.run("dlq", "list", "--limit", "1").stdout
    nothing = line.run("dlq", "list", "--reason", "empty_picture")
    assert "no dead letter fits; there are: undecodable_picture 1, picture_too_large 1" in nothing.stdout


def test_list_saves_the_refused_bytes_to_look_at(line: WrittenLine, tmp_path: Path) -> None:
    done = line.run("dlq", "list", "--save", tmp_path / "refused")
    assert done.returncode == EXIT_OK, done.stderr
    saved = {path.name: path.read_bytes() for path in (tmp_path / "refused").iterdir()}
    assert saved == {"0-0.jpg": JPEG, "0-1.bin": b"large"}
    blocked = line.run("dlq", "list", "--save", line.line_file / "below-a-file")
    assert (blocked.returncode, "Not a directory" in blocked.stderr) == (EXIT_USAGE, True)


def test_a_dry_run_writes_nothing(line: WrittenLine) -> None:
    done = line.run("dlq", "replay", "--all", "--dry-run")
    assert done.returncode == EXIT_OK, done.stderr
    assert "2 would be replayed, 0 left out, 0 failed" in done.stdout
    assert len(line.frame_records()) == 3


def test_replay_writes_the_bytes_back_untouched_once(own_line: WrittenLine) -> None:
    before = own_line.frame_records()[1]
    done = own_line.run("dlq", "replay", "0/0")
    assert done.returncode == EXIT_OK, done.stderr
    assert f"replayed to {own_line.topics.frames.name}, partition 0" in done.stdout
    after = own_line.frame_records()[3]
    assert (after.key, after.value, after.partition) == (before.key, before.value, before.partition)
    assert after.headers == (*before.headers, ("replayed-from", b"0/0"))

    second = own_line.run("dlq", "replay", "0/0")
    assert second.returncode == EXIT_FAILED
    assert "left out: it was replayed before and waits at 0/3" in second.stdout
    assert len(own_line.frame_records()) == 4
    listed = own_line.json("dlq", "list")["letters"]
    assert [letter["replay"] for letter in listed] == [{"state": "waiting", "place": "0/3"}, None]

    rest = own_line.json("dlq", "replay", "--all")
    assert [letter["place"] for letter in rest["replayed"]] == ["0/1"]
    assert [letter["place"] for letter in rest["left_out"]] == ["0/0"]
    assert (rest["failed"], rest["dry_run"]) == ([], False)

    again = own_line.json("dlq", "replay", "0/0", "--again")
    assert [letter["place"] for letter in again["replayed"]] == ["0/0"]
    assert len(own_line.frame_records()) == 6


def test_a_letter_whose_replay_was_scored_is_not_replayed_again(own_line: WrittenLine) -> None:
    assert own_line.run("dlq", "replay", "0/0").returncode == EXIT_OK
    own_line.day.score((2, 3))
    own_line.day.commit(own_line.group, 4)
    done = own_line.json("dlq", "replay", "--reason", "undecodable_picture")
    assert (done["replayed"], [one["place"] for one in done["left_out"]]) == ([], ["0/0"])
    audit = own_line.json("audit")
    assert (audit["intact"], audit["totals"]["scored"], audit["totals"]["dead_lettered"]) == (True, 2, 1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["replay"], "say which letters"),
        (["replay", "--all", "--reason", "empty_picture"], "say which letters"),
        (["replay", "first"], "'first' is no place of a letter"),
        (["replay", "0/77", "0/0", "7/1"], "there is no letter at 0/77, 7/1"),
        (["replay", "0/0", "--reason", "poison"], "there is no letter that fits the other options at 0/0"),
        (["list", "--since", "yesterday"], "--since 'yesterday': give a number"),
        (["list", "--since", "24"], "--since '24': give a number"),
    ],
)
def test_a_wrong_wish_is_one_clear_line_and_replays_nothing(
    line: WrittenLine, arguments: list[str], complaint: str
) -> None:
    done = line.run("dlq", *arguments)
    assert done.returncode == EXIT_USAGE, done.stdout
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(line.frame_records()) == 3


def test_what_did_not_come_from_the_frames_topic_stays_where_it_is(own_line: WrittenLine) -> None:
    own_line.day.publish(Message(own_line.topics.dead_letters.name, b"x", b"spam", (("reason", b"spam"),), 1))
    done = own_line.run("dlq", "replay", "--reason", "spam")
    assert done.returncode == EXIT_OK, done.stderr
    assert "left out: it came from nobody knows where" in done.stdout
    assert len(own_line.frame_records()) == 3


def test_a_replay_that_fits_nothing_says_what_there_is(line: WrittenLine) -> None:
    done = line.run("dlq", "replay", "--camera", "west-1")
    assert done.returncode == EXIT_OK, done.stderr
    assert "no dead letter fits; there are: " in done.stdout
    assert "0 replayed, 0 left out, 0 failed" in done.stdout


def test_a_broker_that_is_away_is_one_clear_line(tmp_path: Path) -> None:
    away = LineUnderTest(tmp_path, Addresses(kafka_bootstrap="127.0.0.1:1"))
    away.write_line("line: t\nproducts: {cell: {}}\n")
    done = away.steadyline("dlq", "list", "--line", str(away.line_file))
    away.close()
    assert done.returncode == EXIT_UNAVAILABLE
    assert done.stderr.startswith("broker_unavailable: ")
    assert len(done.stderr.splitlines()) == 1
