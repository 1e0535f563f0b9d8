"""What leaves as ONNX answers as torch does, or does not leave."""

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from steadyline.errors import ContractBroken
from tests.support.torch_models import BrightSpot
from trainer.detector_protocol import Served
from trainer.jobs.export import OnnxModel, export


def pictures(count: int = 6, size: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 1), dtype=np.uint8)


def test_the_exported_graph_answers_as_torch_for_any_batch_size() -> None:
    module = BrightSpot()
    exported = export(module, pictures())
    assert exported.score_difference < 1e-5
    assert (exported.map_height, exported.map_width) == (4, 4)
    run = OnnxModel(exported.model)
    for count in (1, 2, 7):
        batch = pictures(count)
        score, anomaly_map = run(batch)
        expected, expected_map = module(torch.from_numpy(batch))
        np.testing.assert_allclose(score, expected.numpy(), rtol=1e-5)
        np.testing.assert_allclose(anomaly_map, expected_map.numpy(), rtol=1e-5)


def test_the_graph_says_nothing_of_the_machine_that_made_it() -> None:
    exported = export(BrightSpot(), pictures())
    assert b".py" not in exported.model
    assert (
        onnx.load_from_string(exported.model).graph.input[0].type.tensor_type.elem_type
        == onnx.TensorProto.UINT8
    )


class Unguarded(BrightSpot):
    """Divides by a norm that a black picture makes zero: NaN in torch."""

    @override
    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        score, anomaly_map = super().forward(picture)
        return score / anomaly_map.flatten(1).norm(dim=1), anomaly_map


def test_a_module_that_is_not_finite_on_a_black_picture_is_refused() -> None:
    with pytest.raises(ContractBroken, match="NaN or infinity"):
        export(Unguarded(), pictures())


class OddBatch(nn.Module):
    """Gives the score a shape that the contract rules out."""

    @override
    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = picture[..., 0].float()
        return anomaly_map.mean((1, 2)).unsqueeze(1), anomaly_map


def test_a_module_with_another_output_shape_is_refused() -> None:
    with pytest.raises(ContractBroken, match="are due"):
        export(OddBatch(), pictures())


class ProvenSpot(Served):
    """Scores the brightest 4x4 block as ``BrightSpot`` does, and says that its score is certified."""

    lipschitz = 1.0

    @override
    def score_float(self, x: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map = nn.functional.avg_pool2d(x, 4).mean(1)
        return anomaly_map.amax((1, 2)), anomaly_map


class OddlyProven(nn.Module):
    """Has a certified score that is a matrix."""

    @override
    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        anomaly_map = picture[..., 0].float()
        return anomaly_map.mean((1, 2)), anomaly_map, anomaly_map.flatten(1)


def test_a_certified_part_leaves_as_a_third_output_from_the_same_run() -> None:
    module = ProvenSpot()
    run = OnnxModel(export(module, pictures()).model)
    assert run.is_certified
    score, anomaly_map, certified = run.outputs(pictures(7))
    assert (score.shape, anomaly_map.shape) == ((7,), (7, 4, 4))
    np.testing.assert_array_equal(certified, run.certified_scores(pictures(7)))
    np.testing.assert_allclose(certified, score, atol=1e-6)
    assert not OnnxModel(export(BrightSpot(), pictures()).model).is_certified


def test_a_certified_score_of_another_shape_is_refused() -> None:
    with pytest.raises(ContractBroken, match="certified score is"):
        export(OddlyProven(), pictures())
