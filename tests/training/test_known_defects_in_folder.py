"""A fit on a folder takes known defects along: into the training, its card and what a person is told."""

from pathlib import Path

import pytest
import torch

from steadyline.clock import SystemClock
from steadyline.grid import Grid
from steadyline.picture import encode_png
from tests.support.parts import a_set_of_parts, defective_parts, good_parts
from trainer.arrays import KnownDefects
from trainer.data.known_defects import known_digest, read_known_defects
from trainer.data.mvtec import Preparation
from trainer.fit import FitSettings, fit
from trainer.folder import FolderOrder, fit_folder
from trainer.jobs.build import BuildContext


def test_the_card_names_them_and_a_detector_that_has_no_use_for_them_says_so(tmp_path: Path) -> None:
    a_set_of_parts(tmp_path / "parts")
    marked = tmp_path / "marked"
    marked.mkdir()
    (marked / "click.png").write_bytes(encode_png(defective_parts(1)[0][0, ..., 0]))
    order = FolderOrder(
        data=tmp_path / "parts",
        out=tmp_path / "model",
        product="plate",
        detector="cobra",
        profile="cpu",
        steps=2,
        seed=0,
        grid=Grid.square(32),
        channels="gray",
        false_alarm_rate=0.1,
        overrides={"schedule.batch": 4, "schedule.attack_steps": 1, "shape.width": 8},
        known_defects=marked,
    )
    bench = BuildContext(tmp_path, lambda phase, done, of: None, SystemClock())
    card, notes = fit_folder(order, bench)
    read = read_known_defects(marked, Preparation(Grid.square(32), "gray"))
    assert card.lineage["known_defects"] == known_digest(read)
    assert "cobra makes no use of known defects; bgad does" in notes


def test_they_reach_a_detector_that_uses_them() -> None:
    torch.set_num_threads(1)
    parts, masks = defective_parts(2, 64)
    settings = FitSettings("bgad", steps=1, known_defects=KnownDefects(parts, (masks[0], None)))
    trained, _ = fit(good_parts(16, 64), settings, lambda step, total, message: None)
    assert trained.figures["known_defects"] == pytest.approx(2)


def test_a_mask_is_part_of_what_names_them() -> None:
    parts, masks = defective_parts(1)
    with_mask, without = KnownDefects(parts, (masks[0],)), KnownDefects(parts, (None,))
    assert known_digest(with_mask) != known_digest(without)
    assert known_digest(with_mask) == known_digest(KnownDefects(parts.copy(), (masks[0].copy(),)))
