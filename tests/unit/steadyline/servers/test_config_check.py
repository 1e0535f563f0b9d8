"""A configuration is taken when the trainer could have written it, value by value, and not otherwise."""

import itertools

import pytest

from steadyline.grid import Grid
from steadyline.servers.config_check import unlike_ours
from steadyline.triton import parse_config
from steadyline.triton_config import (
    MOST_BATCH,
    MOST_INSTANCES,
    MOST_THREADS,
    Accelerator,
    ServedShape,
    Serving,
    config_pbtxt,
)

SHAPE = ServedShape("part", Grid.square(32), 1, 4, 4)
CPU, GPU = config_pbtxt(SHAPE, Serving()), config_pbtxt(SHAPE, Serving("gpu"))
OTHERS = [
    *itertools.product(
        ("cpu", "gpu"), ((False, False), (True, False), (False, True), (True, True)), (1, 3), ("FP32", "FP16")
    )
]


def problems(text: str) -> list[str]:
    return list(unlike_ours(parse_config(text), "part"))


@pytest.mark.parametrize(("accelerator", "outputs", "channels", "precision"), OTHERS)
def test_whatever_the_trainer_writes_is_served(
    accelerator: Accelerator, outputs: tuple[bool, bool], channels: int, precision: str
) -> None:
    shape = ServedShape("part", Grid(264, 136), channels, 33, 17, *outputs)
    least = Serving(accelerator, 1, 1, 1, "FP16" if precision == "FP16" else "FP32")
    most = Serving(accelerator, MOST_INSTANCES, MOST_THREADS, MOST_BATCH)
    assert problems(config_pbtxt(shape, least)) == problems(config_pbtxt(shape, most)) == []


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ('model_warmup [ { name: "x" batch_size: 1 } ]', "model_warmup"),
        ('default_model_filename: "../../x.so"', "default_model_filename"),
        ('model_operations { op_library_filename: "x.so" }', "model_operations"),
        ('parameters { key: "EXECUTION_ENV_PATH" value { string_value: "/x" } }', "EXECUTION_ENV_PATH"),
        ('cc_model_filenames { key: "x" value: "y" }', "cc_model_filenames"),
        ('platform: "tensorflow_savedmodel"', "platform"),
        ("optimization { cuda { graphs: true } }", "optimization.cuda"),
        ("optimization { input_pinned_memory { enable: true } }", "optimization.input_pinned_memory"),
        ("instance_group [ { count: 1 kind: KIND_CPU } ]", "instance_group[1]"),
        ('output [ { name: "x" data_type: TYPE_FP32 dims: [ 1 ] label_filename: "/etc/x" } ]', "output[2]"),
        ("response_cache { enable: true }", "response_cache"),
    ],
)
def test_a_field_that_ours_has_not_is_refused(more: str, word: str) -> None:
    assert word in " ".join(problems(CPU + more))


@pytest.mark.parametrize(
    ("text", "ours", "theirs", "told"),
    [
        (CPU, 'name: "part"', 'name: "whole"', "name 'whole'"),
        (CPU, 'backend: "onnxruntime"', 'backend: "python"', "backend 'python'"),
        (CPU, "count: 1 ", "count: 100000 ", "instance_group[0].count 100000"),
        (CPU, "count: 1 ", "count: -1 ", "instance_group[0].count -1"),
        (CPU, "KIND_CPU", "KIND_MODEL", "instance_group[0].kind 3"),
        (CPU, "kind: KIND_CPU", 'kind: KIND_CPU host_policy: "x"', "instance_group[0].host_policy 'x'"),
        (CPU, "latest { num_versions: 2 }", "all { }", "version_policy.all {}"),
        (CPU, "num_versions: 2", "num_versions: 9", "version_policy.latest.num_versions 9"),
        (CPU, "max_batch_size: 32", "max_batch_size: 2000000000", "max_batch_size 2000000000"),
        (CPU, 'string_value: "2"', 'string_value: "99999"', "intra_op_thread_count"),
        (CPU, 'string_value: "2"', 'string_value: "../x"', "intra_op_thread_count"),
        (CPU, "32, 32, 1", "32, 640000, 1", "input[0].dims[1] 640000"),
        (CPU, "32, 32, 1", "320000, 320000, 1", "input[0].dims[0] 320000"),
        (CPU, "TYPE_UINT8", "TYPE_STRING", "input[0].data_type"),
        (CPU, "dynamic_batching { }", "dynamic_batching { priority_levels: 9 }", "priority_levels"),
        (GPU, '"tensorrt"', '"plugin"', "'plugin'"),
        (GPU, "precision_mode", "library", "parameters['library']"),
        (GPU, "/tmp/trt-cache", "/models/part", "trt_engine_cache_path"),
        (GPU, "1073741824", "99999999999999", "max_workspace_size_bytes"),
        (GPU, '"FP32"', '"INT8"', "precision_mode"),
        (GPU, "max_queue_delay_microseconds: 200", "max_queue_delay_microseconds: 60000000", "60000000"),
    ],
)
def test_a_value_that_ours_has_not_is_refused(text: str, ours: str, theirs: str, told: str) -> None:
    assert ours in text
    assert told in " ".join(problems(text.replace(ours, theirs)))


def test_a_part_of_ours_may_not_be_missing() -> None:
    assert problems(CPU.replace("version_policy { latest { num_versions: 2 } }", ""))[0].startswith(
        "no version_policy"
    )
    assert problems('name: "part"')
    assert problems("")


def test_a_certified_part_is_never_in_sixteen_bits() -> None:
    text = config_pbtxt(ServedShape("part", Grid.square(32), 1, 4, 4, True), Serving("gpu"))
    assert "precision_mode" in " ".join(problems(text.replace('"FP32"', '"FP16"')))
