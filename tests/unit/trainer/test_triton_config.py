"""Both configurations are what Triton's own schema says they are."""

from dataclasses import replace

import pytest

from steadyline.grid import Grid
from steadyline.triton import parse_config
from steadyline.triton_config import Accelerator, ServedShape, Serving, config_pbtxt

SERVED = ServedShape("cell", Grid.square(64), 1, 16, 16)


@pytest.mark.parametrize("accelerator", ["cpu", "gpu"])
def test_the_inference_contract_is_in_both(accelerator: Accelerator) -> None:
    config = parse_config(config_pbtxt(SERVED, Serving(accelerator)))
    assert (config.name, config.backend, config.max_batch_size) == ("cell", "onnxruntime", 32)
    assert [(item.name, list(item.dims)) for item in config.input] == [("picture", [64, 64, 1])]
    assert [(item.name, list(item.dims)) for item in config.output] == [("score", [1]), ("map", [16, 16])]
    assert list(config.output[0].reshape.shape) == []
    assert config.version_policy.latest.num_versions == 2
    assert config.HasField("dynamic_batching")


def test_a_cpu_gets_threads_that_do_not_spin() -> None:
    config = parse_config(config_pbtxt(SERVED, Serving("cpu", instances=2, threads=3)))
    assert (config.instance_group[0].count, config.instance_group[0].kind) == (2, 2)
    assert config.parameters["intra_op_thread_count"].string_value == "3"
    assert config.parameters["session.intra_op.allow_spinning"].string_value == "0"
    assert not config.optimization.execution_accelerators.gpu_execution_accelerator


def test_a_gpu_gets_tensorrt_and_fuller_batches() -> None:
    config = parse_config(config_pbtxt(SERVED, Serving("gpu", max_batch=64, precision="FP16")))
    assert config.instance_group[0].kind == 1
    accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator[0]
    assert accelerator.name == "tensorrt"
    assert accelerator.parameters["precision_mode"] == "FP16"
    assert list(config.dynamic_batching.preferred_batch_size) == [8, 16, 32, 64]


@pytest.mark.parametrize("accelerator", ["cpu", "gpu"])
def test_a_certified_part_is_a_third_output_and_never_computed_in_16_bits(accelerator: Accelerator) -> None:
    served = replace(SERVED, is_certified=True)
    config = parse_config(config_pbtxt(served, Serving(accelerator, precision="FP16")))
    assert [item.name for item in config.output] == ["score", "map", "certified_score"]
    assert (list(config.output[2].dims), list(config.output[2].reshape.shape)) == ([1], [])
    for used in config.optimization.execution_accelerators.gpu_execution_accelerator:
        assert used.parameters["precision_mode"] == "FP32"


@pytest.mark.parametrize(
    ("grid", "most"), [(Grid(64, 64), 32), (Grid(512, 208), 19), (Grid(1024, 1024), 2), (Grid(2048, 2048), 1)]
)
def test_batches_shrink_as_pictures_grow(grid: Grid, most: int) -> None:
    assert grid.batch(32) == most
    assert grid.batch(1) == 1
