"""One API for each test, and the command line over a real connection to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.cli import main
from steadyline.service import EXIT_OK
from tests.support.alerts_api import ApiUnderTest, an_api
from tests.support.served_api import Say, served


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiUnderTest]:
    with an_api(tmp_path) as api:
        yield api


@pytest.fixture
def address(api: ApiUnderTest) -> Iterator[str]:
    with served(api) as address:
        yield address


@pytest.fixture
def say(
    api: ApiUnderTest,
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Say:
    """Return a way to run ``steadyline alerts`` as an admin: it gives what was printed."""
    token = tmp_path / "token"
    token.write_text(api.secret("admin", days=400), encoding="utf-8")
    monkeypatch.setenv("STEADYLINE_ALERTS_URL", address)
    monkeypatch.setenv("STEADYLINE_ALERTS_TOKEN_FILE", str(token))

    def run(*words: str, status: int = EXIT_OK) -> str:
        capsys.readouterr()
        ended = main(["alerts", *words])
        captured = capsys.readouterr()
        assert ended == status, captured.err
        return captured.out + captured.err

    return run
