"""What a trainer and its child tell each other of a training, in files of their own."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from steadyline.contracts.model_event import Package
from steadyline.errors import StoreUnavailable
from steadyline.line import GateSection
from trainer.jobs.spec import Figures, JobFailure, JobFolder, JobResult, JobSpec, LivePackage
from trainer.progress import Progress

PACKAGE = Package(uri="memory://x/models/l/cell/3", digests={})
FIGURES = Figures(clean=0.9, attacked=0.8, corrupted=0.7, detection=0.9)
RESULT = JobResult(version=3, package=PACKAGE, candidate=FIGURES, live_version=None, live=None, notes=[])


def an_order(live: LivePackage | None = None, seed: int = 0) -> JobSpec:
    return JobSpec(
        product="cell", version=3, why="test", detector="cobra", profile="cpu", steps=None, seed=seed,
        size=32, channels="gray", false_alarm_rate=0.1, gate=GateSection(), snapshot_uri="memory://x",
        snapshot_digest="0" * 64, live=live, ordered_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip


@pytest.fixture
def jobs(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path / "cell")


def test_an_order_and_what_came_of_it_are_read_back(jobs: JobFolder) -> None:
    spec = an_order()
    jobs.order(spec)
    assert jobs.spec() == spec
    assert jobs.outcome(spec) is None
    jobs.finish(spec, RESULT)
    assert jobs.outcome(spec) == RESULT


def test_the_progress_of_an_order_is_its_own(jobs: JobFolder) -> None:
    spec, start = an_order(), Progress("start", 0, 0)
    assert jobs.progress(spec) == start
    jobs.order(spec)
    jobs.tell(spec, Progress("fit", 3, 10))
    assert jobs.progress(spec) == Progress("fit", 3, 10)
    assert jobs.progress(an_order(seed=1)) == start


def test_what_came_of_an_order_belongs_to_that_order_alone(jobs: JobFolder) -> None:
    failure = JobFailure(version=3, reason="normals", message="too few")
    jobs.fail(an_order(), failure)
    jobs.wrote(an_order(), PACKAGE)
    beside = an_order(LivePackage(version=2, package=PACKAGE))
    assert jobs.outcome(an_order()) == failure
    assert jobs.outcome(beside) is None, "measured beside another live model"
    assert jobs.package(beside) == PACKAGE, "and trained all the same"
    assert jobs.package(an_order(seed=1)) is None


@pytest.mark.parametrize("content", [b"{}", b"no json", b'{"order": 3}', b"\xff\xfe", b"[" * 9999])
def test_what_cannot_be_read_is_not_there(jobs: JobFolder, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cell").mkdir()
    for part in ("order", "outcome", "package"):
        (tmp_path / "cell" / f"{part}.json").write_bytes(content)
    assert jobs.spec() is None
    assert jobs.outcome(an_order()) is None
    assert jobs.package(an_order()) is None


def test_a_folder_that_cannot_be_written_is_a_transient_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"where a folder is due")
    with pytest.raises(StoreUnavailable, match=r"order\.json cannot be written"):
        JobFolder(tmp_path / "file").order(an_order())
