"""Orders on the command line are refused before anything is written when they cannot be one."""

from pathlib import Path

import pytest

from steadyline.cli.app import main
from steadyline.service import EXIT_USAGE


def test_a_reason_that_no_history_can_keep_is_refused_with_its_limit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = main(["models", "retrain", "cell", "--line", str(Path("docs/line.yaml")), "--why", "w" * 501])
    assert status == EXIT_USAGE
    assert "--why has 501 characters: 500 is the most" in capsys.readouterr().err
