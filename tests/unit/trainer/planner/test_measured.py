"""Figures of candidates are kept as they are, and what cannot be read is measured again."""

import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from steadyline.grid import Grid
from tests.support.candidates import a_measured_candidate
from trainer.planner.line_block import line_block
from trainer.planner.measured import keep, kept_file, rank_correlation, read_kept
from trainer.planner.page import rows_of


def test_kept_figures_come_back_as_they_were(tmp_path: Path) -> None:
    figures = replace(a_measured_candidate("robust&certified", Grid(64, 96), real=0.8), proven=0.3)
    path = kept_file(tmp_path, figures.candidate, "0" * 64)
    keep(path, figures)
    assert read_kept(path) == figures
    assert path.name == "robust_certified-64x96-000000000000.json"


def test_a_damaged_or_missing_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert read_kept(path) is None
    for text in ("{", "[]", "{}", '{"candidate": ["patch", "64x64"], "evidence": [], "else": 1}'):
        path.write_text(text)
        assert read_kept(path) is None


def test_the_rank_correlation_is_of_ranks_and_needs_three() -> None:
    assert rank_correlation({"a": (0.1, 5), "b": (0.2, 6), "c": (0.3, 90)}) == pytest.approx(1)
    assert rank_correlation({"a": (0.1, 9), "b": (0.2, 6), "c": (0.3, 1)}) == pytest.approx(-1)
    assert rank_correlation({"a": (1, 1), "b": (1, 2), "c": (2, 3), "d": (3, 3)}) == pytest.approx(8 / 9)
    assert rank_correlation({"a": (0.1, 5), "b": (0.2, 6)}) is None
    assert rank_correlation({"a": (1, 5), "b": (1, 6), "c": (1, 7)}) is None


def test_a_row_tells_a_blind_candidate_and_what_is_not_known() -> None:
    row = rows_of([a_measured_candidate(raised=0.5)])[0]
    assert row[-1] == "sees next to nothing"
    assert row[5] == "-"
    assert row[11] == "-"


def test_the_block_names_grid_detector_and_folder(tmp_path: Path) -> None:
    text = line_block("cell", a_measured_candidate(grid=Grid(64, 96)), tmp_path, "rgb", 0.02)
    assert "    picture: {grid: 64x96, channels: rgb}\n    detector: patch\n" in text
    assert f'    normals: "{tmp_path}"' in text


def test_the_commands_in_the_block_make_the_choice_of_the_plan(tmp_path: Path) -> None:
    folder = tmp_path / "good parts"
    folder.mkdir()
    text = line_block("cell", a_measured_candidate(grid=Grid(64, 96)), folder, "rgb", 0.02)
    commands = [line.partition(": ")[2] for line in text.splitlines() if line.startswith("# ")]
    for command, program in zip(commands, ("init", "fit"), strict=True):
        words = shlex.split(command)
        assert program in words
        given = dict(pairwise(words))
        assert (given["--product"], given["--detector"]) == ("cell", "patch")
        assert (given["--grid"], given["--channels"]) == ("64x96", "rgb")
        assert str(folder) in words


def test_the_block_of_what_sees_next_to_nothing_says_so(tmp_path: Path) -> None:
    text = line_block("cell", a_measured_candidate(raised=0.5), tmp_path, "gray", 0.02)
    assert "  cell:\n    # sees next to nothing, see plan.html: " in text
