"""The command says which release it is."""

import re

import pytest

from steadyline.cli.app import main
from steadyline.service import EXIT_OK


def test_the_version_is_printed_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == EXIT_OK
    assert re.fullmatch(r"steadyline \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)
