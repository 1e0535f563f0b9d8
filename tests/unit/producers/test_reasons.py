"""Every reason word has one meaning; the metrics are declared with these very words."""

from typing import get_args

from producers.camera_state.state import QUALITY_REASONS
from producers.reasons import LOST, STATE
from producers.sources.stream import LOST_BY
from steadyline.contracts.camera_status import CameraState


def test_each_word_of_a_state_says_which_state_it_is() -> None:
    assert {meaning.split(":")[0].rstrip(".") for meaning in STATE.values()} == set(get_args(CameraState))
    assert set(QUALITY_REASONS.values()) <= STATE.keys()
    assert {word for _, word in LOST_BY} <= LOST.keys()
