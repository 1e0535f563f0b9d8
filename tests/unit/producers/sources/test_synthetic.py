"""Synthetic frames follow from the seed and the sequence, and their truth is known."""

import threading

import numpy as np

from producers.sources.address import SyntheticOptions
from producers.sources.synthetic import SyntheticSource, render, truth, truth_mask
from steadyline.clock import ManualClock

OPTIONS = SyntheticOptions(fps=10, defect_rate=0.5, seed=3, size=64)


def test_the_same_seed_and_sequence_give_the_same_frame() -> None:
    assert np.array_equal(render(OPTIONS, 5), render(OPTIONS, 5))
    assert truth(OPTIONS, 5) == truth(OPTIONS, 5)
    assert not np.array_equal(render(OPTIONS, 5), render(OPTIONS, 6))
    assert not np.array_equal(render(OPTIONS, 5), render(OPTIONS.model_copy(update={"seed": 4}), 5))


def test_defects_come_at_the_wanted_rate() -> None:
    found = sum(truth(OPTIONS, sequence) is not None for sequence in range(1, 501))
    assert 200 < found < 300
    assert all(truth(SyntheticOptions(defect_rate=0), sequence) is None for sequence in range(1, 100))
    assert all(truth(SyntheticOptions(defect_rate=1), sequence) for sequence in range(1, 100))


def test_a_defect_changes_the_frame_where_its_mask_says() -> None:
    good = OPTIONS.model_copy(update={"defect_rate": 0.0})
    bad = OPTIONS.model_copy(update={"defect_rate": 1.0})
    for sequence in range(1, 20):
        mask = truth_mask(bad, sequence)
        change = np.abs(render(bad, sequence).astype(float) - render(good, sequence))
        assert 0 < mask.mean() < 0.25
        assert change[mask].mean() > 20
        assert change[~mask].mean() < 3
        assert not truth_mask(good, sequence).any()


def test_the_source_counts_from_one_at_its_rate() -> None:
    clock = ManualClock()
    source = SyntheticSource(OPTIONS, "rgb", clock)
    captures = source.captures(threading.Event())
    first, second = next(captures), next(captures)
    assert isinstance(first.content, np.ndarray)
    assert np.array_equal(first.content[..., 0], render(OPTIONS, 1))
    assert first.content.shape == (64, 64, 3)
    assert (second.captured_at - first.captured_at).total_seconds() == 0.1
    assert source.expected_fps == 10


def test_distinct_frames_repeat_with_their_truth() -> None:
    options = OPTIONS.model_copy(update={"distinct": 3})
    assert np.array_equal(render(options, 1), render(options, 4))
    assert truth(options, 2) == truth(options, 5)
