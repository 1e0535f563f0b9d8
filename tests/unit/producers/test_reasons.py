"""Every reason word has one meaning, and the metrics know exactly these words."""

from typing import get_args

from producers.condition import QUALITY_REASONS
from producers.reasons import DROPPED, LOST, STATE
from producers.stream import LOST_BY
from steadyline.contracts.camera_status import CameraState
from steadyline.telemetry.metrics import producers as metrics


def test_the_metrics_take_exactly_the_words_that_are_documented() -> None:
    assert metrics.DROPPED.labels["reason"] == frozenset(DROPPED)
    assert metrics.RECONNECTS.labels["reason"] == frozenset(LOST)


def test_each_word_of_a_state_says_which_state_it_is() -> None:
    assert {meaning.split(":")[0].rstrip(".") for meaning in STATE.values()} == set(get_args(CameraState))
    assert set(QUALITY_REASONS.values()) <= STATE.keys()
    assert {word for _, word in LOST_BY} <= LOST.keys()
