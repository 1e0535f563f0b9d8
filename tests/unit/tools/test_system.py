"""What is missing on a machine is named in one line, with what to do."""

from pathlib import Path

import pytest

from tools.setup import system
from tools.setup.command import SetUpFailed


def program(folder: Path, name: str, says: str = "") -> None:
    """Put a program on the path that prints something on stderr, as ``java -version`` does."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    path.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH but for a shell: no apt-get, no Java, nothing."""
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_one_line_says_what_to_install(path: Path) -> None:
    program(path, "mvn")
    with pytest.raises(SetUpFailed) as failure:
        system.provide()
    message = str(failure.value)
    assert message.startswith("please install Java 17 or newer, redis-server")
    assert "(Debian and Ubuntu: apt-get install openjdk-17-jre-headless redis-server" in message
    assert "Maven" not in message
    assert "\n" not in message


def test_an_old_java_counts_as_missing(path: Path) -> None:
    program(path, "java", 'openjdk version "11.0.21" 2023-10-17')
    assert system.java_version() == 11
    program(path, "java", 'openjdk version "21.0.5" 2024-10-15')
    assert system.java_version() == 21
    program(path, "java", 'openjdk version "1.8.0_392"')
    assert system.java_version() < system.JAVA


def test_nothing_is_installed_where_nothing_is_missing(path: Path) -> None:
    program(path, "java", 'openjdk version "17.0.15"')
    program(path, "mvn")
    program(path, "redis-server")
    system.provide()
