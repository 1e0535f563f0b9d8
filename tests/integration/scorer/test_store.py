"""A store that takes nothing: scores that need evidence wait, nothing is lost, and it goes on by itself."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.lifecycle import EXIT_OK
from tests.integration.scorer.floor import Floor
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers


class SmallDisk:
    """A file system in memory of a given size on ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, size: str, *options: str) -> bool:
        """Mount it; False where that is not allowed."""
        self.folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", ",".join((f"size={size}", *options)), "tmpfs"]
        return subprocess.run([*command, str(self.folder)], capture_output=True).returncode == 0

    @property
    def free(self) -> int:
        """Free bytes."""
        return shutil.disk_usage(self.folder).free


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """The store's folder of ``floor`` as a disk of 128 KiB: 32 small files."""
    made = SmallDisk(tmp_path / "store")
    if not made.mount("128k"):
        pytest.skip("only root may mount a file system: the test with a blocked folder stands in")
    yield made
    subprocess.run(["umount", "--lazy", str(made.folder)], check=True)


def test_a_full_disk_holds_scores_until_there_is_room_and_loses_none(disk: SmallDisk, floor: Floor) -> None:
    floor.put_in_service()
    scorer = floor.start("a")
    scorer.until_ready()
    floor.send(400)  # 80 defective ones: 160 files, and some of the sample
    eventually(lambda: scorer.metric("scorer_held_total", reason="store_unavailable") >= 20, 30)
    assert disk.free == 0
    assert "No space left on device" in scorer.text()
    assert floor.read() < 400
    floor.assert_audit_intact(in_flight=400 - floor.read())
    assert disk.mount("16m", "remount")
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert [path.name for path in disk.folder.rglob(".half-*")] == []
    assert "store_back" in scorer.text()
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()


def test_a_blocked_folder_holds_scores_until_it_takes_evidence_again(floor: Floor) -> None:
    floor.put_in_service()
    scorer = floor.start("a")
    scorer.until_ready()
    blocked = floor.home / "store" / "evidence"
    blocked.write_text("a file where the folder must be: nothing can be written below it")
    floor.send(60)
    eventually(lambda: scorer.metric("scorer_held_total", reason="store_unavailable") > 0, 20)
    assert [score for score in floor.scores() if score.verdict == "anomalous"] == []
    blocked.unlink()
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()


def test_a_scorer_killed_between_evidence_and_commit_writes_the_same_evidence_again(floor: Floor) -> None:
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
