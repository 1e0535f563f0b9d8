"""The model repository never holds half a version, and never a third one."""

from pathlib import Path

import pytest

from steadyline.errors import InvalidConfiguration, StoreUnavailable
from steadyline.folder_lock import FolderLock
from steadyline.model_folder import FENCE
from trainer.lifecycle.leases import LeaseLost
from trainer.lifecycle.repository import ModelRepository, verify_repository

CONFIG = b'name: "cell"'


def test_a_version_appears_with_its_configuration(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path)
    repository.publish("cell", 1, b"one", CONFIG, keep=None)
    assert (tmp_path / "cell" / "1" / "model.onnx").read_bytes() == b"one"
    assert (tmp_path / "cell" / "config.pbtxt").read_bytes() == b'name: "cell"'
    assert repository.versions("cell") == [1]


def test_only_the_live_version_and_the_new_one_are_there(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path)
    for version, live in ((1, None), (2, 1), (3, 2)):
        repository.publish("cell", version, b"x", CONFIG, keep=live)
    assert repository.versions("cell") == [2, 3]
    repository.publish("cell", 4, b"x", CONFIG, keep=2)  # after a rollback from 3 to 2
    assert repository.versions("cell") == [2, 4]


def test_files_that_were_changed_are_replaced(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path)
    repository.publish("cell", 1, b"one", CONFIG, keep=None)
    (tmp_path / "cell" / "1" / "model.onnx").write_bytes(b"other")
    (tmp_path / "cell" / "config.pbtxt").write_bytes(b'backend: "python"')
    assert repository.model_file("cell", 1) == b"other"
    repository.publish("cell", 1, b"one", CONFIG, keep=None)
    assert repository.model_file("cell", 1) == b"one"
    assert (tmp_path / "cell" / "config.pbtxt").read_bytes() == CONFIG
    assert repository.model_file("cell", 2) is None


def test_a_writing_that_was_cut_short_is_no_version_and_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "cell" / ".tmp1").mkdir(parents=True)
    (tmp_path / "cell" / ".tmp1" / "model.onnx").write_bytes(b"hal")
    repository = ModelRepository(tmp_path)
    assert repository.versions("cell") == []
    repository.publish("cell", 1, b"whole", CONFIG, keep=None)
    assert (tmp_path / "cell" / "1" / "model.onnx").read_bytes() == b"whole"
    assert not (tmp_path / "cell" / ".tmp1").exists()


def test_a_version_that_was_set_aside_comes_back_by_itself_and_is_no_version_until_then(
    tmp_path: Path,
) -> None:
    repository = ModelRepository(tmp_path)
    repository.publish("cell", 1, b"one", CONFIG, keep=None)
    for _ in range(2):  # a trainer that was cut short does it again
        repository.set_aside("cell", 1)
        assert repository.versions("cell") == []
        assert repository.model_file("cell", 1) == b"one"
    repository.publish("cell", 2, b"two", CONFIG, keep=None)
    repository.remove("cell", 2)
    repository.publish("cell", 1, b"one", CONFIG, keep=None)
    assert repository.versions("cell") == [1]
    assert not (tmp_path / "cell" / ".aside1").exists()


def test_one_version_at_most_lies_aside_and_none_beside_the_live_one(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path)
    for version in (1, 2):
        repository.publish("cell", version, b"x", CONFIG, keep=None)
        repository.set_aside("cell", version)
    assert [repository.model_file("cell", version) for version in (1, 2)] == [None, b"x"]
    repository.publish("cell", 3, b"x", CONFIG, keep=None)
    repository.publish("cell", 4, b"x", CONFIG, keep=3)
    assert repository.model_file("cell", 2) is None


def test_what_lies_aside_is_a_plain_file_or_nothing(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    repository = ModelRepository(tmp_path)
    repository.publish("cell", 1, b"one", CONFIG, keep=None)
    (tmp_path / "cell" / ".aside1").symlink_to(elsewhere)
    (tmp_path / "cell" / ".aside2").mkdir()
    repository.set_aside("cell", 1)
    assert elsewhere.read_bytes() == b"theirs"
    assert repository.model_file("cell", 1) == b"one"
    assert not (tmp_path / "cell" / ".aside2").exists()


def test_a_removed_version_is_gone_and_removing_it_again_is_fine(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path)
    repository.publish("cell", 1, b"x", CONFIG, keep=None)
    repository.remove("cell", 1)
    repository.remove("cell", 1)
    assert repository.versions("cell") == []


def test_a_folder_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="TRITON_REPOSITORY"):
        verify_repository(tmp_path / "nowhere")


def test_a_disk_that_refuses_is_a_transient_error(tmp_path: Path) -> None:
    (tmp_path / "cell").write_bytes(b"a file where a folder is due")
    with pytest.raises(StoreUnavailable, match="version 1 of cell"):
        ModelRepository(tmp_path).publish("cell", 1, b"x", CONFIG, keep=None)


def test_a_trainer_whose_product_was_taken_over_writes_nothing_more(tmp_path: Path) -> None:
    tokens = {"old": 4}
    old, new = ModelRepository(tmp_path, lambda *_: tokens["old"]), ModelRepository(tmp_path, lambda *_: 5)
    old.publish("cell", 1, b"one", CONFIG, keep=None)
    old.publish("cell", 2, b"two", CONFIG, keep=1)
    new.publish("cell", 3, b"three", CONFIG, keep=2)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name == "model.onnx"}
    with pytest.raises(LeaseLost, match="a trainer that took cell over has written there"):
        old.publish("cell", 4, b"four", CONFIG, keep=1)
    with pytest.raises(LeaseLost):
        old.remove("cell", 3)
    with pytest.raises(LeaseLost):
        old.touch("cell", 3)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert old.versions("cell") == [2, 3]
    tokens["old"] = 6  # it has taken the lease again
    old.publish("cell", 4, b"four", CONFIG, keep=3)
    assert old.versions("cell") == [3, 4]


def test_a_write_waits_while_another_trainer_is_in_the_middle_of_one(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path, lambda *_: 7)
    with FolderLock(tmp_path / "cell", FENCE), pytest.raises(StoreUnavailable, match="is writing there"):
        repository.publish("cell", 1, b"one", CONFIG, keep=None)
    repository.publish("cell", 1, b"one", CONFIG, keep=None)


def test_a_fence_that_was_damaged_is_made_anew(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path, lambda *_: 7)
    (tmp_path / "cell").mkdir()
    (tmp_path / "cell" / FENCE).write_bytes(b"-3 \xff"[:2])
    repository.publish("cell", 1, b"one", CONFIG, keep=None)
    assert (tmp_path / "cell" / FENCE).read_text() == "7"
