"""Pictures that are no squares, through the scorer and Triton to scores on the topic."""

import pytest

from steadyline.map_png import decode_map
from steadyline.picture import encode_png
from steadyline.service import EXIT_OK
from tests.support.eventually import eventually
from tests.support.models import Contrast, a_defective_picture
from tests.support.scorer_line import ScorerLine

pytestmark = pytest.mark.servers


def test_a_model_of_another_grid_than_the_line_file_says_scores_its_frames(floor: ScorerLine) -> None:
    wide = Contrast(size=16, width=64)
    floor.serve(1, wide)
    floor.announce(1, wide)
    scorer = floor.start("a")
    floor.send_picture(floor.cameras[0], encode_png(a_defective_picture(wide.grid, cell=11)))
    floor.send_picture(floor.cameras[0], encode_png(a_defective_picture(32)))
    floor.until_accounted().assert_intact()
    first = floor.scores()[0]
    assert first.verdict == "anomalous"
    assert (first.peak.x, first.peak.y) == (3.5 / 8, 1.5 / 2)
    assert decode_map(floor.store.get(first.map_uri or "")).shape == (2, 8)
    eventually(lambda: scorer.said("frames_distorted"), 20)
    assert scorer.stop() == EXIT_OK
