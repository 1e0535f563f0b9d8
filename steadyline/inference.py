"""The interface of an inference server as services see it; in production Triton implements it."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from steadyline.contracts.model_event import Model

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

# The output of a graph that has a certified part: it moves by at most e when every pixel in [0, 1] moves by
# at most e (docs/certificate.md).
CERTIFIED_SCORE = "certified_score"

# The output of a graph whose score is that of two halves, of which either may speak: the score of each,
# (B, 2), in units in which they can be compared.
HALVES = "halves"

# How far float32 may be from the certified score that the proof is about. A mean of n terms in [0, 1], summed
# in any order, is off by at most (n + 4) / 2^24 with the cast, the difference, the tolerance and the offset:
# 3.1e-6 for patches of 4 x 4 pixels in colour. Export, probes and tests hold served graphs to it.
CERTIFIED_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One version of one model; ``name`` is the product's name.

    ``is_certified`` asks for the output of its certified part too, and ``has_halves`` for the scores of both
    halves; only some models have them.
    """

    name: str
    version: int
    is_certified: bool = False
    has_halves: bool = False

    @staticmethod
    def of(product: str, model: Model) -> "ModelRef":
        """Return what a model of an event is asked by."""
        return ModelRef(product, model.version, model.is_certified, bool(model.halves))


@dataclass(frozen=True, slots=True)
class Inferred:
    """Outputs of the inference contract: ``scores`` (B,) float32 and ``maps`` (B, h, w) float32.

    ``certified_scores`` (B,) float32 and ``halves`` (B, 2) float32 are there where they were asked for.
    """

    scores: Floats
    maps: Floats
    certified_scores: Floats | None = None
    halves: Floats | None = None


class Inference(Protocol):
    """Infers with a given version of a model."""

    def infer(self, ref: ModelRef, pictures: Pixels, traceparent: str | None = None) -> Future[Inferred]:
        """Infer ``pictures`` (B, H, W, C) uint8 with the version ``ref``; the call itself never waits.

        The future ends by its deadline: with the outputs, with InferenceUnavailable (no server, no such
        version, no answer in time, an error inside the model) or with ContractBroken (outputs that the
        inference contract forbids).
        """
        ...
