"""Drives Triton with decoded frames as fast as it answers; the line is compared with this."""

import time
from collections import deque
from concurrent.futures import Future

from steadyline.inference import Inference, Inferred, ModelRef, Pixels
from steadyline.servers import Addresses
from steadyline.settings import TritonSettings
from steadyline.triton import TritonClient

BATCH = 8
IN_FLIGHT = 2  # as many requests as the scorer has under way


def triton_client(found: Addresses) -> TritonClient:
    """Return a client that may load models."""
    values = {"url": found.triton_grpc, "admin_key": found.triton_admin_key}
    return TritonClient(TritonSettings.model_validate(values))


def drive(triton: Inference, ref: ModelRef, pictures: Pixels, seconds: float) -> tuple[int, float]:
    """Send requests for ``seconds``; return how many frames were answered, and in how many seconds."""
    batches = [pictures[start : start + BATCH] for start in range(0, len(pictures) - BATCH + 1, BATCH)]
    waiting: deque[Future[Inferred]] = deque()
    began, answered, asked = time.perf_counter(), 0, 0
    while True:
        while len(waiting) < IN_FLIGHT:
            waiting.append(triton.infer(ref, batches[asked % len(batches)]))
            asked += 1
        answered += len(waiting.popleft().result().scores)
        took = time.perf_counter() - began
        if took >= seconds:
            break
    for last in waiting:
        last.result()
    return answered, took
