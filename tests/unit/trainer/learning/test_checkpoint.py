"""A checkpoint is whole or it is not there."""

from pathlib import Path

import pytest
import torch

from trainer.learning.checkpoint import Checkpoint, Checkpoints


def a_checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step, {"weights": torch.full((3,), float(step))}, {"losses": [0.5]})


def test_the_newest_comes_back(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, "key")
    kept.write(a_checkpoint(1))
    kept.write(a_checkpoint(2))
    found = kept.newest()
    assert found is not None
    assert found.step == 2
    assert found.notes == {"losses": [0.5]}
    torch.testing.assert_close(found.tensors["weights"], torch.full((3,), 2.0))
    assert len(list(tmp_path.iterdir())) == 2


def test_one_of_another_training_is_not_resumed(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "key").write(a_checkpoint(1))
    assert Checkpoints(tmp_path, "another").newest() is None


def test_without_one_there_is_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "nowhere", "key").newest() is None


@pytest.mark.parametrize("harm", ["truncated", "missing", "half a head"])
def test_a_damaged_one_is_none(tmp_path: Path, harm: str) -> None:
    kept = Checkpoints(tmp_path, "key")
    kept.write(a_checkpoint(1))
    tensors = tmp_path / "step-1.safetensors"
    if harm == "truncated":
        tensors.write_bytes(tensors.read_bytes()[:-1])
    elif harm == "missing":
        tensors.unlink()
    else:
        (tmp_path / "checkpoint.json").write_text('{"key": "key"')
    assert kept.newest() is None


def test_a_kill_between_tensors_and_head_leaves_the_one_before(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, "key")
    kept.write(a_checkpoint(1))
    (tmp_path / "step-2.safetensors").write_bytes(b"whole, but not named by the head yet")
    (tmp_path / ".checkpoint.json.partial").write_text("{")
    found = kept.newest()
    assert found is not None
    assert found.step == 1
