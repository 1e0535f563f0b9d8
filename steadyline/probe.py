"""Check a served version by its known answers: does it still give the scores of when it was made?"""

import base64
import binascii
from datetime import timedelta

import numpy as np

from steadyline.contracts.model_event import Model
from steadyline.errors import ContractBroken, InferenceUnavailable, PoisonMessage
from steadyline.inference import Inference, ModelRef, Pixels
from steadyline.picture import PictureLimits, decode, inspect

# The client's own deadline ends the call. This one bounds a client that does not keep its deadline.
WITHIN = timedelta(seconds=30)


def probe(product: str, model: Model, inference: Inference, within: timedelta = WITHIN) -> None:
    """Ask the served version for its known answers, all in one request.

    Raises ContractBroken when an answer differs by more than its tolerance, when the outputs break the
    inference contract, or when the model has no probes. Raises InferenceUnavailable when no answer comes.
    """
    pictures = probe_pictures(model)
    try:
        inferred = inference.infer(ModelRef(product, model.version), pictures).result(within.total_seconds())
    except TimeoutError as error:
        raise InferenceUnavailable(f"probing {product} version {model.version}: no answer") from error
    for number, (known, found) in enumerate(zip(model.probes, inferred.scores, strict=True)):
        if not abs(float(found) - known.score) <= known.tolerance:  # written so that NaN fails too
            raise ContractBroken(
                f"{product} version {model.version} gives {found:.6g} for probe {number}, known is "
                f"{known.score:.6g} ± {known.tolerance:.2g}"
            )
    if not np.isfinite(inferred.maps).all():
        raise ContractBroken(f"{product} version {model.version}: the map of a probe is not finite")


def probe_pictures(model: Model) -> Pixels:
    """Return the probes' pictures (N, H, W, C) uint8; raises ContractBroken when one is unusable."""
    if not model.probes:
        raise ContractBroken(f"version {model.version} has no probes: its answers cannot be checked")
    limits = PictureLimits(16 << 20, model.size * model.size)
    channels = 1 if model.channels == "gray" else 3
    pictures = []
    for known in model.probes:
        try:
            data = base64.b64decode(known.picture_png, validate=True)
            pixels = decode(data, inspect(data, limits), model.channels)
            pictures.append(pixels.reshape(model.size, model.size, channels))
        except (binascii.Error, PoisonMessage, ValueError) as error:
            raise ContractBroken(f"version {model.version}: a probe's picture: {error}") from error
    return np.stack(pictures)
