"""Measure an exported graph as a server runs it: ``python -m trainer.jobs.served_cost GRAPH DEVICE``.

It is a process of its own so that its memory is that of the graph and of nothing else.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from steadyline.errors import ContractBroken, InvalidConfiguration
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

RUNS, WARM_UP = 60, 5
PROVIDERS = {"cpu": "CPUExecutionProvider", "gpu": "CUDAExecutionProvider"}
_SECONDS = 900  # after which a graph is given up


@dataclass(frozen=True, slots=True)
class ServedCost:
    """Milliseconds of one picture, 99th percentile, and the whole process's memory in MiB."""

    p99_ms: float
    memory_mib: float


def check_device(device: str) -> None:
    """Raise InvalidConfiguration when a device cannot be measured here."""
    if PROVIDERS[device] not in onnxruntime.get_available_providers():
        raise InvalidConfiguration(
            f"--device {device}: onnxruntime finds none here, and milliseconds of another device say nothing "
            "about it; plan on the machine that will serve, or with --device cpu"
        )


def served_cost(graph: Path, device: str) -> ServedCost:
    """Return what a graph costs on ``device``; raises ContractBroken when it does not run."""
    command = [sys.executable, "-m", "trainer.jobs.served_cost", str(graph), device]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
        found = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise ContractBroken(f"the exported graph could not be measured: {error}") from error
    return ServedCost(found["p99_ms"], found["memory_mib"])


def cost_figures(graph: bytes) -> dict[str, float]:
    """Return what an exported graph costs on this processor, under the names that cards have for it.

    Nothing where it could not be measured: no training is lost for that.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(graph)
        try:
            cost = served_cost(path, "cpu")
        except ContractBroken as error:
            log.warning("cost_not_measured", error=str(error))
            return {}
    return {"served_p99_ms": cost.p99_ms, "served_memory_mib": cost.memory_mib}


def measured(graph: Path, device: str) -> ServedCost:
    """Run a graph on random pictures, one at a time.

    On a CPU the time is that of the one thread that runs it: other work on the machine does not count.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(graph), options, providers=[PROVIDERS[device]])
    _, *shape = session.get_inputs()[0].shape
    picture = np.random.default_rng(0).integers(0, 256, (1, *shape)).astype(np.uint8)
    clock = time.thread_time if device == "cpu" else time.perf_counter
    taken = []
    for _ in range(WARM_UP + RUNS):
        began = clock()
        session.run(None, {"picture": picture})
        taken.append((clock() - began) * 1000)
    return ServedCost(round(float(np.quantile(taken[WARM_UP:], 0.99)), 3), _most_memory_mib())


def _most_memory_mib() -> float:
    """Return the most memory that this program has held; what ``getrusage`` says includes its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024, 1)


def main(argv: Sequence[str]) -> int:
    """Print the cost of the graph ``argv[0]`` on the device ``argv[1]`` as JSON."""
    cost = measured(Path(argv[0]), argv[1])
    print(json.dumps({"p99_ms": cost.p99_ms, "memory_mib": cost.memory_mib}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
