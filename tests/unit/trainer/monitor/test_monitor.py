"""Which frames the watch shows to the live model, and how it reads the answers."""

import random
from collections import Counter

import numpy as np

from trainer.data.banks import HeldOutSet
from trainer.monitor.monitor import draw, to_round


def known() -> HeldOutSet:
    transforms = ("scar",) * 30 + ("cutout",) * 5 + ("warp",) * 2
    anomalies = np.arange(37, dtype=np.uint8).reshape(37, 1, 1, 1)
    return HeldOutSet(anomalies, transforms, np.zeros((10, 1, 1, 1), np.uint8))


def test_every_transform_is_shown_as_often_as_any_other_while_it_lasts() -> None:
    sample = draw(known(), 12, random.Random(0))
    assert Counter(sample.transforms) == {"scar": 5, "cutout": 5, "warp": 2}
    assert len(sample.normals) == 10


def test_another_round_shows_other_frames_and_each_keeps_its_transform() -> None:
    frames = known()
    first, second = (draw(frames, 12, random.Random(seed)) for seed in (0, 1))
    assert first.anomalies.flatten().tolist() != second.anomalies.flatten().tolist()
    for sample in (first, second):
        for transform, index in zip(sample.transforms, sample.anomalies.flatten(), strict=True):
            assert frames.transforms[index] == transform


def test_answers_are_read_in_the_order_they_were_asked() -> None:
    sample = draw(known(), 3, random.Random(0))
    seen = to_round(np.array([3, 2, 1, 0.1, 0.2, 0.3], np.float32), sample, threshold=1.5)
    assert sum(len(scores) for scores in seen.anomalies.values()) == 3
    assert seen.detected() == (2, 3)
    assert len(seen.normals) == 3
    assert seen.false_alarm_rate() == 0
