"""The bench of shift: which cells are held, and a station's part in them, on a model of numbers."""

from pathlib import Path

import numpy as np
import pytest

from bench.shift.cells import Cell, cells_of, is_held, share_held
from bench.shift.cli import main
from bench.shift.measure import draw_pictures, rates
from bench.shift.report import cell_table, headline, held, markdown
from steadyline.service import EXIT_USAGE

CLEAN = {"false_alarms": 0.05, "recall": 0.8, "auroc": 0.9, "stations": []}


def found(false_alarms: float, recall: float) -> dict[str, float]:
    return {"false_alarms": false_alarms, "recall": recall}


@pytest.mark.parametrize(
    ("severity", "false_alarms", "recall", "expected"),
    [
        (1, 0.10, 0.75, True),
        (1, 0.11, 0.80, False),
        (2, 0.11, 0.80, True),
        (3, 0.25, 0.90, True),
        (3, 0.26, 0.90, False),
        (2, 0.00, 0.74, False),
    ],
)
def test_a_cell_is_held_by_false_alarms_and_by_recall(
    severity: int, false_alarms: float, recall: float, expected: bool
) -> None:
    cell = next(one for one in cells_of(1, ["exposure"]) if one.severity == severity)
    assert is_held(cell, found(false_alarms, recall), CLEAN, rate=0.05) is expected


def test_the_one_number_is_the_share_of_cells_held() -> None:
    cells = cells_of(1, ["exposure"])
    figures = [found(0.05, 0.8), found(0.9, 0.8), found(0.05, 0.2)]
    assert share_held(list(zip(cells, figures, strict=True)), CLEAN, 0.05) == pytest.approx(1 / 3)


def test_gray_pictures_have_no_white_balance_and_all_else_three_severities() -> None:
    assert len(cells_of(1)) == 14 * 3
    assert len(cells_of(3)) == 15 * 3
    assert cells_of(1, ["jpeg"]) == [Cell("jpeg", 1), Cell("jpeg", 2), Cell("jpeg", 3)]


def test_a_station_is_drawn_alike_for_each_model_and_its_pictures_are_not_judged() -> None:
    anomalous = np.arange(40) >= 20
    drawn = draw_pictures(anomalous, 8, 4, turn=0)
    np.testing.assert_array_equal(drawn, draw_pictures(anomalous, 8, 4, turn=0))
    assert anomalous[drawn].sum() == 4
    scores = np.where(anomalous, 1.0, 0.0)
    scores[drawn] = 1 - scores[drawn]
    others = np.setdiff1d(np.arange(40), drawn)
    assert rates(scores, anomalous, 0.5, others) == {"false_alarms": 0.0, "recall": 1.0}


def test_more_defective_pictures_than_a_station_has_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data", f"a={tmp_path}", "--model", f"b={tmp_path}", "--out", str(tmp_path / "out")]
    assert main([*where, "--station-defective", "9"]) == EXIT_USAGE
    assert "a station has 8 pictures" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_page_shows_the_number_with_and_without_stations_and_each_cell() -> None:
    stations = [
        {"kind": "affine", "defective": 0, **found(0.04, 0.8)},
        {"kind": "none", "defective": 4, **found(0.6, 0.8)},
    ]
    cells = {"none": CLEAN, "exposure-1": {**found(0.9, 0.9), "auroc": 0.88, "stations": stations}}
    row = {
        "data": "elpv", "model": "robust", "rate": 0.05, "threshold": 0.4, "normals": 89,
        "source": "test-good", "cells": cells,
    }  # fmt: skip
    assert (held(row), held(row, 0), held(row, 4)) == (0, 1, 0)
    assert headline([row])[1] == ["elpv", "robust", "1", "0.000", "1.000", "0.000"]
    assert [
        "exposure-1",
        "0.90 / 0.90 / 0.880",
        "no",
        "0 bad: affine x 1",
        "0.04 / 0.80",
        "yes",
    ] in cell_table(row)
    assert "| elpv | robust | 1 | 0.000 | 1.000 | 0.000 |" in markdown([row], "python -m bench.shift")
