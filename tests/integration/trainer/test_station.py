"""A camera whose lamp was dimmed, on a whole line: calibrated by a command that a trainer answers, scored so
by a scorer, and taken back.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from steadyline.contracts.frame import Frame, FrameId
from steadyline.contracts.score import Score
from steadyline.kafka.broker import Message
from steadyline.picture import encode_png
from steadyline.servers import LocalStack
from steadyline.service import EXIT_OK
from tests.support.eventually import eventually
from tests.support.service_process import ServiceProcess
from tests.support.trainer_line import Orders, TrainerLine, stripes

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

DIMMED, STEADY = "dimmed", "steady"  # two cameras of one product
LIGHT = 0.6  # of what the model was trained in, at the dimmed one: every good part is a false alarm then
SCORED_WITHIN = 60.0


def scratched(part: np.ndarray) -> np.ndarray:
    """Return a part with a bright scratch across its stripes."""
    spoilt = part.copy()
    spoilt[20:26, 8:40] = 235
    return spoilt


def dim(parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return what the camera sees of parts once its lamp was dimmed."""
    return [np.rint(part * LIGHT).astype(np.uint8) for part in parts]


def raw(scores: Sequence[Score]) -> np.ndarray:
    return np.array([score.score for score in scores])


def verdicts(scores: Sequence[Score]) -> set[str]:
    return {score.verdict for score in scores}


@dataclass
class DimmedStation:
    """Two cameras of a line at which a trainer and a scorer work: what they send, and what becomes of it."""

    line: TrainerLine
    scorer: ServiceProcess
    sent: Counter[str] = field(default_factory=Counter)

    def scores(self, camera: str, parts: Sequence[np.ndarray]) -> list[Score]:
        """Send these frames and return their scores, in their order."""
        before, topic = self.sent[camera], self.line.topics.frames.name
        for part in parts:
            self.sent[camera] += 1
            identity = FrameId(camera, 1, self.sent[camera])
            data, now = encode_png(part), datetime.now(UTC)
            frame = Frame(identity, "test", self.line.product, now, "image/png", data)
            self.line.publish(Message(topic, camera.encode(), data, frame.headers()))
        self.line.flush()

        def scored() -> list[Score]:
            records = self.line.read_topic(self.line.topics.scores.name)
            found = [Score.decode(record.value) for record in records]
            ours = [score for score in found if score.camera == camera][before:]
            return ours if len(ours) == len(parts) else []

        return eventually(scored, SCORED_WITHIN, f"{len(parts)} frames of {camera} scored")

    def calibrate(self, *options: str) -> str:
        """Run ``steadyline calibrate`` on the dimmed camera; return what it says, once the scorer knows."""
        done = self.line.verb("calibrate", "--camera", DIMMED, *options)
        assert done.returncode == EXIT_OK, done.stdout + done.stderr
        self.scorer.until_said("model_in_use", thresholds=self.line.live().threshold_version)
        return done.stdout


@pytest.fixture
def station(breakable: LocalStack, tmp_path: Path) -> Iterator[DimmedStation]:
    """A trained line with a scorer."""
    line = TrainerLine(tmp_path, breakable.addresses)
    try:
        line.work(Orders(cameras=(DIMMED, STEADY)))
        line.wait_live(1)
        scorer = line.start_service("scorer")
        scorer.until_ready(SCORED_WITHIN)
        yield DimmedStation(line, scorer)
    finally:
        line.close()


def test_a_dimmed_camera_is_calibrated_by_its_last_frames_scored_as_before_and_put_back_by_an_undo(
    station: DimmedStation,
) -> None:
    good = stripes(8, seed=21)
    bad = [scratched(part) for part in good]
    before, defects = station.scores(DIMMED, good), station.scores(DIMMED, bad)
    steady = station.scores(STEADY, good)
    dark = station.scores(DIMMED, dim(good))
    assert (verdicts(before), verdicts(defects), verdicts(dark)) == ({"normal"}, {"anomalous"}, {"anomalous"})

    assert ": trial: " in station.calibrate("--last", "8", "--dry-run")
    assert station.line.live().stations == {}
    assert f"station {DIMMED}: " in station.calibrate("--last", "8")
    live = station.line.live()
    assert set(live.stations) == {DIMMED}
    righted = station.scores(DIMMED, dim(good))
    assert {score.threshold_version for score in righted} == {live.threshold_version}
    assert verdicts(righted) == {"normal"}
    is_nearer = np.abs(raw(righted) - raw(before)) < 0.05 * np.abs(raw(dark) - raw(before))
    assert is_nearer.all(), (raw(before), raw(dark), raw(righted))
    found = station.scores(DIMMED, dim(bad))
    assert verdicts(found) == {"anomalous"}
    np.testing.assert_allclose(raw(found), raw(defects), rtol=0.1)
    np.testing.assert_allclose(raw(station.scores(STEADY, good)), raw(steady), rtol=1e-3)

    assert "taken back" in station.calibrate("--undo")
    assert station.line.live().stations == {}
    again = station.scores(DIMMED, dim(good))
    assert verdicts(again) == {"anomalous"}
    np.testing.assert_allclose(raw(again), raw(dark), rtol=1e-3)
