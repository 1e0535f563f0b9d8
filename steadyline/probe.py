"""Check a served version by its known answers: does it still give the scores of when it was made?"""

import base64
import binascii
from datetime import timedelta

import numpy as np

from steadyline.contracts.model_event import Model
from steadyline.errors import ContractBroken, InferenceUnavailable, PoisonMessage
from steadyline.inference import CERTIFIED_ROUNDING, Floats, Inference, Inferred, ModelRef, Pixels
from steadyline.picture import PictureLimits, decode, inspect

# The client's own deadline ends the call. This one bounds a client that does not keep its deadline.
WITHIN = timedelta(seconds=30)


def probe(product: str, model: Model, inference: Inference, within: timedelta = WITHIN) -> None:
    """Ask the served version for its known answers, in as few requests as its pictures allow.

    Raises ContractBroken when an answer differs by more than its tolerance, when the outputs break the
    inference contract, or when the model has no probes. Raises InferenceUnavailable when no answer comes.
    """
    pictures = probe_pictures(model)
    at_once = model.grid.batch(len(pictures))
    for first in range(0, len(pictures), at_once):
        asked = inference.infer(ModelRef.of(product, model), pictures[first : first + at_once])
        try:
            inferred = asked.result(within.total_seconds())
        except TimeoutError as error:
            raise InferenceUnavailable(f"probing {product} version {model.version}: no answer") from error
        check_answers(product, model, inferred, first)


def check_answers(product: str, model: Model, inferred: Inferred, first: int = 0) -> None:
    """Raise ContractBroken when the answers to the model's probes, from ``first`` on, are not the known
    ones.
    """
    asked = model.probes[first : first + len(inferred.scores)]
    for number, (known, found) in enumerate(zip(asked, inferred.scores, strict=True), first):
        if not abs(float(found) - known.score) <= known.tolerance:  # written so that NaN fails too
            raise ContractBroken(
                f"{product} version {model.version} gives {found:.6g} for probe {number}, known is "
                f"{known.score:.6g} ± {known.tolerance:.2g}"
            )
    if inferred.certified_scores is not None:
        _check_certified(product, model, inferred.certified_scores, first)
    if not np.isfinite(inferred.maps).all():
        raise ContractBroken(f"{product} version {model.version}: the map of a probe is not finite")


def _check_certified(product: str, model: Model, found: Floats, first: int) -> None:
    """Raise ContractBroken when the server does not compute as exactly as margins take for granted, as one
    that computes in 16 bits would not.
    """
    asked = model.probes[first : first + len(found)]
    for number, (known, score) in enumerate(zip(asked, found, strict=True), first):
        due = known.certified_score
        if due is None or not abs(float(score) - due) <= 2 * CERTIFIED_ROUNDING:
            raise ContractBroken(
                f"{product} version {model.version} gives the certified score {score:.7g} for probe "
                f"{number}, known is {due} ± {2 * CERTIFIED_ROUNDING:g}"
            )


def probe_pictures(model: Model) -> Pixels:
    """Return the probes' pictures (N, H, W, C) uint8; raises ContractBroken when one is unusable."""
    if not model.probes:
        raise ContractBroken(f"version {model.version} has no probes: its answers cannot be checked")
    limits = PictureLimits(16 << 20, model.grid.pixels)
    channels = 1 if model.channels == "gray" else 3
    pictures = []
    for known in model.probes:
        try:
            data = base64.b64decode(known.picture_png, validate=True)
            pixels = decode(data, inspect(data, limits), model.channels)
            pictures.append(pixels.reshape(*model.grid, channels))
        except (binascii.Error, PoisonMessage, ValueError) as error:
            raise ContractBroken(f"version {model.version}: a probe's picture: {error}") from error
    return np.stack(pictures)
