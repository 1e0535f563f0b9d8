"""The rights of Redis' users: what is printed is what the page says."""

from pathlib import Path

import pytest

from steadyline.bank.rights import DUTIES, Duty, rights
from steadyline.cli import main
from steadyline.service import EXIT_OK

PAGE = Path(__file__).resolve().parents[3] / "docs" / "edges.md"


@pytest.mark.parametrize("duty", DUTIES)
def test_the_page_of_edges_has_the_rules(duty: Duty) -> None:
    assert f"user NAME on >PASSWORD {rights('LINE', duty)}\n" in PAGE.read_text(encoding="utf-8")


def test_they_are_printed_for_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "line.yaml"
    path.write_text("line: cells-1\nproducts:\n  tile: {}\n", encoding="utf-8")
    assert main(["bank", "acl", "--line", str(path)]) == EXIT_OK
    printed = capsys.readouterr().out.splitlines()
    rules = [line for line in printed if line.startswith("user ")]
    assert rules == [f"user NAME on >PASSWORD {rights('cells-1', duty)}" for duty in DUTIES]
