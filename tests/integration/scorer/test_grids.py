"""Pictures that are no squares, through the scorer and Triton to scores on the topic; and a model whose grid
is another than that of the version before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from steadyline.clock import SystemClock
from steadyline.contracts.model_event import Calibration, Model, Package
from steadyline.contracts.score import Score
from steadyline.grid import Grid
from steadyline.inference import Floats
from steadyline.map_png import decode_map
from steadyline.package import MODEL
from steadyline.parity import peak_of
from steadyline.picture import LARGEST, decode, encode_jpeg, encode_png, inspect
from steadyline.prepare import prepare
from steadyline.service import EXIT_OK
from steadyline.triton import LOAD_WITHIN
from steadyline.triton_config import Serving
from tests.support.eventually import eventually
from tests.support.models import Contrast, a_defective_picture, model_event
from tests.support.parts import defective_parts, good_parts
from tests.support.scorer_line import ScorerLine
from trainer.detector_protocol import Served
from trainer.folder import FolderOrder, fit_folder, open_package
from trainer.jobs.build import BuildContext
from trainer.lifecycle.promote import InService, Promoter
from trainer.lifecycle.repository import ModelRepository

pytestmark = pytest.mark.servers

TALL = Grid(48, 32)
HIGH, WIDE = 60, 40  # pixels of the frames, which are resized to that grid
SMALL = {"shape.width": 8, "schedule.batch": 4, "schedule.attack_steps": 1}
EVERYTHING = Calibration(scores=[-1e6], threshold=-1e6, achieved_rate=0.5)  # so that each map is kept


def test_a_model_of_another_grid_than_the_line_file_says_scores_its_frames(floor: ScorerLine) -> None:
    wide = Contrast(size=16, width=64)
    floor.serve(1, wide)
    floor.announce(1, wide)
    scorer = floor.start("a")
    floor.send_picture(floor.cameras[0], encode_png(a_defective_picture(wide.grid, cell=11)))
    floor.send_picture(floor.cameras[0], encode_png(a_defective_picture(32)))
    floor.until_accounted().assert_intact()
    first = floor.scores()[0]
    assert first.verdict == "anomalous"
    assert (first.peak.x, first.peak.y) == (3.5 / 8, 1.5 / 2)
    assert decode_map(floor.store.get(first.map_uri or "")).shape == (2, 8)
    eventually(lambda: scorer.said("frames_distorted"), 20)
    assert scorer.stop() == EXIT_OK


@dataclass(frozen=True)
class FittedModel:
    """A trained model of the grid TALL: what an event says of it, its file, and its module in torch."""

    model: Model
    file: bytes
    module: Served

    def answer(self, data: bytes) -> tuple[float, Floats]:
        """Return score and map (h, w) that torch gives to an encoded frame."""
        seen = prepare(decode(data, inspect(data, LARGEST), "gray"), TALL, "gray")
        with torch.inference_mode():
            scores, maps = self.module(torch.from_numpy(seen[None]))[:2]
        return float(scores[0]), maps[0].numpy()


@pytest.fixture
def fitted(tmp_path: Path) -> FittedModel:
    """What ``fit`` makes of a folder of tall pictures, as version 2."""
    torch.set_num_threads(1)
    data, out = tmp_path / "parts", tmp_path / "model"
    (data / "train" / "good").mkdir(parents=True)
    for number, part in enumerate(good_parts(24, HIGH, seed=1)[:, :, :WIDE, 0]):
        (data / "train" / "good" / f"{number:02}.png").write_bytes(encode_png(np.ascontiguousarray(part)))
    order = FolderOrder(
        data=data, out=out, product="part", detector="cobra", profile="cpu", steps=4, seed=0, grid=TALL,
        channels="gray", false_alarm_rate=0.1, overrides=SMALL,
    )  # fmt: skip
    fit_folder(order, BuildContext(out, lambda phase, done, of: None, SystemClock()))
    card, module = open_package(out)
    model = card.model(Package(uri=out.as_uri(), digests={}), "live", "made by hand")
    own = {"version": 2, "calibrations": {"*": EVERYTHING}}
    return FittedModel(model.model_copy(update=own), (out / MODEL).read_bytes(), module)


def frames() -> list[bytes]:
    """Return frames of good and of defective parts as cameras send them."""
    parts = np.concatenate([good_parts(2, HIGH, seed=5), defective_parts(4, HIGH, seed=6)[0]])[:, :, :WIDE, 0]
    whole = [np.ascontiguousarray(part) for part in parts]
    return [encode_png(part) for part in whole] + [encode_jpeg(part, 90) for part in whole]


def assert_as_in_torch(
    floor: ScorerLine, scores: Sequence[Score], sent: list[bytes], fitted: FittedModel
) -> None:
    tolerance = fitted.model.encoded_probes[0].tolerance
    answers = [fitted.answer(data) for data in sent]
    assert np.ptp([score for score, _ in answers]) > 5 * tolerance
    for score, (known, anomaly_map) in zip(scores, answers, strict=True):
        assert score.score == pytest.approx(known, abs=tolerance)
        assert (score.peak.x, score.peak.y) == pytest.approx(peak_of(anomaly_map))
        assert decode_map(floor.store.get(score.map_uri or "")).shape == anomaly_map.shape


@pytest.mark.timeout(900)  # half a minute of training, which a busy machine makes many of
def test_a_trained_version_of_another_grid_follows_a_square_one_and_is_rolled_back_and_no_frame_is_lost(
    floor: ScorerLine, fitted: FittedModel
) -> None:
    repository = ModelRepository(Path(floor.addresses.triton_repository))
    promoter = Promoter(repository, floor.triton, LOAD_WITHIN, Serving())
    square, camera, sent = Contrast(), floor.cameras[0], frames()
    before, checked = square.event_model(1), encode_png(a_defective_picture(32))
    promoter.put_beside(floor.product, before, square.onnx(), None)
    floor.announce(1, square)
    scorer = floor.start("a")
    floor.send_picture(camera, checked)
    floor.until_accounted().assert_intact()

    promoter.put_beside(floor.product, fitted.model, fitted.file, InService(before, square.onnx()))
    for data in sent:  # before the scorer knows: they wait for it
        floor.send_picture(camera, data)
    floor.flush()
    scorer.until_said("inference_held")
    floor.say(model_event(floor.product, [before, fitted.model], 2))
    floor.until_accounted().assert_intact()
    of_both = floor.scores()
    assert [score.model_version for score in of_both] == [1, *[2] * len(sent)]
    assert_as_in_torch(floor, of_both[1:], sent, fitted)

    promoter.put_beside(floor.product, before, square.onnx(), InService(fitted.model, fitted.file))
    floor.say(model_event(floor.product, [before, fitted.model], 1))
    floor.send_picture(camera, checked)
    account = floor.until_accounted()
    account.assert_intact()
    assert account.dead_lettered == 0
    last = floor.scores()[-1]
    assert last.model_version == 1
    assert last.score == pytest.approx(0.5, abs=1e-4)
    assert scorer.stop() == EXIT_OK
