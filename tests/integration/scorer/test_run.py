"""One scorer as a process over real servers: start, work, stop."""

import pytest

from steadyline.lifecycle import EXIT_OK
from tests.integration.scorer.floor import Floor
from tests.support.models import Contrast

pytestmark = pytest.mark.servers


def test_every_frame_is_scored_once_in_order_with_its_evidence(floor: Floor) -> None:
    model = Contrast()
    floor.serve(1, model)
    floor.announce(1, model)
    scorer = floor.start("a")
    scorer.until_ready()
    floor.send(200)
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({1: 1.0})
    assert scorer.stop() == EXIT_OK
