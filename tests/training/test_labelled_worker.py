"""A job measures both models on the frames that people judged, and bgad learns from their defects."""

import uuid
from pathlib import Path

import numpy as np
import pytest

from steadyline.bank.memory import MemoryBank
from steadyline.clock import ManualClock
from steadyline.line import GateSection
from steadyline.package import Packages
from steadyline.store import Store
from tests.support.parts import defective_parts, good_parts
from trainer.data.banks import BankStore
from trainer.data.labelled_frames import LabelledFrames, LabelledSource
from trainer.data.snapshot import NormalSource, make_snapshot
from trainer.detectors.registry import learns_from_defects
from trainer.jobs.build import BuildContext
from trainer.jobs.labelled_figures import labelled_figures
from trainer.jobs.spec import JobFolder, JobResult, JobSpec, LivePackage
from trainer.jobs.worker import WorkerConnections, run_job

SIDE = 32


def some_labelled() -> LabelledFrames:
    defects, goods = defective_parts(3, SIDE, seed=5)[0], good_parts(2, SIDE, seed=6)
    rows = [("defect", picture) for picture in defects] + [("good", picture) for picture in goods]
    frames = LabelledFrames.of(
        [
            (LabelledSource(frame=f"c1/7/{n}", camera="c1", label=label), picture)
            for n, (label, picture) in enumerate(rows, 1)
        ]
    )
    assert frames is not None
    return frames


def test_candidate_and_live_model_are_measured_on_the_labelled_frames(tmp_path: Path) -> None:
    clock, store = ManualClock(), Store(f"memory://{uuid.uuid4().hex}")
    kept = BankStore(store, "line-1")
    parts = enumerate(good_parts(24, SIDE))
    snapshot = make_snapshot([(NormalSource(id=f"{i:02}", uri=""), part) for i, part in parts])
    uri, digest = kept.put_snapshot("plate", snapshot.pack())
    _, labelled = kept.put_snapshot("plate", some_labelled().pack())
    jobs, packages = JobFolder(tmp_path), Packages(store, "line-1")
    at = WorkerConnections(kept, packages, MemoryBank(), clock, store)

    def train(version: int, live: LivePackage | None) -> JobResult:
        spec = JobSpec(
            product="plate", version=version, why="test", detector="certified", profile="cpu", steps=None,
            seed=0, size=SIDE, channels="gray", false_alarm_rate=0.1, gate=GateSection(steps=1),
            snapshot_uri=uri, snapshot_digest=digest, labelled_digest=labelled, live=live,
            ordered_at=clock.now(),
        )  # fmt: skip
        jobs.order(spec)
        assert run_job(jobs, at, BuildContext(tmp_path, lambda phase, done, of: None, clock))
        result = jobs.outcome(spec)
        assert isinstance(result, JobResult)
        return result

    first = train(1, None).labelled
    assert first is not None
    assert (first.defects, first.goods, first.live_found, first.lost) == (3, 2, None, [])
    assert first.candidate_found == 3
    package = train(1, None).package
    second = train(2, LivePackage(version=1, package=package)).labelled
    assert second is not None
    assert (second.live_found, second.live_alarms) == (second.candidate_found, second.candidate_alarms)


def test_a_defect_that_only_the_live_model_finds_is_lost_whatever_else_is_found() -> None:
    candidate = np.array([True, False, True, False, True])
    live = np.array([False, True, True, True, False])
    found = labelled_figures(some_labelled(), candidate, live)
    assert found.lost == ["c1/7/2"]
    assert (found.candidate_found, found.live_found) == (2, 2)
    assert (found.candidate_alarms, found.live_alarms) == (1, 1)


@pytest.mark.parametrize(
    ("detector", "learns"), [("bgad", True), ("robust+bgad", True), ("robust", False), ("cobra+daf", False)]
)
def test_only_detectors_that_use_known_defects_are_given_them(detector: str, learns: bool) -> None:
    assert learns_from_defects(detector) is learns
