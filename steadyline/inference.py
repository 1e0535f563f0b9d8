"""The interface of an inference server as services see it; in production Triton implements it."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One version of one model; ``name`` is the product's name."""

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class Inferred:
    """Outputs of the inference contract: ``scores`` (B,) float32 and ``maps`` (B, h, w) float32."""

    scores: Floats
    maps: Floats


class Inference(Protocol):
    """Infers with a given version of a model."""

    def infer(self, ref: ModelRef, pictures: Pixels, traceparent: str | None = None) -> Future[Inferred]:
        """Infer ``pictures`` (B, H, W, C) uint8 with the version ``ref``; the call itself never waits.

        The future ends by its deadline: with the outputs, with InferenceUnavailable (no server, no such
        version, no answer in time, an error inside the model) or with ContractBroken (outputs that the
        inference contract forbids).
        """
        ...
