"""The command line says what is wrong and hides what is secret."""

from pathlib import Path

import pytest

from producers.cli import main
from steadyline.service import EXIT_OK, EXIT_USAGE


def test_config_prints_the_effective_settings_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRODUCERS_RTSP_PASSWORD", "hunter2")
    monkeypatch.setenv("PRODUCERS_QUEUE_FRAMES", "7")
    assert main(["config"]) == EXIT_OK
    printed = capsys.readouterr().out
    assert "PRODUCERS_QUEUE_FRAMES=7" in printed
    assert "PRODUCERS_RTSP_PASSWORD=**********" in printed
    assert "hunter2" not in printed


def test_a_missing_line_file_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--line", str(tmp_path / "gone.yaml")]) == EXIT_USAGE
    assert "gone.yaml" in capsys.readouterr().err


def test_a_wrong_setting_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRODUCERS_SPOOL_BYTES", "lots")
    assert main(["config"]) == EXIT_USAGE
    assert "PRODUCERS_SPOOL_BYTES" in capsys.readouterr().err
