"""The command says which release it is."""

import re

import pytest

from steadyline.cli.app import main, program_for
from steadyline.service import EXIT_OK


def test_the_version_is_printed_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == EXIT_OK
    assert re.fullmatch(r"steadyline \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


def test_a_process_that_runs_a_verb_again_mounts_it_once() -> None:
    """Mounted each time in one program, a verb took as long again as all the runs before it."""
    first, again = program_for(["topics"]), program_for(["topics"])
    assert first is not again
    assert len(again.registered_groups) + len(again.registered_commands) == 1
