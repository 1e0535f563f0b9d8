"""``config.pbtxt``, which tells Triton how to serve a model on CPUs or GPUs: the one form that it may have.

The trainer writes it, and Triton's containers take no other: they read the few values back out of a file,
write it again, and compare.
"""

from dataclasses import dataclass
from typing import Literal

from steadyline.grid import Grid
from steadyline.inference import CERTIFIED_SCORE, HALVES

Accelerator = Literal["cpu", "gpu"]

KEPT_VERSIONS = 2  # the live version and the one before it

# More than any machine serves with; whoever writes the repository could ask Triton for any number.
MOST_INSTANCES, MOST_THREADS, MOST_BATCH = 64, 1024, 4096


@dataclass(frozen=True, slots=True)
class ServedShape:
    """What the configuration says of the model: its name in Triton, its input (H, W, C), its map (h, w), and
    whether it has a certified part, and two halves.
    """

    name: str
    grid: Grid
    channels: int
    map_height: int
    map_width: int
    is_certified: bool = False
    has_halves: bool = False


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
    shape = f"{served.grid.height}, {served.grid.width}, {served.channels}"
    outputs = [
        _score_output("score"),
        f'{{ name: "map" data_type: TYPE_FP32 dims: [ {served.map_height}, {served.map_width} ] }}',
        *[_score_output(CERTIFIED_SCORE)] * served.is_certified,
        *[f'{{ name: "{HALVES}" data_type: TYPE_FP32 dims: [ 2 ] }}'] * served.has_halves,
    ]
    listed = ",\n  ".join(outputs)
    head = f'''name: "{served.name}"
backend: "onnxruntime"
max_batch_size: {serving.max_batch}
input [ {{ name: "picture" data_type: TYPE_UINT8 dims: [ {shape} ] }} ]
output [
  {listed}
]
version_policy {{ latest {{ num_versions: {KEPT_VERSIONS} }} }}
'''
    return head + (_gpu(served, serving) if serving.accelerator == "gpu" else _cpu(serving))


def _score_output(name: str) -> str:
    return f'{{ name: "{name}" data_type: TYPE_FP32 dims: [ 1 ] reshape {{ shape: [ ] }} }}'


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


def _gpu(served: ServedShape, serving: Serving) -> str:
    """Set a small queue delay to fill batches; TensorRT keeps its engines between loads of a version.

    A certified part is never computed in 16 bits, whose rounding is larger than the steps it counts.
    """
    precision = "FP32" if served.is_certified else serving.precision
    preferred = ", ".join(str(n) for n in (8, 16, 32, 64, 128) if n <= serving.max_batch) or "1"
    return f'''dynamic_batching {{ preferred_batch_size: [ {preferred} ] max_queue_delay_microseconds: 200 }}
instance_group [ {{ count: {serving.instances} kind: KIND_GPU }} ]
optimization {{
  execution_accelerators {{
    gpu_execution_accelerator : [ {{
      name: "tensorrt"
      parameters {{ key: "precision_mode" value: "{precision}" }}
      parameters {{ key: "max_workspace_size_bytes" value: "1073741824" }}
      parameters {{ key: "trt_engine_cache_enable" value: "true" }}
      parameters {{ key: "trt_engine_cache_path" value: "/tmp/trt-cache" }}
    }} ]
  }}
}}
'''
