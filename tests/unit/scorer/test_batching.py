"""What a model refuses: batches are halved, a frame is judged beside known answers, and no hold is silent."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pytest
from structlog.testing import capture_logs

from scorer.config import ScorerSettings
from scorer.model_slot import NO_LIVE_MODEL
from steadyline.contracts.score import Score
from steadyline.errors import Backpressure, ContractBroken, UnscorableFrame
from steadyline.inference import Inferred, Pixels
from steadyline.picture import encode_png
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.holds import HoldWatch
from tests.support.bench_top import BenchTop, a_record
from tests.support.inference import MemoryInference
from tests.support.models import Contrast, a_plain_picture

ODD = a_plain_picture(32, level=77)  # what the model of a test may refuse


@dataclass
class StrictModel:
    """Answers as ``Contrast``, but takes ``most`` frames at once and, when it ``is_picky``, no ODD one."""

    most: int = 1000
    is_picky: bool = False
    is_broken: bool = False
    sizes: list[int] = field(default_factory=list)

    def __call__(self, pictures: Pixels) -> Inferred:
        self.sizes.append(len(pictures))
        if len(pictures) > self.most:
            raise ContractBroken(f"inference request batch-size must be <= {self.most}")
        if self.is_broken or (self.is_picky and (pictures[..., 0] == ODD).all(axis=(1, 2)).any()):
            raise ContractBroken("output 'score' is nothing")
        return Contrast().answer(pictures)


@dataclass
class WatchedTop:
    """A handler whose holds are watched as the scorer watches them."""

    top: BenchTop = field(
        default_factory=lambda: BenchTop(settings=ScorerSettings(instance="a", max_batch=16))
    )

    def __post_init__(self) -> None:
        self.health = ServiceHealth(self.top.clock)
        self.health.set_ready("start", True)
        self.holds = HoldWatch(self.health, self.top.clock)

    @property
    def inference(self) -> MemoryInference:
        return self.top.inference

    def serve(self, version: int, model: StrictModel) -> StrictModel:
        self.inference.serve("part", version, model)
        self.top.slot.put(Contrast().event_model(version))
        return model

    def pass_time(self, seconds: int) -> None:
        """Turn once a second."""
        for _ in range(seconds):
            self.top.pass_time(1)
            for part, held in self.top.handler.held():
                self.holds.note(part, held)

    def waiting_for(self) -> object:
        return self.health.ready()[1]["waiting_for"]


@pytest.fixture
def line() -> Iterator[WatchedTop]:
    made = WatchedTop()
    yield made
    made.top.close()


@pytest.mark.parametrize("most", [1, 3, 4, 7, 16])
def test_a_batch_over_what_the_model_takes_is_halved_until_it_is_taken(line: WatchedTop, most: int) -> None:
    model = line.serve(1, StrictModel(most=most))
    line.inference.is_slow = True
    futures = [line.top.handler.submit(a_record(number)) for number in range(1, 60)]
    line.top.settle()
    line.inference.is_slow = False
    line.inference.release()
    line.pass_time(1)
    offsets = [Score.decode(future.result(10)[0].value).source_offset for future in futures]
    assert offsets == list(range(1, 60))
    refused = [size for size in model.sizes if size > most]
    assert len(refused) <= 8  # two requests at once for each halving of 16, and none after them
    assert line.waiting_for() == {}
    model.sizes.clear()
    later = [line.top.handler.submit(a_record(number)) for number in range(60, 90)]
    assert all(future.result(10) for future in later)
    assert max(model.sizes) <= most


def test_another_version_is_asked_for_full_batches_again(line: WatchedTop) -> None:
    line.serve(1, StrictModel(most=2))
    line.inference.is_slow = True
    futures = [line.top.handler.submit(a_record(number)) for number in range(1, 20)]
    line.top.settle()
    line.inference.is_slow = False
    line.inference.release()
    assert all(future.result(10) for future in futures)
    wide = line.serve(2, StrictModel())
    line.inference.is_slow = True
    futures = [line.top.handler.submit(a_record(number)) for number in range(20, 60)]
    line.top.settle()
    line.inference.is_slow = False
    line.inference.release()
    assert all(future.result(10) for future in futures)
    assert max(wide.sizes) == 16


def test_a_frame_that_the_model_refuses_alone_is_poison_and_the_others_are_scored(line: WatchedTop) -> None:
    model = line.serve(1, StrictModel(is_picky=True))
    line.inference.is_slow = True
    futures = [
        line.top.handler.submit(a_record(number, encode_png(ODD) if number == 7 else None))
        for number in range(1, 40)
    ]
    line.top.settle()
    line.inference.is_slow = False
    line.inference.release()
    line.pass_time(20)
    with pytest.raises(UnscorableFrame, match="refuses this frame alone"):
        futures.pop(6).result(0)
    assert all(len(future.result(10)) == 1 for future in futures)
    assert line.waiting_for() == {}
    model.sizes.clear()
    line.inference.is_slow = True
    later = [line.top.handler.submit(a_record(number)) for number in range(40, 80)]
    line.top.settle()
    line.inference.release()
    line.inference.is_slow = False
    line.inference.release()
    assert all(future.result(10) for future in later)
    assert max(model.sizes) == 16  # the frame was at fault, not the size of the batch


def test_a_model_that_refuses_every_frame_refuses_none_of_them_for_good(line: WatchedTop) -> None:
    model = line.serve(1, StrictModel(is_broken=True))
    futures = [line.top.handler.submit(a_record(number)) for number in range(1, 10)]
    with capture_logs() as log:
        line.pass_time(200)
    assert not any(future.done() for future in futures)
    assert line.waiting_for() == {"frames:part": "contract_broken"}
    said = [row for row in log if row["event"] == "held"]
    assert 3 <= len(said) <= 4
    assert {(row["part"], row["reason"]) for row in said} == {("frames:part", "contract_broken")}
    assert len(model.sizes) < 250  # no faster than the delay between attempts
    model.is_broken = False
    line.pass_time(20)
    assert all(future.result(10) for future in futures)
    assert line.waiting_for() == {}


def test_a_request_that_is_never_answered_is_given_up_and_asked_again(line: WatchedTop) -> None:
    line.serve(1, StrictModel())
    line.inference.is_slow = True
    future = line.top.handler.submit(a_record(1))
    line.top.settle()
    line.pass_time(14)
    assert not future.done()
    line.inference.is_slow = False
    line.pass_time(3)
    assert Score.decode(future.result(10)[0].value).source_offset == 1
    line.inference.release()  # the first answer, which nobody waits for any more
    assert future.result(0)
    line.top.handler.submit(a_record(2)).result(10)


def test_frames_that_wait_for_a_model_say_so(line: WatchedTop) -> None:
    line.pass_time(30)
    assert line.waiting_for() == {}  # no frame waits
    line.top.handler.submit(a_record(1))
    line.top.settle()
    line.pass_time(12)
    assert line.waiting_for() == {"frames:part": NO_LIVE_MODEL}


def test_a_store_that_is_away_for_long_is_not_ready(line: WatchedTop) -> None:
    line.serve(1, StrictModel())
    line.top.store.refusals = 1000
    defect = np.full((32, 32), 120, np.uint8)
    defect[:8, :8:2] = 255
    future = line.top.handler.submit(a_record(1, encode_png(defect)))
    line.top.settle()
    line.pass_time(12)
    assert line.waiting_for() == {"evidence": "store_unavailable"}
    line.top.store.refusals = 0
    line.pass_time(6)
    assert future.result(10)
    line.pass_time(1)
    assert line.waiting_for() == {}


def test_an_outage_of_the_server_is_no_reason_to_halve_a_batch(line: WatchedTop) -> None:
    model = line.serve(1, StrictModel())
    line.inference.is_away = True
    futures = [line.top.handler.submit(a_record(number)) for number in range(1, 40)]
    line.pass_time(60)
    line.inference.is_away = False
    line.top.clock.advance(timedelta(seconds=6))
    line.pass_time(1)
    assert all(future.result(10) for future in futures)
    assert max(model.sizes) == 16


def test_batches_shrink_as_the_pictures_of_the_model_grow() -> None:
    """Two megapixels at once: nineteen frames of 512 x 208, two of 1,024 x 960 are."""
    model = Contrast(size=1024, width=960)
    line = WatchedTop()
    try:
        sizes: list[int] = []

        def answer(pictures: Pixels) -> Inferred:
            sizes.append(len(pictures))
            return model.answer(pictures)

        line.inference.serve("part", 1, answer)
        line.top.slot.put(model.event_model(1))
        futures = [line.top.handler.submit(a_record(number)) for number in range(1, 8)]
        line.pass_time(2)
        assert all(future.result(30) for future in futures)
        assert max(sizes) <= 2
        assert sum(sizes) == 7
    finally:
        line.top.close()


def test_the_room_in_hand_counts_prepared_bytes() -> None:
    """Encoded, seven plain pictures are nothing; prepared, each has as many bytes as the model has pixels."""
    model = Contrast(size=64, width=32)
    top = BenchTop(settings=ScorerSettings(instance="a", in_hand_bytes=5 * model.grid.pixels))
    try:
        top.put(1, model)
        top.inference.is_slow = True
        for number in range(1, 5):
            top.handler.submit(a_record(number))
        with pytest.raises(Backpressure, match="4 frames"):
            top.handler.submit(a_record(5))
        top.inference.is_slow = False
        top.inference.release()
        top.settle()
        assert top.handler.submit(a_record(5)).result(10)
    finally:
        top.close()
