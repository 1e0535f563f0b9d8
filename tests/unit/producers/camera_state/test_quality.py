"""A camera that no longer sees is told from one that does."""

from datetime import timedelta

import numpy as np
import pytest

from producers.camera_state.inspection import Inspection
from producers.camera_state.quality import QualityFigures, QualityJudge, QualityLimits, look, sharpness
from producers.sources.source import Capture, Content, Encoded
from steadyline.clock import ManualClock
from steadyline.contracts.camera_status import CameraState
from steadyline.errors import EmptyPicture
from steadyline.picture import PictureLimits, Pixels, encode_jpeg

LIMITS = QualityLimits(dark_below=8, bright_above=247, frozen_below=0.05, blurred_below=0.25, checks=3)
GOOD = QualityFigures(mean=120, sharpness=100, change=3)


def noise(seed: int, mean: float = 120, spread: float = 20) -> Pixels:
    return np.clip(np.random.default_rng(seed).normal(mean, spread, (64, 64)), 0, 255).astype(np.uint8)


def smooth(pixels: Pixels) -> Pixels:
    p = pixels.astype(float)
    for _ in range(4):
        p = (p + np.roll(p, 1, 0) + np.roll(p, 1, 1) + np.roll(p, (1, 1), (0, 1))) / 4
    return p.astype(np.uint8)


def states(judge: QualityJudge, looks: list[QualityFigures]) -> list[CameraState | None]:
    return [judge.add(seen) for seen in looks]


def test_a_look_measures_mean_change_and_sharpness() -> None:
    first, second = noise(1), noise(2)
    seen = look(second, first)
    assert seen.mean == pytest.approx(120, abs=2)
    assert seen.change == pytest.approx(22, abs=3)
    assert look(first, first).change == 0
    assert look(first, None).change is None
    assert look(first, first[:10]).change is None


def test_a_blurred_picture_has_far_less_sharpness() -> None:
    assert sharpness(smooth(noise(1))) < 0.25 * sharpness(noise(1))
    assert sharpness(np.zeros((2, 2), np.uint8)) == 0


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (QualityFigures(mean=3, sharpness=100, change=3), "dark"),
        (QualityFigures(mean=252, sharpness=100, change=3), "bright"),
        (QualityFigures(mean=120, sharpness=100, change=0.0), "frozen"),
        (QualityFigures(mean=3, sharpness=0, change=0.0), "frozen"),
    ],
)
def test_a_state_is_entered_and_left_after_three_looks_that_agree(
    seen: QualityFigures, state: CameraState
) -> None:
    judge = QualityJudge(LIMITS)
    assert states(judge, [GOOD] * 3 + [seen] * 4) == [None] * 5 + [state] * 2
    assert states(judge, [GOOD, seen, GOOD, GOOD, GOOD]) == [state] * 4 + [None]


def test_sharpness_is_judged_by_the_cameras_own_history() -> None:
    judge = QualityJudge(LIMITS)
    weak = QualityFigures(mean=120, sharpness=10, change=3)
    assert states(judge, [weak] * 30)[-1] is None
    judge = QualityJudge(LIMITS)
    assert states(judge, [GOOD] * 30 + [weak] * 3)[-1] == "blurred"


def test_a_scene_that_stays_changed_is_learned_anew() -> None:
    judge = QualityJudge(LIMITS)
    states(judge, [GOOD] * 30)
    weak = [QualityFigures(mean=120, sharpness=10, change=3)] * 650
    assert states(judge, weak)[10] == "blurred"
    assert judge.state is None


def an_inspection(clock: ManualClock) -> Inspection:
    return Inspection(LIMITS, PictureLimits(1 << 20, 1 << 20), 1.0, clock)


def see(inspection: Inspection, clock: ManualClock, content: Content, times: int) -> CameraState | None:
    for _ in range(times):
        inspection.watch(Capture(clock.now(), content))
        clock.advance(timedelta(seconds=0.5))
    return inspection.state


def test_every_kind_of_capture_is_inspected_once_a_second() -> None:
    clock = ManualClock()
    inspection = an_inspection(clock)
    assert see(inspection, clock, np.zeros((40, 40), np.uint8), 4) is None
    black = Encoded(encode_jpeg(np.zeros((40, 40), np.uint8)), "image/jpeg")
    assert see(inspection, clock, black, 8) in ("dark", "frozen")


def test_a_camera_that_was_away_is_judged_anew() -> None:
    clock = ManualClock()
    inspection = an_inspection(clock)
    assert see(inspection, clock, np.zeros((40, 40), np.uint8), 12) == "frozen"
    inspection.forget()
    assert inspection.state is None
    assert see(inspection, clock, np.zeros((40, 40), np.uint8), 4) is None
    assert see(inspection, clock, np.zeros((40, 40), np.uint8), 12) == "frozen"


def test_what_cannot_be_decoded_says_nothing() -> None:
    clock = ManualClock()
    inspection = an_inspection(clock)
    assert see(inspection, clock, EmptyPicture("no bytes"), 10) is None
    assert see(inspection, clock, Encoded(b"\xff\xd8\xff nonsense", "image/jpeg"), 10) is None
