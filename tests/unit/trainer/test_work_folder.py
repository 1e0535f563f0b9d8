"""A work folder has one trainer at a time, which takes its name up again when it is started anew."""

from pathlib import Path

import pytest

from steadyline.errors import InvalidConfiguration
from trainer.app import held_work_folder


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
