"""What services see of an inference server; Triton behind it in production."""

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
    """The inference contract's outputs: ``scores`` (B,) float32, ``maps`` (B, h, w) float32."""

    scores: Floats
    maps: Floats


class Inference(Protocol):
    """Asks a pinned version of a model."""

    def infer(self, ref: ModelRef, pictures: Pixels, traceparent: str | None = None) -> Future[Inferred]:
        """Ask version ``ref`` for ``pictures``, (B, H, W, C) uint8; the call itself never waits.

        The future ends by its deadline: with the outputs, with InferenceUnavailable (no server, no such
        version, no answer in time, an error inside the model) or with ContractBroken (outputs that the
        inference contract rules out).
        """
        ...
