"""A job from the order to its result, on the parts of a line that need no server."""

import shutil
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from types import FrameType

import pytest

from steadyline import picture
from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.line import GateSection
from steadyline.package import Packages, read_card
from steadyline.store import Store
from tests.support.parts import good_parts
from trainer.data.banks import BankStore
from trainer.data.drawn_pairs import DRAWN_PAIRS
from trainer.data.snapshot import NormalSource, make_snapshot
from trainer.jobs.build import BuildContext
from trainer.jobs.spec import JobFolder, JobResult, JobSpec, LivePackage
from trainer.jobs.worker import WorkerConnections, run_job
from trainer.progress import PHASES, Progress

SIDE = 32


class WorkerBench:
    """A store with a snapshot, and what a child tells while it carries out an order."""

    def __init__(self, work: Path) -> None:
        clock, store = ManualClock(), Store(f"memory://{uuid.uuid4().hex}")
        self.on_progress: list[Progress] = []
        self.work, self.jobs = work, JobFolder(work)
        kept, self._packages = BankStore(store, "line-1"), Packages(store, "line-1")
        self._at = WorkerConnections(kept, self._packages, MemoryBank(), clock, store)
        self._known_banks: tuple[str, ...] = ()
        self._clock = clock
        self._bench = BuildContext(work, self._hear, clock)
        parts = enumerate(good_parts(24, SIDE))
        packed = make_snapshot([(NormalSource(id=f"{i:02}", uri=""), part) for i, part in parts]).pack()
        self._uri, self._digest = kept.put_snapshot("plate", packed)

    def _hear(self, phase: str, done: int, of: int) -> None:
        self.on_progress.append(Progress(phase, done, of))

    def forget(self) -> None:
        """Lose the trainer's own folder, as another trainer has lost it that takes over."""
        shutil.rmtree(self.work)
        self.work.mkdir()

    def pass_time(self) -> None:
        """Let the next order be another one of the same training."""
        self._clock.advance(timedelta(seconds=1))

    def train(self, version: int, live: LivePackage | None) -> JobResult:
        self.on_progress.clear()
        spec = JobSpec(
            product="plate", version=version, why="test", detector="certified", profile="cpu", steps=None,
            seed=0, size=SIDE, channels="gray", false_alarm_rate=0.1, gate=GateSection(steps=1),
            snapshot_uri=self._uri, snapshot_digest=self._digest, live=live,
            known_banks=self._known_banks, ordered_at=self._clock.now(),
        )  # fmt: skip
        self.jobs.order(spec)
        assert run_job(self.jobs, self._at, self._bench)
        result = self.jobs.outcome(spec)
        assert isinstance(result, JobResult)
        card = read_card(self._packages.load("plate", version, result.package))
        assert DRAWN_PAIRS not in card.lineage, "no normal can be read as its camera took it"
        self._known_banks = (card.lineage["bank"],)
        return result


@contextmanager
def counted_decodes() -> Iterator[Counter[bytes]]:
    """Yield how often each encoded picture is decoded in this thread, counted by the interpreter itself."""
    counts: Counter[bytes] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code is picture.decode.__code__:
            counts[frame.f_locals["data"]] += 1

    sys.setprofile(note)
    try:
        yield counts
    finally:
        sys.setprofile(None)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> WorkerBench:
    return WorkerBench(tmp_path_factory.mktemp("work"))


def test_a_second_version_is_measured_beside_the_live_one_and_its_progress_never_runs_backwards(
    plant: WorkerBench,
) -> None:
    with counted_decodes() as decodes:
        first = plant.train(1, None)
    assert set(decodes.values()) == {1}, "no picture of the bank is decoded twice"
    assert (first.live, first.live_version) == (None, None)
    second = plant.train(2, LivePackage(version=1, package=first.package))
    assert (second.live, second.live_version) == (first.candidate, 1), "the same frames, the same figures"
    assert {progress.phase for progress in plant.on_progress} == set(PHASES) - {"bank"}, "the bank was there"
    ratios = [progress.ratio for progress in plant.on_progress]
    assert all(before <= after for before, after in pairwise(ratios))
    assert ratios[-1] == 1.0


def test_an_order_that_is_carried_out_again_takes_the_package_that_is_there(plant: WorkerBench) -> None:
    first = plant.train(1, None)
    plant.pass_time()
    again = plant.train(1, None)
    assert again.package == first.package
    assert again.notes == ["the package was there already"]


def test_a_package_in_the_store_that_the_trainer_did_not_write_is_trained_anew(plant: WorkerBench) -> None:
    """Whoever may write to the store knows the order's digest and could write a card that names it."""
    first = plant.train(1, None)
    plant.forget()
    again = plant.train(1, None)
    for name in ("model.onnx", "weights.safetensors"):
        assert again.package.digests[name] == first.package.digests[name], "the same order, the same model"
    assert again.notes != ["the package was there already"]
