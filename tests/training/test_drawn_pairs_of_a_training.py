"""A training keeps the defects that it drew at the camera's pixels; the monitor says what the gate says."""

import uuid
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.contracts.model_event import Model
from steadyline.line import GateSection, PictureSection
from steadyline.package import MODEL, Packages
from steadyline.picture import encode_png
from steadyline.store import Store
from trainer.data.banks import BankStore
from trainer.data.normals import from_folder
from trainer.data.snapshot import make_snapshot
from trainer.jobs.build import BuildContext
from trainer.jobs.export import OnnxModel
from trainer.jobs.spec import JobFolder, JobResult, JobSpec
from trainer.jobs.worker import WorkerConnections, run_job
from trainer.monitor.native_rounds import NativeRounds

SIDE = 16


def restless(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Good pictures that differ as a whole far more than any small defect does at 16 x 16."""
    return np.kron(rng.integers(0, 256, (SIDE, SIDE), np.uint8), np.ones((8, 8), np.uint8))


class Trainings:
    """A store, and trainings of pictures that lie in a folder."""

    def __init__(self, work: Path) -> None:
        self.clock, self.store, self.work = ManualClock(), Store(f"memory://{uuid.uuid4().hex}"), work
        self.kept, self.packages = BankStore(self.store, "l"), Packages(self.store, "l")

    def train(self, count: int) -> tuple[JobResult, Model, OnnxModel]:
        """Return the outcome of a training, its model as events carry it, and its graph."""
        rng, folder = np.random.default_rng(0), self.work / "good"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:03}.png").write_bytes(encode_png(restless(rng)))
        uri, digest = self.kept.put_snapshot(
            "plate", make_snapshot(from_folder(folder, PictureSection(size=SIDE))).pack()
        )
        spec = JobSpec(
            product="plate", version=1, why="test", detector="certified", profile="cpu", steps=None,
            seed=0, size=SIDE, channels="gray", false_alarm_rate=0.1, gate=GateSection(steps=1),
            snapshot_uri=uri, snapshot_digest=digest, live=None, ordered_at=self.clock.now(),
        )  # fmt: skip
        jobs = JobFolder(self.work / "job")
        jobs.order(spec)
        at = WorkerConnections(self.kept, self.packages, MemoryBank(), self.clock, self.store)
        context = BuildContext(self.work, lambda phase, done, of: None, self.clock, "l")
        assert run_job(jobs, at, context)
        result = jobs.outcome(spec)
        assert isinstance(result, JobResult)
        files = self.packages.load("plate", 1, result.package)
        model = self.packages.card("plate", 1, files).model(result.package, "live", "test")
        return result, model, OnnxModel(files[MODEL])

    def watch(self, model: Model, run: OnnxModel) -> str | None:
        """Return what the monitor says once it has asked every pair."""
        rounds, verdict = NativeRounds(self.kept, "plate", self.clock), None
        for _ in range(int(model.figures["native_defects"]) // 32 + 1):
            pictures = rounds.pictures(model, 32)
            assert pictures is not None
            verdict = rounds.judge(model, run(pictures)[0], None)
        return verdict


@pytest.mark.timeout(900)  # a minute of computing, which a busy machine makes many of
def test_the_monitor_says_of_a_blind_version_what_the_gate_says(tmp_path: Path) -> None:
    trainings = Trainings(tmp_path)
    result, model, run = trainings.train(160)
    assert result.candidate.blind is not None
    assert trainings.watch(model, run) == f"sees_nothing: {result.candidate.blind}"
