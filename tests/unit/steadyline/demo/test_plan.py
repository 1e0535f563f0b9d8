"""The demonstration's line file is one that a plant could have written."""

from pathlib import Path

import pytest

from steadyline.demo.plan import CAMERAS, PRODUCT, DemoPlan
from steadyline.line import DEFAULT_DETECTOR, load_line


@pytest.mark.parametrize(
    ("chosen", "detectors"),
    [
        ({}, DEFAULT_DETECTOR),
        ({"detector": "robust"}, "robust"),
        ({"detector": "robust", "map_detector": "certified"}, "robust+certified"),
    ],
)
def test_it_is_read_and_says_which_detectors_were_chosen(
    tmp_path: Path, chosen: dict[str, str], detectors: str
) -> None:
    plan = DemoPlan(tmp_path, **chosen)  # type: ignore[arg-type]
    plan.line_file.write_text(plan.line_yaml(64), encoding="utf-8")
    line = load_line(plan.line_file)
    assert line.products[PRODUCT].detectors == detectors
    assert line.products[PRODUCT].steps == plan.steps
    assert [camera.id for camera in line.cameras] == list(CAMERAS)
