"""Rank correlations of both kinds of evidence, from the files that plans keep."""

import os
from pathlib import Path

import pytest

from bench.ablations.evidence import candidates_of, correlations, pairs_of
from steadyline.errors import InvalidConfiguration
from steadyline.grid import Grid
from tests.support.candidates import a_measured_candidate as measured
from trainer.planner.measured import keep, kept_file


def test_the_newest_figures_of_each_candidate_are_read_and_those_without_defects_left_out(
    tmp_path: Path,
) -> None:
    kept = {
        "old": measured(auroc=0.5, real=0.6),
        "new": measured(auroc=0.7, real=0.8),
        "other": measured("either", auroc=0.9, real=0.9),
        "unlabelled": measured(grid=Grid.square(128)),
    }
    for age, (digest, one) in enumerate(kept.items()):
        path = kept_file(tmp_path, one.candidate, digest)
        keep(path, one)
        os.utime(path, (age, age))
    (tmp_path / "candidates" / "patch-broken.json").write_text("{")
    pairs = pairs_of(candidates_of("cell", tmp_path))
    assert pairs == {"either 64x64": (0.9, 0.9), "patch 64x64": (0.7, 0.8)}


def test_a_plan_without_known_defects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="no candidate there was measured on known"):
        candidates_of("cell", tmp_path)


def test_each_set_and_all_of_them_have_a_correlation() -> None:
    rising = {"a": (0.5, 0.7), "b": (0.6, 0.8), "c": (0.7, 0.9)}
    falling = {"a": (0.5, 0.6), "b": (0.6, 0.5), "c": (0.7, 0.4)}
    found = correlations({"rising": rising, "falling": falling})
    assert found["within rising"] == pytest.approx(1)
    assert found["within falling"] == pytest.approx(-1)
    assert found["over all"] == pytest.approx(0.0, abs=0.3)
    assert found["between sets, of the best candidate of each by pseudo-anomalies"] is None
