"""A product with one detector for the verdict and another for the map, on real servers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from steadyline.inference import ModelRef
from steadyline.package import FILES, read_card
from steadyline.probe import probe
from steadyline.servers import LocalStack
from tests.support.parts import defective_parts, good_parts
from tests.support.trainer_line import SIZE, Orders, TrainerLine
from trainer.detectors.pair.served import PairServed
from trainer.jobs.gate_figures import rebuilt

pytestmark = pytest.mark.servers


def test_a_pair_that_was_trained_on_the_line_answers_verdict_and_map_in_one_request(
    breakable: LocalStack, tmp_path: Path
) -> None:
    factory = TrainerLine(tmp_path, breakable.addresses)
    try:
        factory.work(Orders(detector="robust", map_detector="certified", steps=60))
        live = factory.wait_live(1).live()
        assert live is not None
        folder = Path(live.package.uri.removeprefix("file://"))
        files = {name: (folder / name).read_bytes() for name in FILES}
        module = rebuilt(read_card(files), files)
        assert isinstance(module, PairServed)
        pictures = np.concatenate([good_parts(3, SIZE), defective_parts(3, SIZE)[0]])
        served = factory.triton.infer(ModelRef(factory.product, 1), pictures).result(30)
        with torch.inference_mode():
            floats = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
            verdict, anomaly_map = module.verdict.score_float(floats)[0], module.map.score_float(floats)[1]
        np.testing.assert_allclose(served.scores, verdict.numpy(), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(served.maps, anomaly_map.numpy(), rtol=1e-3, atol=1e-3)
        probe(factory.product, live, factory.triton)
    finally:
        factory.close()
