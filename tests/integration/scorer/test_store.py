"""A store that takes nothing or hangs: scores that need evidence wait, nothing is lost, and it goes on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from steadyline.service import EXIT_OK
from tests.support.eventually import eventually
from tests.support.scorer_line import ScorerLine
from tests.support.stuck_store import STUCK, StuckFiles, made_known

pytestmark = pytest.mark.servers

SMALL, LARGE = "128k", "16m"  # 32 small files, and room for all


class FullDisk:
    """The store's folder as a disk that is soon full; a folder that is blocked where none may be mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blocked = folder / "evidence"
        folder.mkdir()
        self._is_mounted = self._mount(f"size={SMALL}")
        if not self._is_mounted:
            self._blocked.write_text("a file where the folder must be")
        self.complaint = "No space left on device" if self._is_mounted else "Not a directory"

    def make_room(self) -> None:
        """Let it take files again."""
        if self._is_mounted:
            assert self._mount(f"remount,size={LARGE}")
        else:
            self._blocked.unlink()

    def close(self) -> None:
        """Undo the mount."""
        if self._is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _mount(self, options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FullDisk]:
    """The disk under the store of ``floor``."""
    made = FullDisk(tmp_path / "store")
    yield made
    made.close()


def test_a_full_disk_holds_scores_until_there_is_room_and_loses_none(
    disk: FullDisk, floor: ScorerLine
) -> None:
    floor.put_in_service()
    scorer = floor.start("a")
    scorer.until_ready()
    floor.send(400)  # 80 defective ones: 160 files, and some of the sample
    eventually(lambda: scorer.metric("scorer_held_total", reason="store_unavailable") >= 20, 30)
    assert disk.complaint in scorer.text()
    floor.assert_audit_intact(in_flight=None)
    disk.make_room()
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert [path.name for path in disk.folder.rglob(".half-*")] == []
    assert "store_back" in scorer.text()
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()


@pytest.mark.parametrize("store_seconds", ["0.5", "600"], ids=["given up", "hanging"])
def test_a_store_that_hangs_is_told_and_keeps_no_scorer_from_ending(
    floor: ScorerLine, tmp_path: Path, store_seconds: str
) -> None:
    fsspec.register_implementation("stuck", StuckFiles, clobber=True)
    floor.write_line(floor.line_file.read_text().replace("file://./store", f"stuck://{tmp_path}/store"))
    environment = {**made_known(tmp_path / "known"), "SCORER_STOP_SECONDS": "2"}
    floor.put_in_service()
    scorer = floor.start("a", **environment, SCORER_STORE_SECONDS=store_seconds)
    floor.send(40)
    floor.until_accounted().assert_intact()
    stuck = tmp_path / "store" / STUCK
    stuck.touch()
    before = scorer.metric("scorer_frames_scored_total")
    floor.send(200)  # the frames before the first defective one of each camera need no evidence
    eventually(lambda: scorer.metric("scorer_frames_scored_total") >= before + 16, 20)
    if store_seconds == "0.5":
        eventually(lambda: scorer.readiness() == {"evidence": "store_unavailable"}, 30)
        assert "no answer within 0.5 s" in scorer.text()
    assert scorer.is_live()
    assert scorer.stop(within=15) == EXIT_OK
    assert "drain_incomplete" in scorer.text()

    stuck.unlink()
    again = floor.start("a", **environment)
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert again.stop() == EXIT_OK
    floor.assert_audit_intact()


def test_a_scorer_killed_between_evidence_and_commit_writes_the_same_evidence_again(
    floor: ScorerLine,
) -> None:
    floor.put_in_service()
    scorer = floor.start("a", SCORER_COMMIT_SECONDS="30")  # evidence at once, its transaction later
    scorer.until_ready()
    floor.send(40)
    eventually(lambda: scorer.metric("scorer_frames_scored_total") >= 40, 20)
    before = {key: floor.store.get(key) for key in floor.store.list("evidence")}
    assert before
    scorer.kill()
    assert floor.read() == 0
    again = floor.start("a")
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert {key: floor.store.get(key) for key in floor.store.list("evidence")} == before
    assert again.stop() == EXIT_OK
    floor.assert_audit_intact()
