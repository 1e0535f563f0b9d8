"""How far a training is, over all its phases."""

from itertools import pairwise

from trainer.progress import PHASES, Progress


def test_progress_never_runs_backwards_over_the_phases() -> None:
    on_progress = [Progress("start", 0, 0)]
    on_progress += [Progress(phase, done, 10) for phase in PHASES for done in range(11)]
    ratios = [progress.ratio for progress in on_progress]
    assert all(before <= after for before, after in pairwise(ratios))
    assert (ratios[0], ratios[-1]) == (0.0, 1.0)
