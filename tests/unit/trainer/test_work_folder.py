"""A work folder has one trainer at a time, which takes its name up again when it is started anew."""

from pathlib import Path

import pytest

from steadyline.errors import InvalidConfiguration
from trainer.app import held_work_folder
from trainer.data.sampling_key import NAME, sampling_key


def refusal(work: Path) -> str:
    """Return why a folder is refused to a second trainer."""
    with pytest.raises(InvalidConfiguration) as refused, held_work_folder(work):
        pass
    return str(refused.value)


def test_a_folder_that_another_trainer_uses_is_refused(tmp_path: Path) -> None:
    with held_work_folder(tmp_path):
        assert refusal(tmp_path) == f"another trainer uses TRAINER_WORK={tmp_path}"


def test_a_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    work = tmp_path / "file" / "work"
    assert refusal(work) == f"TRAINER_WORK={work} cannot be used: Not a directory"


def test_a_trainer_keeps_its_name_in_its_folder_and_has_it_again(tmp_path: Path) -> None:
    with held_work_folder(tmp_path) as name:
        pass
    with held_work_folder(tmp_path) as again:
        assert again == name
    assert (tmp_path / "owner").read_text() == name


def test_the_key_of_the_sample_is_made_once_is_read_by_its_owner_alone_and_differs_elsewhere(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    key = sampling_key(first)
    assert (len(key), sampling_key(first)) == (32, key)
    assert sampling_key(second) != key
    assert (first / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"00", b"\xff" * 64, b"zz" * 32])
def test_a_key_that_was_damaged_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(InvalidConfiguration, match="remove it"):
        sampling_key(tmp_path)
