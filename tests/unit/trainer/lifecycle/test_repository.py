"""The model repository never holds half a version, and never a third one."""

from pathlib import Path

import pytest

from steadyline.digest import sha256
from steadyline.errors import InvalidConfiguration, StoreUnavailable
from trainer.lifecycle.repository import ModelRepository


def files(word: bytes) -> dict[str, bytes]:
    return {"model.onnx": word, "config.pbtxt": b'name: "cell"'}


def test_a_version_appears_with_its_configuration(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path)
    repository.publish("cell", 1, files(b"one"), keep=None)
    assert (tmp_path / "cell" / "1" / "model.onnx").read_bytes() == b"one"
    assert (tmp_path / "cell" / "config.pbtxt").read_bytes() == b'name: "cell"'
    assert repository.versions("cell") == [1]


def test_only_the_live_version_and_the_new_one_are_there(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path)
    for version, live in ((1, None), (2, 1), (3, 2)):
        repository.publish("cell", version, files(b"x"), keep=live)
    assert repository.versions("cell") == [2, 3]
    repository.publish("cell", 4, files(b"x"), keep=2)  # after a rollback from 3 to 2
    assert repository.versions("cell") == [2, 4]


def test_files_that_were_changed_are_replaced_and_known_for_it(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path)
    repository.publish("cell", 1, files(b"one"), keep=None)
    digests = {name: sha256(data) for name, data in files(b"one").items()}
    assert repository.holds("cell", 1, digests)
    (tmp_path / "cell" / "1" / "model.onnx").write_bytes(b"other")
    assert not repository.holds("cell", 1, digests)
    repository.publish("cell", 1, files(b"one"), keep=None)
    assert repository.holds("cell", 1, digests)
    (tmp_path / "cell" / "config.pbtxt").unlink()
    assert not repository.holds("cell", 1, digests)
    assert not repository.holds("cell", 2, digests)


def test_a_writing_that_was_cut_short_is_no_version_and_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "cell" / ".tmp1").mkdir(parents=True)
    (tmp_path / "cell" / ".tmp1" / "model.onnx").write_bytes(b"hal")
    repository = ModelRepository(tmp_path)
    assert repository.versions("cell") == []
    repository.publish("cell", 1, files(b"whole"), keep=None)
    assert (tmp_path / "cell" / "1" / "model.onnx").read_bytes() == b"whole"
    assert not (tmp_path / "cell" / ".tmp1").exists()


def test_a_removed_version_is_gone_and_removing_it_again_is_fine(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path)
    repository.publish("cell", 1, files(b"x"), keep=None)
    repository.remove("cell", 1)
    repository.remove("cell", 1)
    assert repository.versions("cell") == []


def test_a_folder_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="TRITON_REPOSITORY"):
        ModelRepository(tmp_path / "nowhere").verify()


def test_a_disk_that_refuses_is_a_transient_error(tmp_path: Path) -> None:
    (tmp_path / "cell").write_bytes(b"a file where a folder is due")
    with pytest.raises(StoreUnavailable, match="version 1 of cell"):
        ModelRepository(tmp_path).publish("cell", 1, files(b"x"), keep=None)
