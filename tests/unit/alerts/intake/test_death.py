"""Whatever moment a process ends at: nothing is lost, nothing is doubled, on both kinds of database."""

import subprocess
import sys
from collections import Counter

import pytest

from tests.support.alerts_bench import MOMENTS, SCORES, AlertsBench, the_inputs, turns


class IntakeDied(BaseException):
    """The process ends here: nothing of it runs any more."""


FRAMES = {
    f"scores/east-{camera}": [f"east-{camera}/7/{n}" for n in range(1, SCORES + 1) if n % 2 == camera]
    for camera in (0, 1)
}
LETTERS = [("malformed_headers", b"bad%d" % place) for place in (10, 20, 3, 9)]


def assert_whole(bench: AlertsBench) -> None:
    """Check that each frame was seen once and in order, and that every incident's changes are whole."""
    assert bench.seen() == FRAMES
    told = bench.told()
    assert len(told) == len({(incident, sequence) for incident, sequence, _ in told})
    story = Counter(incident for incident, _, _ in told)
    assert {item.id: item.sequence for item in bench.incidents()} == dict(story)
    assert len(story) == 8
    assert [change for _, _, change in told].count("resolved") >= 7
    assert list(bench.offsets().values()) == [len(the_inputs())]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("nth", [1, 2, 5])
def test_a_process_that_dies_at_any_moment_loses_and_doubles_nothing(
    bench: AlertsBench, moment: str, nth: int
) -> None:
    bench.publish(*the_inputs())
    seen: list[str] = []

    def die(now: str) -> None:
        seen.append(now)
        if seen.count(moment) == nth:
            raise IntakeDied

    with pytest.raises(IntakeDied):
        turns(bench.process(at=die))
    turns(bench.process())
    assert_whole(bench)
    assert bench.letters() == LETTERS


def test_a_process_killed_within_a_transaction_leaves_nothing_of_it_and_the_next_goes_on(
    url: str, bench: AlertsBench
) -> None:
    def run(nth: int) -> int:
        command = [sys.executable, "-m", "tests.support.alerts_bench", url, "written", str(nth)]
        return subprocess.run(command, timeout=200, check=False).returncode

    assert [run(5), run(0)] == [-9, 0]
    assert_whole(bench)
