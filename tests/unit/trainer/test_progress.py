"""Progress as lines: the first and the last word of a phase, and not too many between."""

from datetime import timedelta

from steadyline.clock import ManualClock
from trainer.progress import ProgressLines


def test_a_phase_says_when_it_begins_now_and_then_and_when_it_ends() -> None:
    clock = ManualClock()
    lines = ProgressLines(clock)
    said = []
    for done in range(1, 101):
        said.append(lines.line("fit", done, 100))
        clock.advance(timedelta(seconds=1))
    report = [line for line in said if line is not None]
    assert report[0] == "fit 1/100"
    assert report[1] == "fit 11/100, 0:01:29 left"
    assert report[-1] == "fit 100/100"
    assert len(report) == 11


def test_a_resumed_phase_reckons_with_what_was_done_since() -> None:
    clock = ManualClock()
    lines = ProgressLines(clock)
    assert lines.line("fit", 80, 100) == "fit 80/100"
    clock.advance(timedelta(seconds=10))
    assert lines.line("fit", 85, 100) == "fit 85/100, 0:00:30 left"


def test_a_new_phase_is_announced_at_once() -> None:
    lines = ProgressLines(ManualClock())
    assert lines.line("bank", 1, 10) == "bank 1/10"
    assert lines.line("fit", 1, 10) == "fit 1/10"
    assert lines.line("fit", 2, 10) is None


def test_a_phase_of_the_next_model_reckons_with_its_own_time() -> None:
    clock = ManualClock()
    lines = ProgressLines(clock)
    for done in (1, 100):
        lines.line("fit", done, 100)
        clock.advance(timedelta(hours=1))
    assert lines.line("fit", 1, 100) == "fit 1/100"
    clock.advance(timedelta(seconds=10))
    assert lines.line("fit", 11, 100) == "fit 11/100, 0:01:29 left"
