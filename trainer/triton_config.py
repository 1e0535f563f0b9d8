"""Write ``config.pbtxt``, which tells Triton how to serve a model on CPUs or GPUs."""

from dataclasses import dataclass
from typing import Literal

Accelerator = Literal["cpu", "gpu"]

KEPT_VERSIONS = 2  # the live version and the one before it


@dataclass(frozen=True, slots=True)
class ServedShape:
    """What the configuration says of the model: its name in Triton, its input (H=W, C) and its map (h, w)."""

    name: str
    size: int
    channels: int
    map_height: int
    map_width: int


@dataclass(frozen=True, slots=True)
class Serving:
    """How Triton runs the model: ``instances`` copies per device; ``threads`` per copy count on CPUs only."""

    accelerator: Accelerator = "cpu"
    instances: int = 1
    threads: int = 2
    max_batch: int = 32
    precision: Literal["FP32", "FP16"] = "FP32"


def config_pbtxt(served: ServedShape, serving: Serving) -> str:
    """Return the configuration; ``steadyline.triton.parse_config`` checks it against Triton's own schema."""
    shape = f"{served.size}, {served.size}, {served.channels}"
    head = f'''name: "{served.name}"
backend: "onnxruntime"
max_batch_size: {serving.max_batch}
input [ {{ name: "picture" data_type: TYPE_UINT8 dims: [ {shape} ] }} ]
output [
  {{ name: "score" data_type: TYPE_FP32 dims: [ 1 ] reshape {{ shape: [ ] }} }},
  {{ name: "map" data_type: TYPE_FP32 dims: [ {served.map_height}, {served.map_width} ] }}
]
version_policy {{ latest {{ num_versions: {KEPT_VERSIONS} }} }}
'''
    return head + (_gpu(serving) if serving.accelerator == "gpu" else _cpu(serving))


def _cpu(serving: Serving) -> str:
    """Set no queue delay, which a lone request would pay in full (0.5 ms of delay costs 0.5 ms each).

    Spinning threads are off, because they starve everything else on the same cores.
    """
    return f'''dynamic_batching {{ }}
instance_group [ {{ count: {serving.instances} kind: KIND_CPU }} ]
parameters {{ key: "intra_op_thread_count" value {{ string_value: "{serving.threads}" }} }}
parameters {{ key: "inter_op_thread_count" value {{ string_value: "1" }} }}
parameters {{ key: "session.intra_op.allow_spinning" value {{ string_value: "0" }} }}
'''


def _gpu(serving: Serving) -> str:
    """Set a small queue delay to fill batches; TensorRT keeps its engines between loads of a version."""
    preferred = ", ".join(str(n) for n in (8, 16, 32, 64, 128) if n <= serving.max_batch) or "1"
    return f'''dynamic_batching {{ preferred_batch_size: [ {preferred} ] max_queue_delay_microseconds: 200 }}
instance_group [ {{ count: {serving.instances} kind: KIND_GPU }} ]
optimization {{
  execution_accelerators {{
    gpu_execution_accelerator : [ {{
      name: "tensorrt"
      parameters {{ key: "precision_mode" value: "{serving.precision}" }}
      parameters {{ key: "max_workspace_size_bytes" value: "1073741824" }}
      parameters {{ key: "trt_engine_cache_enable" value: "true" }}
      parameters {{ key: "trt_engine_cache_path" value: "/tmp/trt-cache" }}
    }} ]
  }}
}}
'''
